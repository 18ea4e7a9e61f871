/** One answer for all who ask while it is being made. */

/** @param make what takes time: reading whole tables of the kernel, say */
export function together<T>(make: () => Promise<T>): () => Promise<T> {
  let making: Promise<T> | undefined;
  return () => (making ??= make().finally(() => (making = undefined)));
}
