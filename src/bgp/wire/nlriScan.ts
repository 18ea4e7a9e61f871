/** Syntax of a run of prefixes: RFC 4271 section 4.3, RFC 7911 section 3, RFC 7606 section 5.3. */

/** Octets of the path identifier in front of each prefix with add-path. */
const PATH_ID = 4;

/**
 * Whether octets[start .. end) is a run of whole prefixes none of which is longer than `maxBits`. Bits beyond a
 * prefix's length mean nothing (RFC 4271 section 4.3) and are not looked at.
 */
export function isNlri(octets: Uint8Array, start: number, end: number, maxBits: number, addPath: boolean): boolean {
  let at = start;
  if (!addPath) {
    while (at < end) {
      const bits = octets[at]!;
      if (bits > maxBits) return false;
      at += 1 + ((bits + 7) >> 3);
    }
    return at === end;
  }
  while (at + PATH_ID < end) {
    const bits = octets[at + PATH_ID]!;
    if (bits > maxBits) return false;
    at += PATH_ID + 1 + ((bits + 7) >> 3);
  }
  return at === end;
}
