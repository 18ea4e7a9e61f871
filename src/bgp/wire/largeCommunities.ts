/** Large communities that stand twice in one attribute: the receiver removes the copies (RFC 8092 section 3). */

const SIZE = 12;
/** Up to so many, comparing each with each is cheaper than a set. */
const FEW = 16;

/** @param end start plus a multiple of twelve */
export function hasRepeatedLargeCommunity(octets: Uint8Array, start: number, end: number): boolean {
  if (end - start > FEW * SIZE) return distinct(octets, start, end).size * SIZE < end - start;
  for (let at = start + SIZE; at < end; at += SIZE) {
    for (let before = start; before < at; before += SIZE) {
      if (isSame(octets, before, at)) return true;
    }
  }
  return false;
}

/** Copies the first of each to `out` at `to`; returns where the next octet goes. */
export function copyDistinctLargeCommunities(
  octets: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  to: number,
): number {
  let next = to;
  for (const at of distinct(octets, start, end).values()) {
    out.set(octets.subarray(at, at + SIZE), next);
    next += SIZE;
  }
  return next;
}

/** Where each value stands first, in their order. */
function distinct(octets: Uint8Array, start: number, end: number): Map<string, number> {
  const first = new Map<string, number>();
  for (let at = start; at < end; at += SIZE) {
    const key = octets.subarray(at, at + SIZE).join();
    if (!first.has(key)) first.set(key, at);
  }
  return first;
}

function isSame(octets: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; i < SIZE; i++) {
    if (octets[a + i] !== octets[b + i]) return false;
  }
  return true;
}
