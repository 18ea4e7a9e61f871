/** nf_tables over netlink: elements that count, verdicts that go on, and being told of what others change. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { openChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { readCounts, readElement, readElements } from '../../src/kernel/nftables/dump.js';
import type { Expression } from '../../src/kernel/nftables/expressions.js';
import * as message from '../../src/kernel/nftables/messages.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { openTableMonitor, type TableMonitor } from '../../src/kernel/nftables/tableMonitor.js';
import { openTransactions, type Transactions } from '../../src/kernel/nftables/transaction.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { until } from './tcpNamespaces.js';

const TABLE: message.TableName = { family: 'ip', name: 'pkn-test' };
const PINGED = '\x7f\0\0\x09';
const OTHER = '\x7f\0\0\x08';

let ns: Namespace;
let channel: NetlinkChannel;
let transactions: Transactions;
let monitor: TableMonitor;
beforeEach(() => {
  ns = makeNamespace('pkn-nft');
  [channel, transactions] = ns.inside(() => [openChannel(NETLINK_NETFILTER), openTransactions()]);
  monitor = ns.inside(() => openTableMonitor(transactions.portId));
});
afterEach(() => {
  monitor.close();
  channel.close();
  transactions.close();
  ns.remove();
});

const nft = (...args: readonly string[]): string =>
  execFileSync('ip', ['netns', 'exec', ns.name, 'nft', ...args], { encoding: 'utf8' });
const ping = (address: string): unknown =>
  execFileSync('ip', ['netns', 'exec', ns.name, 'sh', '-c', `ping -c 3 -i 0.2 -W 1 ${address} || true`]);

/** A table whose output chain has one rule. */
function make(sets: readonly message.SetShape[], rule: readonly Expression[]): Promise<void> {
  const chain: message.ChainShape = { name: 'out', hook: { type: 'filter', at: 'output', priority: 0 }, rules: [rule] };
  return transactions.run(writer => {
    message.writeTable(writer, 'add', TABLE);
    sets.forEach((set, i) => message.writeSet(writer, TABLE, set, i + 1));
    message.writeChain(writer, TABLE, chain);
    message.writeRule(writer, TABLE, chain.name, rule, 'test');
  });
}

const add = (set: string, elements: readonly message.WireElement[]): Promise<void> =>
  transactions.run(writer => message.writeElements(writer, 'add', TABLE, set, elements));

test('elements of a counted set count what finds them, by the address before translation', async () => {
  await make(
    [{ name: 'seen', key: ['ipv4_addr'], counted: true }],
    [
      { kind: 'original', key: 'daddr4', to: 0 },
      { kind: 'lookup', set: 'seen', from: 0 },
    ],
  );
  await add(
    'seen',
    [PINGED, OTHER].map(key => ({ key, value: undefined })),
  );
  ping('127.0.0.9');
  const counts = await readCounts(channel, TABLE, 'seen');
  // Echo requests of 84 octets and their answers are one connection: all six packets have the same original address.
  expect(counts.get(PINGED)).toEqual({ packets: 6n, octets: 6n * 84n });
  expect(counts.get(OTHER)).toEqual({ packets: 0n, octets: 0n });
  // What was there keeps its count when others come.
  await add('seen', [{ key: '\x7f\0\0\x07', value: undefined }]);
  expect((await readCounts(channel, TABLE, 'seen')).get(PINGED)?.packets).toBe(6n);
});

test('a set of ranges holds what is between its pairs, to the last address', async () => {
  const pairs = [
    { key: '\x7f\0\0\x09', value: undefined },
    { key: '\x7f\0\0\x0b', value: undefined, closes: true },
    { key: '\x7f\0\0\x20', value: undefined },
  ];
  await make(
    [
      { name: 'blocks', key: ['ipv4_addr'], ranges: true },
      { name: 'seen', key: ['ipv4_addr'], dynamic: 100, counted: true },
    ],
    [
      { kind: 'payload', base: 'network', offset: 16, length: 4, to: 0 },
      { kind: 'lookup', set: 'blocks', from: 0 },
      { kind: 'range', from: 0, first: [127, 0, 0, 10], last: [127, 0, 0, 255] },
      { kind: 'ct', key: 'mark', to: 1 },
      { kind: 'dynamic', operation: 'add', set: 'seen', key: 0 },
      { kind: 'limit', perSecond: 100, burst: 50 },
      { kind: 'log', group: 7, prefix: 'test ', octets: 64 },
    ],
  );
  await add('blocks', pairs);
  for (const last of [9, 10, 11, 32, 255]) ping(`127.0.0.${last}`);
  const seen = [...(await readCounts(channel, TABLE, 'seen')).keys()].map(key => key.charCodeAt(3));
  expect(seen.sort((a, b) => a - b)).toEqual([10, 32, 255]);
  expect(await readElements(channel, TABLE, 'blocks')).toEqual(expect.arrayContaining(pairs));
  expect(nft('list', 'table', 'ip', TABLE.name)).toContain('127.0.0.9-127.0.0.10');
  expect(nft('list', 'table', 'ip', TABLE.name)).toContain('log prefix "test " group 7 snaplen 64');
});

test('a verdict of continue goes on with the rule, no element ends it', async () => {
  await make(
    [{ name: 'closed', key: ['ipv4_addr'], data: 'verdict' }],
    [
      { kind: 'payload', base: 'network', offset: 16, length: 4, to: 0 },
      { kind: 'vmap', set: 'closed', from: 0 },
      { kind: 'verdict', verdict: { kind: 'drop' } },
    ],
  );
  await add('closed', [{ key: PINGED, value: { kind: 'continue' } }]);
  expect((await readElements(channel, TABLE, 'closed'))[0]?.value).toEqual({ kind: 'continue' });
  expect(String(ping('127.0.0.9'))).toContain(' 0 received');
  expect(String(ping('127.0.0.8'))).toContain(' 3 received');
  expect(nft('list', 'table', 'ip', TABLE.name)).toContain('vmap @closed drop');
});

test('one element is read among many, of sets and maps', async () => {
  const many = Array.from({ length: 5000 }, (_, i) => `\x0a\0${String.fromCharCode(i >> 8, i & 255)}`);
  await make(
    [
      { name: 'known', key: ['ipv4_addr'] },
      { name: 'targets', key: ['ipv4_addr'], data: ['ipv4_addr'] },
      { name: 'verdicts', key: ['ipv4_addr'], data: 'verdict' },
    ],
    [],
  );
  await add(
    'known',
    many.map(key => ({ key, value: undefined })),
  );
  await add(
    'targets',
    many.map(key => ({ key, value: key })),
  );
  await add('verdicts', [{ key: OTHER, value: { kind: 'drop' } }]);
  const read = (set: string, key: string) => readElement(channel, TABLE, set, key);
  expect(await read('known', many[4000]!)).toEqual({ key: many[4000], value: undefined });
  expect(await read('known', PINGED)).toBeUndefined();
  expect((await read('targets', many[4000]!))?.value).toBe(many[4000]);
  expect((await read('verdicts', OTHER))?.value).toEqual({ kind: 'drop' });
  expect(await read('missing', OTHER)).toBeUndefined();
});

describe('notifications', () => {
  let told: string[];
  beforeEach(async () => {
    told = [];
    await make([{ name: 'seen', key: ['ipv4_addr'] }], []);
    monitor.watch(TABLE, () => told.push('ours'));
    monitor.watch({ family: 'ip6', name: TABLE.name }, () => told.push('another'));
  });

  test.each([
    ['an element', 'add element ip pkn-test seen { 127.0.0.1 }'],
    ['a rule', 'add rule ip pkn-test out accept'],
    ['the rules of a chain', 'flush chain ip pkn-test out'],
    ['the table', 'delete table ip pkn-test'],
  ])('%s changed by another is told', async (_name, command) => {
    nft(command);
    await until('it is told', () => told.length > 0);
    expect(new Set(told)).toEqual(new Set(['ours']));
  });

  test('neither our own changes nor other tables are told', async () => {
    await add('seen', [{ key: PINGED, value: undefined }]);
    nft('add table ip other; add chain ip other x');
    // Told in the order of what happened.
    nft('add table ip6 pkn-test');
    await until('the last change is told', () => told.includes('another'));
    expect(told).toEqual(['another']);
  });

  test('more than the socket holds is told too', async () => {
    // No turn of the event loop in between.
    const elements = Array.from({ length: 40_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`).join(',');
    execFileSync('ip', ['netns', 'exec', ns.name, 'nft', '-f', '-'], {
      input: `add table ip other\nadd set ip other x { type ipv4_addr; }\nadd element ip other x { ${elements} }\n`,
    });
    await until('it is told', () => told.includes('ours') && told.includes('another'));
  });
});
