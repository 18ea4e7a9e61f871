/**
 * A map in parts. V8 copies a whole Map when it is full, and what was deleted fills it too: with a hundred thousand entries
 * that takes some milliseconds, of one change in a hundred. Here it takes as long for a part only. Pure.
 */

export const PARTS = 64;
/** Of texts that end in an address, a protocol and a port, those differ. */
const LOOKED_AT = 12;

/** In no order. */
export class SpreadMap<K, V> {
  private readonly parts: (Map<K, V> | undefined)[] = Array.from({ length: PARTS });

  get(key: K): V | undefined {
    return this.parts[partOf(key)]?.get(key);
  }

  set(key: K, value: V): void {
    const part = partOf(key);
    const known = this.parts[part];
    if (known === undefined) this.parts[part] = new Map([[key, value]]);
    else known.set(key, value);
  }

  delete(key: K): void {
    this.parts[partOf(key)]?.delete(key);
  }

  *entries(): Iterable<readonly [K, V]> {
    for (const part of this.parts) if (part !== undefined) yield* part;
  }
}

/** @returns number of the part that a key is in: any for numbers and texts, the first for everything else */
export function partOf(key: unknown): number {
  if (typeof key === 'number') return key & (PARTS - 1);
  if (typeof key !== 'string') return 0;
  let sum = 0;
  for (let i = Math.max(0, key.length - LOOKED_AT); i < key.length; i++) sum = (sum * 31 + key.charCodeAt(i)) | 0;
  return (sum ^ (sum >>> 12)) & (PARTS - 1);
}
