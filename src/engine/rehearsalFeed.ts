/** UPDATEs for a rehearsal: a table of made-up routes, told, told otherwise, and taken back (RFC 4271 section 4.3). */

import type { AsSegment, PathAttribute } from '../bgp/attributes.js';
import type { FamilyIndex } from '../bgp/families.js';
import { encodeAttributes } from '../bgp/wire/attributeCodec.js';
import { AttributeCode, HEADER_LENGTH, MARKER_LENGTH, MessageType } from '../bgp/wire/iana.js';
import { Ipv4 } from '../core/ip.js';

const UPDATES = 1200;
const PREFIXES_PER_UPDATE = 6;
const PATHS = 64;
/** Longest of the messages made here. */
const LONGEST = 256;
/** Documentation addresses (RFC 5737, RFC 3849). */
const NEXT_HOP = Ipv4(0xc0000201);
const NEXT_HOP6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/** Of an attribute of RFC 4760: optional, with a length of two octets. */
const MP_FLAGS = 0x90;

/** The octets of a feeder: first all routes, then all with other attributes, then all withdrawn. */
export function rehearsalFeed(family: FamilyIndex): Uint8Array {
  const blocks = Array.from({ length: PATHS }, (_, i) => attributesOf(i, family));
  const octets = new Uint8Array(3 * UPDATES * LONGEST);
  let at = 0;
  for (const act of [0, 1, 2]) {
    for (let update = 0; update < UPDATES; update++) {
      const block = act === 2 ? undefined : blocks[(update + act) % PATHS];
      at = writeUpdate(octets, at, family, update, block, update * 2 + act);
    }
  }
  return octets.subarray(0, at);
}

/** What routes have most often. The end of the last community is overwritten with the mark of each UPDATE. */
function attributesOf(index: number, family: FamilyIndex): Uint8Array {
  const asns = Array.from({ length: 2 + (index % 9) }, (_, i) => 64_496 + ((index * 7 + i * 13) % 16));
  const segments: AsSegment[] = [{ type: 'sequence', asns }];
  const communities = Array.from({ length: 1 + (index % 5) }, (_, i) => 0xfc000000 + i);
  const attributes: PathAttribute[] = [
    { kind: 'origin', origin: 'igp' },
    { kind: 'asPath', segments },
    { kind: 'localPref', localPref: 100 },
    { kind: 'communities', communities },
  ];
  if (family === 0) attributes.push({ kind: 'nextHop', address: NEXT_HOP });
  if (index % 8 === 1) attributes.push({ kind: 'aggregator', asn: 64_511, routerId: NEXT_HOP });
  if (index % 16 === 1) attributes.push({ kind: 'atomicAggregate' });
  if (index % 8 === 2)
    attributes.push({
      kind: 'largeCommunities',
      communities: [
        [64_496, 1, 2],
        [64_496, 3, index],
      ],
    });
  if (index % 2 === 0) attributes.push({ kind: 'med', med: index });
  return encodeAttributes(attributes, { fourOctetAs: true });
}

/**
 * Writes one message.
 * @param block attributes without MP_REACH_NLRI; undefined for a withdrawal
 * @param mark makes the attributes different from those of other marks   @returns the offset behind it
 */
function writeUpdate(
  out: Uint8Array,
  start: number,
  family: FamilyIndex,
  update: number,
  block: Uint8Array | undefined,
  mark: number,
): number {
  const withdrawn = start + HEADER_LENGTH;
  let end: number;
  if (family === 0 && block === undefined) {
    const nlriEnd = writePrefixes(out, withdrawn + 2, family, update);
    write16(out, withdrawn, nlriEnd - withdrawn - 2);
    end = nlriEnd + 2;
  } else {
    const attributes = withdrawn + 4;
    const reached = family === 0 ? attributes : writeMultiprotocol(out, attributes, update, block !== undefined);
    if (block !== undefined) {
      out.set(block, reached);
      write16(out, reached + block.length - 2, mark);
    }
    const attributesEnd = reached + (block?.length ?? 0);
    write16(out, withdrawn + 2, attributesEnd - attributes);
    end = family === 0 ? writePrefixes(out, attributesEnd, family, update) : attributesEnd;
  }
  out.fill(0xff, start, start + MARKER_LENGTH);
  write16(out, start + MARKER_LENGTH, end - start);
  out[start + MARKER_LENGTH + 2] = MessageType.update;
  return end;
}

/** Writes MP_REACH_NLRI or MP_UNREACH_NLRI of IPv6 unicast (RFC 4760). @returns the offset behind it */
function writeMultiprotocol(out: Uint8Array, start: number, update: number, reach: boolean): number {
  const head = [MP_FLAGS, reach ? AttributeCode.mpReach : AttributeCode.mpUnreach, 0, 0, 0, 2, 1];
  if (reach) head.push(NEXT_HOP6.length, ...NEXT_HOP6, 0);
  out.set(head, start);
  const end = writePrefixes(out, start + head.length, 1, update);
  write16(out, start + 2, end - start - 4);
  return end;
}

/** Prefixes of the usual lengths, spread as if at random but the same every time. @returns the offset behind them */
function writePrefixes(out: Uint8Array, at: number, family: FamilyIndex, update: number): number {
  for (let i = 0; i < PREFIXES_PER_UPDATE; i++) {
    const number = update * PREFIXES_PER_UPDATE + i;
    const word = Math.imul(number + 1, 0x9e3779b1);
    const octets = (family === 0 ? 3 : 4) - (number % 8 === 0 ? 1 : 0);
    const lead = family === 0 ? 0 : 2;
    out[at++] = (lead + octets) * 8;
    if (family === 1) {
      write16(out, at, 0x2001);
      at += 2;
    }
    for (let shift = 24, left = octets; left > 0; shift -= 8, left--) out[at++] = word >>> shift;
  }
  return at;
}

function write16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value;
}
