/**
 * What a policy needs from the wire: attributes in blocks of normal form (see updateRecord.ts) as values, and blocks with
 * some of them changed. bgp/wire implements it (the RIB stores attribute octets and never reads them).
 */

import type { AttributeOf } from './attributes.js';
import type { UpdateRecord } from './updateRecord.js';

/** Attributes that policies look into or change, ascending by type code. */
export const EDITABLE_KINDS = [
  'asPath',
  'med',
  'localPref',
  'communities',
  'extendedCommunities',
  'largeCommunities',
] as const;
export type EditableKind = (typeof EDITABLE_KINDS)[number];

/** Attributes in place of those of a block; null: without it. */
export type Replacements = { readonly [K in EditableKind]?: AttributeOf<K> | null };

export interface AttributeBlocks {
  /** The attribute of this kind in octets[start .. start + length). */
  find<K extends EditableKind>(kind: K, octets: Uint8Array, start: number, length: number): AttributeOf<K> | undefined;
  /**
   * A record with the block octets[start .. start + length) and these replacements, as if it had been received: block,
   * flags and decision fields.
   * @returns undefined when it is too large for any message; else a record that is used again by the next call
   */
  rewrite(octets: Uint8Array, start: number, length: number, replacements: Replacements): UpdateRecord | undefined;
}
