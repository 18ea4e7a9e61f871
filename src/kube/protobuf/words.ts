/** Strings that come again and again in messages, such as names of nodes: each is made, and kept in memory, once. */

/** Longer strings are hardly ever the same. */
const LONGEST = 64;
/** A power of two: more than a large cluster has nodes. */
const SLOTS = 16_384;

export interface Words {
  /** The text (UTF-8) in these octets. */
  read(octets: Buffer, start: number, end: number): string;
}

/** Of two words in one slot the later stays: nothing grows, and nothing is ever wrong. */
export function createWords(): Words {
  const slots: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);
  return {
    read: (octets, start, end) => {
      if (end - start > LONGEST) return octets.toString('utf8', start, end);
      let hash = 0;
      let seen = 0;
      for (let at = start; at < end; at++) {
        const octet = octets[at] ?? 0;
        hash = (Math.imul(hash, 31) + octet) | 0;
        seen |= octet;
      }
      if (seen > 127) return octets.toString('utf8', start, end);
      const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
      const held = slots[slot];
      if (held !== undefined && isSame(held, octets, start, end)) return held;
      const word = octets.toString('latin1', start, end);
      slots[slot] = word;
      return word;
    },
  };
}

function isSame(text: string, octets: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== octets[start + i]) return false;
  return true;
}
