import { describe, expect, test } from '@jest/globals';
import { countUpdate } from '../../../../bench/load/countUpdate.js';
import { testNextHops } from '../../../../bench/load/addresses.js';
import { HeldPrefixes } from '../../../../bench/load/heldPrefixes.js';
import { MessageWalk } from '../../../../bench/load/messageWalk.js';
import { loadTable, MARKER_AFTER, type FeedName, type LoadedTable } from '../../../../bench/workload/tables.js';
import { attributesOf } from '../../../../bench/workload/mrtRecords.js';

const SIZE = 20_000;
const tables = {
  'ipv4-unicast': loadTable({ kind: 'generated', family: 'ipv4-unicast', size: SIZE }),
  'ipv6-unicast': loadTable({ kind: 'generated', family: 'ipv6-unicast', size: SIZE }),
};

function deliver(held: HeldPrefixes, octets: Buffer): number {
  let messages = 0;
  const walk = new MessageWalk((type, at, start, end) => {
    expect(type).toBe(2);
    expect(end - start + 19).toBeLessThanOrEqual(4096);
    messages++;
    countUpdate(held, at, start, end);
  });
  walk.push(octets, octets.length);
  return messages;
}

/** The attribute blocks of all UPDATEs of an IPv4 feed. */
function blocks(loaded: LoadedTable, name: FeedName): Buffer[] {
  const { octets } = loaded.feed(name, testNextHops);
  const found: Buffer[] = [];
  for (let at = 0; at < octets.length; at += octets.readUInt16BE(at + 16)) {
    const size = octets.readUInt16BE(at + 21);
    if (size > 0) found.push(octets.subarray(at + 23, at + 23 + size));
  }
  return found;
}

describe.each(['ipv4-unicast', 'ipv6-unicast'] as const)('feeds of %s', family => {
  const loaded = tables[family];

  test('announce, change and withdraw every prefix exactly once', () => {
    const held = new HeldPrefixes(loaded.table);
    for (const name of ['first', 'changed', 'withdraw'] as const) {
      deliver(held, loaded.feed(name, testNextHops).octets);
      expect(held.count(MARKER_AFTER[name])).toBe(SIZE);
    }
    expect(held.strangers).toBe(0);
  });

  test('say how many messages they have and may be cut at message boundaries', () => {
    const feed = loaded.feed('first', testNextHops);
    expect(feed.cuts[0]).toBe(0);
    expect(feed.cuts.at(-1)).toBe(feed.octets.length);
    expect(deliver(new HeldPrefixes(loaded.table), feed.octets)).toBe(feed.messages);
    for (const cut of feed.cuts.slice(0, -1)) expect(feed.octets.readUInt32BE(cut)).toBe(0xffffffff);
  });

  test('are the same octets every time', () => {
    expect(loaded.feed('first', testNextHops).octets.equals(loaded.feed('first', testNextHops).octets)).toBe(true);
  });

  test('of two feeders name a winner for every prefix, about half of them in each', () => {
    const even = new HeldPrefixes(loaded.table);
    const odd = new HeldPrefixes(loaded.table);
    deliver(even, loaded.feed('better-even', testNextHops).octets);
    deliver(odd, loaded.feed('better-odd', testNextHops).octets);
    expect(even.count(1) + odd.count(1)).toBe(SIZE);
    expect(even.count(3) + odd.count(3)).toBe(SIZE);
    expect(Math.abs(even.count(1) / SIZE - 0.5)).toBeLessThan(0.15);
  });
});

describe('attribute sets', () => {
  const loaded = tables['ipv4-unicast'];

  test('are one for six prefixes, 166,860 for a million', () => {
    expect(loaded.grouping.starts).toHaveLength(Math.round(SIZE * 0.16686) + 1);
    expect(loaded.grouping.starts.at(-1)).toBe(SIZE);
    expect([...loaded.grouping.starts].every((start, i, all) => i === 0 || start > all[i - 1]!)).toBe(true);
  });

  test('are well formed, in ascending order, and lose by path length alone where they should', () => {
    const pathLength = (block: Buffer): number => {
      const codes: number[] = [];
      let length = -1;
      for (const { code, value } of attributesOf(block)) {
        codes.push(code);
        if (code === 2) length = value[1]!;
      }
      expect(codes).toEqual([...codes].sort((a, b) => a - b));
      expect(codes.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
      return length;
    };
    const [even, odd] = [blocks(loaded, 'better-even'), blocks(loaded, 'better-odd')];
    expect(even).toHaveLength(odd.length);
    for (let set = 0; set < 500; set++)
      expect(pathLength(even[set]!) - pathLength(odd[set]!)).toBe(set % 2 === 0 ? -1 : 1);
  });

  test('differ from each other and between a feed and its change', () => {
    const first = blocks(loaded, 'first').map(b => b.toString('hex'));
    const changed = new Set(blocks(loaded, 'changed').map(b => b.toString('hex')));
    expect(new Set(first).size).toBeGreaterThan(first.length * 0.95);
    expect(first.some(block => changed.has(block))).toBe(false);
  });
});
