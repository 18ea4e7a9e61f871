/** Path attributes between octets and values, for everything but the scanner: CLI, API, networks of our own, tests. */

import type { AttributeOf, KnownAttribute, PathAttribute } from '../attributes.js';
import { ATTRIBUTES, type CodecContext, type Row, type Verdict } from './attributeTable.js';
import { Flag } from './iana.js';
import { Malformation, OctetReader, ShortField } from './octetReader.js';
import { OctetWriter } from './octetWriter.js';

/** Blocks have four-octet AS numbers, and what stands in them has been accepted already. */
const BLOCK: CodecContext = { fourOctetAs: true, ebgp: false };
/** The two flags an attribute's specification fixes. */
const FIXED_FLAGS = Flag.optional | Flag.transitive;

const ROWS: ReadonlyMap<number, KnownRow> = new Map(
  Object.values(ATTRIBUTES).map((row): [number, KnownRow] => [row.code, row]),
);
/** The rows' common face: what can be asked of an attribute whose kind is not known yet. */
type KnownRow = (typeof ATTRIBUTES)[KnownAttribute];

/** The row of a type code, undefined when we do not know it. */
export function rowOf(code: number): KnownRow | undefined {
  return ROWS.get(code);
}

/** An attribute that cannot be taken as it is, and what RFC 7606 wants done. */
export interface BadAttribute {
  readonly verdict: Verdict;
  readonly reason: string;
}

/**
 * Decodes one attribute whose value stands in octets[start .. end).
 * The one place where a short or malformed value becomes the verdict of its row.
 */
export function decodeAttribute(
  code: number,
  flags: number,
  octets: Uint8Array,
  start: number,
  end: number,
  context: CodecContext,
): PathAttribute | BadAttribute {
  const row = ROWS.get(code);
  if (row === undefined) {
    return { kind: 'unknown', code, flags: flags & ~Flag.extendedLength, value: octets.slice(start, end) };
  }
  if (((flags ^ row.flags) & FIXED_FLAGS) !== 0) {
    return { verdict: row.badFlags, reason: `${row.name}: flags 0x${flags.toString(16)}` };
  }
  const reader = OctetReader.over(octets, start, end);
  try {
    const attribute = row.decode(reader, context);
    if (reader.remaining > 0) throw new Malformation(`${reader.remaining} octets too many`);
    return attribute;
  } catch (error) {
    if (!(error instanceof ShortField || error instanceof Malformation)) throw error;
    return { verdict: row.malformed, reason: `${row.name}: ${error.message}` };
  }
}

/**
 * Decodes a block in normal form (see UpdateRecord.block).
 * @throws Error when octets[start .. end) is no such block: ours is the mistake then, not a peer's
 */
export function decodeBlock(octets: Uint8Array, start: number, end: number): PathAttribute[] {
  const attributes: PathAttribute[] = [];
  const reader = OctetReader.over(octets, start, end);
  while (reader.remaining > 0) {
    const flags = reader.u8();
    const code = reader.u8();
    const value = reader.octets((flags & Flag.extendedLength) === 0 ? reader.u8() : reader.u16());
    const attribute = decodeAttribute(code, flags, value, 0, value.length, BLOCK);
    if ('verdict' in attribute) throw new Error(`attribute block: ${attribute.reason}`);
    attributes.push(attribute);
  }
  return attributes;
}

/**
 * Encodes attributes one after another, ascending by type code, the extended-length bit only where it is needed.
 * With two-octet AS numbers wider ones become AS_TRANS; as4Path and as4Aggregator are the caller's to add.
 * @throws RangeError when a number does not fit its field
 */
export function encodeAttributes(
  attributes: readonly PathAttribute[],
  { fourOctetAs }: { readonly fourOctetAs: boolean },
): Uint8Array {
  const writer = new OctetWriter();
  const sorted = attributes.toSorted((a, b) => attributeCode(a) - attributeCode(b));
  for (const attribute of sorted) {
    const value = encodeValue(attribute, { fourOctetAs, ebgp: false });
    const long = value.length > 255;
    writer.u8(attributeFlags(attribute) | (long ? Flag.extendedLength : 0)).u8(attributeCode(attribute));
    (long ? writer.u16(value.length) : writer.u8(value.length)).octets(value);
  }
  return writer.done();
}

/** IANA's number of an attribute. */
export function attributeCode(attribute: PathAttribute): number {
  return attribute.kind === 'unknown' ? attribute.code : ATTRIBUTES[attribute.kind].code;
}

function attributeFlags(attribute: PathAttribute): number {
  return attribute.kind === 'unknown' ? attribute.flags & ~Flag.extendedLength : ATTRIBUTES[attribute.kind].flags;
}

function encodeValue(attribute: PathAttribute, context: CodecContext): Uint8Array {
  const writer = new OctetWriter();
  if (attribute.kind === 'unknown') writer.octets(attribute.value);
  else encodeKnown(attribute.kind, attribute, writer, context);
  return writer.done();
}

function encodeKnown<K extends KnownAttribute>(
  kind: K,
  attribute: AttributeOf<K>,
  writer: OctetWriter,
  context: CodecContext,
): void {
  const row: Row<K> = ATTRIBUTES[kind];
  row.encode(attribute, writer, context);
}
