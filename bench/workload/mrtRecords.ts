/**
 * Reads the routes out of MRT files (RFC 6396): TABLE_DUMP, TABLE_DUMP_V2 (with RFC 8050's add-path subtypes) and BGP4MP
 * UPDATEs, plain or gzipped. Only what a table for a benchmark needs: one path for each prefix.
 */

import { gunzipSync } from 'node:zlib';
import type { Family } from '../../src/bgp/families.js';

export interface MrtRoute {
  readonly length: number;
  /** Address octets, as many as the length needs. */
  readonly address: Buffer;
  /** Path attributes as they stand in the file; undefined withdraws the prefix. */
  readonly attributes: Buffer | undefined;
  /** AS_PATH and AGGREGATOR hold two-octet numbers. */
  readonly twoOctetAs: boolean;
}

const TABLE_DUMP = 12;
const TABLE_DUMP_V2 = 13;
const BGP4MP = 16;
const BGP4MP_ET = 17;
/** TABLE_DUMP_V2 subtypes of unicast tables: family and whether entries carry a path identifier. */
const RIB_SUBTYPES: Readonly<Record<number, { readonly family: Family; readonly addPath: boolean }>> = {
  2: { family: 'ipv4-unicast', addPath: false },
  4: { family: 'ipv6-unicast', addPath: false },
  8: { family: 'ipv4-unicast', addPath: true },
  10: { family: 'ipv6-unicast', addPath: true },
};
/** BGP4MP subtypes that carry a message: width of the AS numbers, and whether NLRI carry a path identifier. */
const MESSAGE_SUBTYPES: Readonly<Record<number, { readonly asOctets: 2 | 4; readonly addPath: boolean }>> = {
  1: { asOctets: 2, addPath: false },
  4: { asOctets: 4, addPath: false },
  6: { asOctets: 2, addPath: false },
  7: { asOctets: 4, addPath: false },
  8: { asOctets: 2, addPath: true },
  9: { asOctets: 4, addPath: true },
};

/** All routes of the family in the order of the file. @throws RangeError when the file ends inside a record */
export function* mrtRoutes(file: Buffer, family: Family): Generator<MrtRoute> {
  const octets = file[0] === 0x1f && file[1] === 0x8b ? gunzipSync(file) : file;
  for (let at = 0; at < octets.length;) {
    const type = octets.readUInt16BE(at + 4);
    const subtype = octets.readUInt16BE(at + 6);
    const end = at + 12 + octets.readUInt32BE(at + 8);
    if (end > octets.length) throw new RangeError(`MRT record at ${at} runs past the end of the file`);
    // The extended timestamp counts as part of the message (RFC 6396 section 3).
    yield* recordRoutes(type, subtype, octets.subarray(at + (type === BGP4MP_ET ? 16 : 12), end), family);
    at = end;
  }
}

function* recordRoutes(type: number, subtype: number, body: Buffer, family: Family): Generator<MrtRoute> {
  if (type === TABLE_DUMP && subtype === (family === 'ipv4-unicast' ? 1 : 2)) yield tableDumpRoute(body, subtype);
  if (type === TABLE_DUMP_V2 && RIB_SUBTYPES[subtype]?.family === family) {
    const route = ribRoute(body, RIB_SUBTYPES[subtype].addPath);
    if (route !== undefined) yield route;
  }
  const message = MESSAGE_SUBTYPES[subtype];
  if ((type === BGP4MP || type === BGP4MP_ET) && message !== undefined)
    yield* messageRoutes(body, message.asOctets, message.addPath, family);
}

/** RFC 6396 section 4.2; always two-octet AS numbers. */
function tableDumpRoute(body: Buffer, subtype: number): MrtRoute {
  const width = subtype === 1 ? 4 : 16;
  const length = body[4 + width]!;
  const peer = 4 + width + 6;
  const attributes = peer + width + 4;
  const size = body.readUInt16BE(attributes - 2);
  return {
    length,
    address: body.subarray(4, 4 + octetsOf(length)),
    attributes: body.subarray(attributes, attributes + size),
    twoOctetAs: true,
  };
}

/** RFC 6396 section 4.3.2: the first entry stands for the prefix. */
function ribRoute(body: Buffer, addPath: boolean): MrtRoute | undefined {
  const length = body[4]!;
  const count = 5 + octetsOf(length);
  if (body.readUInt16BE(count) === 0) return undefined;
  const attributes = count + 2 + 6 + (addPath ? 4 : 0) + 2;
  const size = body.readUInt16BE(attributes - 2);
  return {
    length,
    address: body.subarray(5, count),
    attributes: body.subarray(attributes, attributes + size),
    twoOctetAs: false,
  };
}

/** RFC 6396 section 4.4: peer and local addresses, then a whole BGP message. */
function* messageRoutes(body: Buffer, asOctets: 2 | 4, addPath: boolean, family: Family): Generator<MrtRoute> {
  const afi = body.readUInt16BE(2 * asOctets + 2);
  const start = 2 * asOctets + 4 + 2 * (afi === 1 ? 4 : 16);
  if (body[start + 18] !== 2) return;
  const end = start + body.readUInt16BE(start + 16);
  const withdrawn = start + 21;
  const withdrawnEnd = withdrawn + body.readUInt16BE(withdrawn - 2);
  const attributesEnd = withdrawnEnd + 2 + body.readUInt16BE(withdrawnEnd);
  const attributes = body.subarray(withdrawnEnd + 2, attributesEnd);
  const twoOctetAs = asOctets === 2;
  if (family === 'ipv4-unicast') {
    yield* nlri(body.subarray(withdrawn, withdrawnEnd), addPath, undefined, twoOctetAs);
    yield* nlri(body.subarray(attributesEnd, end), addPath, attributes, twoOctetAs);
    return;
  }
  for (const { code, value } of attributesOf(attributes)) {
    if (code === 15 && isIpv6Unicast(value)) yield* nlri(value.subarray(3), addPath, undefined, twoOctetAs);
    if (code === 14 && isIpv6Unicast(value))
      yield* nlri(value.subarray(5 + value[3]!), addPath, attributes, twoOctetAs);
  }
}

function isIpv6Unicast(value: Buffer): boolean {
  return value.readUInt16BE(0) === 2 && value[2] === 1;
}

function* nlri(
  field: Buffer,
  addPath: boolean,
  attributes: Buffer | undefined,
  twoOctetAs: boolean,
): Generator<MrtRoute> {
  for (let at = 0; at < field.length;) {
    const lengthAt = addPath ? at + 4 : at;
    const length = field[lengthAt]!;
    const end = lengthAt + 1 + octetsOf(length);
    yield { length, address: field.subarray(lengthAt + 1, end), attributes, twoOctetAs };
    at = end;
  }
}

export interface RawAttribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Buffer;
}

/** The attributes in a block, one after another. @throws RangeError when one runs past the end */
export function* attributesOf(block: Buffer): Generator<RawAttribute> {
  for (let at = 0; at < block.length;) {
    const flags = block[at]!;
    const extended = (flags & 0x10) !== 0;
    const value = at + (extended ? 4 : 3);
    const end = value + (extended ? block.readUInt16BE(at + 2) : block.readUInt8(at + 2));
    if (end > block.length) throw new RangeError('an attribute in the MRT file runs past its block');
    yield { flags, code: block[at + 1]!, value: block.subarray(value, end) };
    at = end;
  }
}

function octetsOf(length: number): number {
  return (length + 7) >>> 3;
}
