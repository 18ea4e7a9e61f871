/** Octets that may be read in a window only. */

/** A view of octets[start .. end) in which reading anything else throws. Slow. */
export function guarded(source: Uint8Array, start: number, end: number): Uint8Array {
  return new Proxy(source, {
    get(target, key) {
      if (typeof key === 'string' && /^-?\d+$/.test(key)) {
        const index = Number(key);
        if (index < start || index >= end) throw new Error(`read at ${index}, outside of ${start}..${end}`);
        return target[index];
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}
