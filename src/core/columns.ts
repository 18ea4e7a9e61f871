/**
 * Growing typed-array columns: one array per field, indexed by a small id.
 *
 * Large arrays come from the system as untouched zero pages, so capacity costs address space and not memory until it is
 * used. Columns therefore grow in few, large steps: the copy at each step is what an event loop would feel as a pause.
 */

/** Ids that columns have room for from the start: the Internet's table. */
export const FIRST_CAPACITY = 1 << 21;

/** Room for `needed` ids: the first capacity, then four times that, sixteen times … */
export function capacityFor(needed: number, first = FIRST_CAPACITY): number {
  let capacity = first;
  while (capacity < needed) capacity *= 4;
  return capacity;
}

/** Has memory there before it is needed; the kernel layer does it (kernel/residentMemory.ts). */
export type MakeResident = (octets: Uint8Array) => void;

/** The octets of a column's first `length` elements. */
export function octetsOf({ buffer, byteOffset, BYTES_PER_ELEMENT }: Column, length: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length * BYTES_PER_ELEMENT);
}

export type Column = Uint8Array | Uint16Array | Uint32Array;

export function growU32(column: Uint32Array, capacity: number): Uint32Array {
  const grown = new Uint32Array(capacity);
  grown.set(column);
  return grown;
}

export function growU16(column: Uint16Array, capacity: number): Uint16Array {
  const grown = new Uint16Array(capacity);
  grown.set(column);
  return grown;
}

export function growU8(column: Uint8Array, capacity: number): Uint8Array {
  const grown = new Uint8Array(capacity);
  grown.set(column);
  return grown;
}
