/** AS_PATH segments as values and as text: RFC 4271 section 4.3, RFC 5065 section 3, RFC 6793. */

import { AS_TRANS } from '../asn.js';
import { SEGMENT_TYPES, type AsSegment } from '../attributes.js';
import { Malformation, type OctetReader } from './octetReader.js';
import type { OctetWriter } from './octetWriter.js';

const MAX_SEGMENT = 255;

/**
 * Reads segments until nothing is left (RFC 7606 section 7.2).
 * @param confederation whether AS_CONFED segments may stand there
 * @throws ShortField or Malformation
 */
export function readSegments(value: OctetReader, fourOctetAs: boolean, confederation: boolean): AsSegment[] {
  return value.all(reader => {
    const code = reader.u8();
    const type = SEGMENT_TYPES[code - 1];
    if (type === undefined) throw new Malformation(`segment type ${code}`);
    if (!confederation && (type === 'confedSequence' || type === 'confedSet')) {
      throw new Malformation('confederation segment from an external peer');
    }
    const count = reader.u8();
    if (count === 0) throw new Malformation('empty segment');
    const asns = Array.from({ length: count }, () => (fourOctetAs ? reader.u32() : reader.u16()));
    if (asns.includes(0)) throw new Malformation('AS 0 (RFC 7607)');
    return { type, asns };
  });
}

/** Appends segments; one of more than 255 numbers becomes several, and a number too wide for two octets AS_TRANS. */
export function writeSegments(segments: readonly AsSegment[], writer: OctetWriter, fourOctetAs: boolean): void {
  for (const { type, asns } of segments) {
    for (let at = 0; at < asns.length; at += MAX_SEGMENT) {
      const chunk = asns.slice(at, at + MAX_SEGMENT);
      writer.u8(SEGMENT_TYPES.indexOf(type) + 1).u8(chunk.length);
      writer.each(chunk, (w, asn) => (fourOctetAs ? w.u32(asn) : w.u16(asn > 0xffff ? AS_TRANS : asn)));
    }
  }
}

/** As operators write it: `65000 65001 {65002,65003} (65010 65011) [65012,65013]`; sets in braces, confederations in parentheses and brackets. */
export function formatAsPath(segments: readonly AsSegment[]): string {
  return segments.map(formatSegment).join(' ');
}

function formatSegment({ type, asns }: AsSegment): string {
  switch (type) {
    case 'sequence':
      return asns.join(' ');
    case 'set':
      return `{${asns.join(',')}}`;
    case 'confedSequence':
      return `(${asns.join(' ')})`;
    case 'confedSet':
      return `[${asns.join(',')}]`;
  }
}
