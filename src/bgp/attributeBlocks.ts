/**
 * What a policy needs from the wire: blocks of attributes in normal form (see updateRecord.ts) as values, and back.
 * bgp/wire implements it (the RIB stores attribute octets and never reads them).
 */

import type { PathAttribute } from './attributes.js';
import type { UpdateRecord } from './updateRecord.js';

export interface AttributeBlocks {
  /** The attributes in octets[start .. start + length). */
  decode(octets: Uint8Array, start: number, length: number): readonly PathAttribute[];
  /**
   * A record with these attributes, as if they had been received: block, flags and decision fields.
   * @returns undefined when they are too large for any message; else a record that is used again by the next call
   */
  encode(attributes: readonly PathAttribute[]): UpdateRecord | undefined;
}
