/**
 * A real table as benchmark load: the routes of an MRT file, grouped by equal attributes, with the attributes that
 * belong to a session (next hop, local preference, MED) replaced by the feeder's own.
 */

import type { Family } from '../../src/bgp/families.js';
import { ATTRIBUTE_ROOM } from './attributes.js';
import type { AttributeWriter, Grouping } from './feed.js';
import { listedPrefixes, type ListedPrefix } from './listedPrefixes.js';
import { attributesOf, mrtRoutes, type MrtRoute } from './mrtRecords.js';
import type { PrefixTable } from './prefixTable.js';

export interface MrtTable {
  readonly table: PrefixTable;
  readonly grouping: Grouping;
  /** @param shift gives each set the attributes of the set that many further on */
  readonly writer: (shift: number, marker: number) => AttributeWriter;
}

const AS_PATH = 2;
const AGGREGATOR = 7;
const COMMUNITIES = 8;
/** NEXT_HOP, MED, LOCAL_PREF and the multiprotocol ones: the feeder's own take their place. AS4_* are merged. */
const REPLACED = new Set([3, 4, 5, 14, 15, 17, 18]);

/** @throws Error when the file has no route of the family */
export function mrtTable(file: Buffer, family: Family, limit: number): MrtTable {
  const held = routesHeld(file, family, limit);
  if (held.size === 0) throw new Error(`the MRT file has no ${family} routes`);
  const bySet = new Map<string, ListedPrefix[]>();
  for (const { prefix, block } of held.values()) {
    const known = bySet.get(block);
    if (known) known.push(prefix);
    else bySet.set(block, [prefix]);
  }
  const groups = [...bySet.values()];
  const table = listedPrefixes(family, groups.flat());
  const starts = new Uint32Array(groups.length + 1);
  groups.forEach((group, i) => (starts[i + 1] = starts[i]! + group.length));
  const blocks = [...bySet.keys()].map(key => Buffer.from(key, 'latin1'));
  return {
    table,
    grouping: { order: table.announceOrder(), starts },
    writer: (shift, marker) => (octets, at, set, nextHop4) =>
      writeBlock(octets, at, blocks[(set + shift) % blocks.length]!, marker, nextHop4),
  };
}

/** What is in the table after the whole file, by prefix; at most `limit` prefixes, none longer than 64 bits. */
function routesHeld(file: Buffer, family: Family, limit: number): Map<string, { prefix: ListedPrefix; block: string }> {
  const held = new Map<string, { prefix: ListedPrefix; block: string }>();
  for (const route of mrtRoutes(file, family)) {
    if (route.length > (family === 'ipv4-unicast' ? 32 : 64)) continue;
    const prefix = listed(route);
    const key = `${prefix.high}/${prefix.low}/${prefix.length}`;
    if (route.attributes === undefined) held.delete(key);
    else if (held.size < limit && !held.has(key)) {
      const block = normalBlock(route);
      if (block !== undefined && block.length < ATTRIBUTE_ROOM - 32) held.set(key, { prefix, block });
    }
  }
  return held;
}

function listed(route: MrtRoute): ListedPrefix {
  const octets = Buffer.alloc(8);
  route.address.copy(octets);
  return { length: route.length, high: octets.readUInt32BE(0), low: octets.readUInt32BE(4) };
}

/**
 * The attributes that stay, with four-octet AS numbers, as a latin1 string: a key for a Map. Undefined for routes that a
 * speaker would rightly keep to itself, so that the clients could wait for them for ever.
 */
function normalBlock(route: MrtRoute): string | undefined {
  const parts: Buffer[] = [];
  for (const { flags, code, value } of attributesOf(route.attributes ?? Buffer.alloc(0))) {
    if (REPLACED.has(code)) continue;
    const wide = !route.twoOctetAs
      ? value
      : code === AS_PATH
        ? widePath(value)
        : code === AGGREGATOR
          ? wideAs(value)
          : value;
    const head =
      wide.length > 255
        ? [flags | 0x10, code, wide.length >>> 8, wide.length & 255]
        : [flags & 0xef, code, wide.length];
    if (code === AS_PATH && !isPlainPath(wide)) return undefined;
    if (code === COMMUNITIES && hasNoAdvertise(wide)) return undefined;
    parts.push(Buffer.from(head), wide);
  }
  return Buffer.concat(parts).toString('latin1');
}

/** Sets and sequences only (no confederations, RFC 5065), whole, and without AS 0 (RFC 7607). */
function isPlainPath(value: Buffer): boolean {
  for (let at = 0; at < value.length;) {
    const count = value[at + 1] ?? 0;
    const end = at + 2 + 4 * count;
    if (value[at]! < 1 || value[at]! > 2 || count === 0 || end > value.length) return false;
    for (let as = at + 2; as < end; as += 4) if (value.readUInt32BE(as) === 0) return false;
    at = end;
  }
  return true;
}

/** NO_ADVERTISE (RFC 1997). */
function hasNoAdvertise(value: Buffer): boolean {
  for (let at = 0; at + 4 <= value.length; at += 4) if (value.readUInt32BE(at) === 0xffffff02) return true;
  return false;
}

function widePath(value: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < value.length;) {
    const count = value[at + 1]!;
    parts.push(value.subarray(at, at + 2));
    for (let i = 0; i < count; i++) parts.push(Buffer.from([0, 0, value[at + 2 + 2 * i]!, value[at + 3 + 2 * i]!]));
    at += 2 + 2 * count;
  }
  return Buffer.concat(parts);
}

function wideAs(value: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(2), value]);
}

function writeBlock(octets: Buffer, at: number, block: Buffer, marker: number, nextHop4: number | undefined): number {
  const own = [0x80, 4, 4, 0, 0, 0, marker, 0x40, 5, 4, 0, 0, 0, 100];
  if (nextHop4 !== undefined)
    own.push(0x40, 3, 4, nextHop4 >>> 24, (nextHop4 >>> 16) & 255, (nextHop4 >>> 8) & 255, nextHop4 & 255);
  block.copy(octets, at);
  octets.set(own, at + block.length);
  return at + block.length + own.length;
}
