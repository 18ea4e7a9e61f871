/** What the scanner asks of the attribute table, compiled into arrays by type code. RFC 7606. */

import { ATTRIBUTES, type Verdict } from './attributeTable.js';
import { Flag } from './iana.js';

/** What the scanner found out about one attribute. Everything above `pass` is a fault. */
export const Finding = {
  /** Good, and part of the normal form. */
  keep: 0,
  /** Good, and large communities stand in it more than once (RFC 8092 section 3 has the receiver remove the copies). */
  keepUnique: 1,
  /** Good, and not part of the normal form. */
  pass: 2,
  badLength: 3,
  badValue: 4,
  badFlags: 5,
  /** A next hop inside MP_REACH_NLRI that is no host's address. */
  badMpNextHop: 6,
  /** MP_REACH_NLRI or MP_UNREACH_NLRI of a family that was not negotiated. */
  strangeFamily: 7,
  /** Not optional, and unknown. */
  unrecognized: 8,
  /** The second of its kind. */
  duplicate: 9,
} as const;

/** Verdicts by strength, so that `>` compares them (RFC 7606 section 3 h). */
export const Strength = { discard: 1, treatAsWithdraw: 2, reset: 3 } as const satisfies Record<Verdict, number>;

/** In {@link FLAGS_OF}: no such row. Never a possible value, since it has all bits set. */
export const NO_ROW = 0xff;
/** The Optional and Transitive flags each known attribute must have. */
export const FLAGS_OF = new Uint8Array(256).fill(NO_ROW);
/** Flags an attribute may have in the normal form: Partial means something only where both others are set. */
export const FLAGS_KEPT = new Uint8Array(256).fill(Flag.optional | Flag.transitive | Flag.partial);
/** 1: passed over without a word when it comes from an external peer. */
export const INTERNAL_ONLY = new Uint8Array(256);
export const MALFORMED = new Uint8Array(256);
export const BAD_FLAGS = new Uint8Array(256);
export const VALUE_ERROR = new Uint8Array(256);
export const LENGTH_ERROR = new Uint8Array(256);
const NAMES = new Map<number, string>();

for (const row of Object.values(ATTRIBUTES)) {
  const transitive = row.flags === (Flag.optional | Flag.transitive);
  FLAGS_OF[row.code] = row.flags;
  FLAGS_KEPT[row.code] = row.flags | (transitive ? Flag.partial : 0);
  INTERNAL_ONLY[row.code] = row.internalOnly ? 1 : 0;
  MALFORMED[row.code] = Strength[row.malformed];
  BAD_FLAGS[row.code] = Strength[row.badFlags];
  VALUE_ERROR[row.code] = row.valueError;
  LENGTH_ERROR[row.code] = row.lengthError;
  NAMES.set(row.code, row.name);
}

/** For people: the RFC's name, or the number. */
export function attributeName(code: number): string {
  return NAMES.get(code) ?? `attribute ${code}`;
}
