/** What is refused together, written in halves, until what is refused stands alone. Pure but for the writing. */

/**
 * @param groups keys that go together or not at all
 * @param write one transaction; answers why it was refused, undefined if it was not
 * @returns keys of the groups that are refused by themselves, with the reason
 */
export async function writeInHalves<K>(
  groups: readonly (readonly K[])[],
  write: (keys: readonly K[]) => Promise<string | undefined>,
): Promise<ReadonlyMap<K, string>> {
  const failures = new Map<K, string>();
  const halve = async (some: readonly (readonly K[])[]): Promise<void> => {
    if (some.length === 0) return;
    const keys = some.flat();
    const refused = await write(keys);
    if (refused === undefined) return;
    if (some.length === 1) {
      for (const key of keys) failures.set(key, refused);
      return;
    }
    const half = some.length >> 1;
    await halve(some.slice(0, half));
    await halve(some.slice(half));
  };
  await halve(groups);
  return failures;
}
