/** One nftables table as scripts and back, without a kernel: what nft 1.0.6 lists for the table that is written here. */

import { describe, expect, test } from '@jest/globals';
import type { FoundTable, Nft } from '../../../src/kernel/nft.js';
import { concatenation, linkName, markText } from '../../../src/kernel/nftElements.js';
import {
  elementKey,
  fingerprint,
  nftTableTarget,
  PRESENT,
  STRUCTURE,
  tableScript,
  type NftTableShape,
} from '../../../src/kernel/nftTable.js';

const SHAPE: NftTableShape = {
  family: 'inet',
  name: 'ours',
  sets: [
    { name: 'nets', type: 'ipv4_addr', interval: true },
    { name: 'hosts', type: 'ipv6_addr', interval: false },
  ],
  chains: [
    {
      name: 'out',
      head: 'type nat hook postrouting priority 110; policy accept;',
      rules: ['ip saddr @nets masquerade'],
    },
  ],
};
const MARK = fingerprint(SHAPE);
const NET = elementKey('nets', '10.1.0.0/24');
const HOST = elementKey('hosts', '2001:db8::1');

const before = undefined;
const set = (...keys: readonly string[]): ReadonlyMap<string, { readonly value: string; readonly before: undefined }> =>
  new Map(keys.map(key => [key, { value: key === STRUCTURE ? MARK : PRESENT, before }]));
const removed = (...keys: readonly string[]): ReadonlyMap<string, string> => new Map(keys.map(key => [key, PRESENT]));

describe('scripts', () => {
  test('a table in place of whatever is there, with all its elements', () => {
    expect(tableScript(SHAPE, { set: set(STRUCTURE, NET, HOST), removed: removed() })).toBe(
      [
        'add table inet ours',
        'delete table inet ours',
        'add table inet ours',
        'add set inet ours nets { type ipv4_addr; flags interval; }',
        'add set inet ours hosts { type ipv6_addr; }',
        'add chain inet ours out { type nat hook postrouting priority 110; policy accept; }',
        `add rule inet ours out ip saddr @nets masquerade comment "peerage ${MARK}"`,
        'add element inet ours nets { 10.1.0.0/24 }',
        'add element inet ours hosts { 2001:db8::1 }',
        '',
      ].join('\n'),
    );
  });

  test('elements, one command for each set, what goes before what comes', () => {
    const other = elementKey('nets', '10.2.0.0/24');
    const cover = elementKey('nets', '10.0.0.0/8');
    expect(tableScript(SHAPE, { set: set(cover, HOST), removed: removed(NET, other) })).toBe(
      'delete element inet ours nets { 10.1.0.0/24, 10.2.0.0/24 }\n' +
        'add element inet ours nets { 10.0.0.0/8 }\nadd element inet ours hosts { 2001:db8::1 }\n',
    );
  });

  test('the end of the table takes its elements with it', () => {
    expect(tableScript(SHAPE, { set: set(), removed: removed(STRUCTURE, NET) })).toBe(
      'add table inet ours\ndelete table inet ours\n',
    );
  });
});

const LISTED: FoundTable = {
  chains: [
    { family: 'inet', table: 'ours', name: 'out', type: 'nat', hook: 'postrouting', prio: 110, policy: 'accept' },
  ],
  rules: [
    { chain: 'out', handle: 4, comment: `peerage ${MARK}`, expr: [{ counter: { packets: 0 } }, { masquerade: null }] },
  ],
  sets: [
    {
      name: 'nets',
      type: 'ipv4_addr',
      flags: ['interval'],
      elem: [{ prefix: { addr: '10.1.0.0', len: 24 } }, '10.2.0.1'],
    },
    { name: 'hosts', type: 'ipv6_addr', flags: [], elem: ['2001:db8::1'] },
  ],
  maps: [],
};

/** A machine that lists one table after another. */
function listing(...tables: readonly (FoundTable | undefined)[]): Nft {
  const rest = [...tables];
  return {
    run: () => Promise.resolve(),
    readTable: () => Promise.resolve(rest.shift()),
    readChain: () => Promise.resolve(undefined),
    chains: () => Promise.resolve([]),
  };
}

describe('what is read', () => {
  test('structure and elements; nothing where there is no table', async () => {
    const target = nftTableTarget(listing(undefined, LISTED), SHAPE);
    expect(await target.read()).toEqual(new Map());
    expect(await target.read()).toEqual(
      new Map([
        [STRUCTURE, MARK],
        ...[NET, elementKey('nets', '10.2.0.1/32'), HOST].map(key => [key, PRESENT] as const),
      ]),
    );
  });

  const [rule] = LISTED.rules as [FoundTable['rules'][number]];
  const [nets, hosts] = LISTED.sets as [FoundTable['sets'][number], FoundTable['sets'][number]];
  test.each([
    ['made by another version', { rules: [{ ...rule, comment: 'peerage 0123456789ab' }] }],
    ['a rule less', { rules: [] }],
    ['a rule more', { rules: [rule, rule] }],
    ['a set less', { sets: [nets] }],
    ['a set of another type', { sets: [{ ...nets, type: 'ether_addr' }, hosts] }],
    ['a set of other flags', { sets: [nets, { ...hosts, flags: ['timeout'] }] }],
    ['elements that are ranges', { sets: [{ ...nets, elem: [{ range: ['10.0.0.1', '10.0.0.6'] }] }, hosts] }],
    ['elements with a time limit', { sets: [nets, { ...hosts, elem: [{ elem: { val: '::1', timeout: 9 } }] }] }],
    ['a chain without a hook', { chains: [{ family: 'inet', table: 'ours', name: 'out' }] }],
  ] as readonly (readonly [string, Partial<FoundTable>])[])('%s: a table to be replaced', async (_name, change) => {
    const target = nftTableTarget(listing({ ...LISTED, ...change }), SHAPE);
    expect(await target.read()).toEqual(new Map([[STRUCTURE, `not ${MARK}`]]));
  });

  test('counters and handles may change, what a rule does may not', async () => {
    const counted = { ...rule, handle: 9, expr: [{ counter: { packets: 7 } }, { masquerade: null }] };
    const other = { ...rule, expr: [{ counter: { packets: 0 } }, { accept: null }] };
    const tables = [LISTED, { ...LISTED, rules: [counted] }, { ...LISTED, rules: [other] }];
    const target = nftTableTarget(listing(...tables), SHAPE);
    const marks = [await target.read(), await target.read(), await target.read()].map(values => values.get(STRUCTURE));
    expect(marks).toEqual([MARK, MARK, `not ${MARK}`]);
  });
});

describe('concatenations, maps, and what rules make', () => {
  const LINKS: NftTableShape = {
    family: 'bridge',
    name: 'links',
    sets: [
      { name: 'pods', type: ['ifname', 'ipv4_addr'], interval: false },
      { name: 'targets', type: ['ifname', 'integer'], typeOf: 'iifname . @nh,384,128', interval: false },
      { name: 'via', type: 'ipv4_addr', data: 'mark', interval: false },
      { name: 'seen', type: 'ifname', interval: false, dynamic: 'flags dynamic; counter;' },
    ],
    chains: [
      { name: 'in', head: 'type filter hook prerouting priority 0; policy accept;', rules: ['goto no'] },
      { name: 'no', head: '', rules: ['drop'] },
    ],
  };
  const mark = fingerprint(LINKS);
  const POD = elementKey('pods', concatenation(linkName('veth1'), '10.1.0.5'));
  const TARGET = elementKey('targets', concatenation(linkName('veth1'), '0xfd000001'));
  const VIA = elementKey('via', '10.1.0.5');

  test('are written so, chains before the rules that name them', () => {
    const delta = {
      set: new Map([
        [STRUCTURE, { value: mark, before }],
        [POD, { value: PRESENT, before }],
        [VIA, { value: markText(0x10000), before }],
      ]),
      removed: removed(),
    };
    expect(tableScript(LINKS, delta).split('\n').slice(3)).toEqual([
      'add set bridge links pods { type ifname . ipv4_addr; }',
      'add set bridge links targets { typeof iifname . @nh,384,128; }',
      'add map bridge links via { type ipv4_addr : mark; }',
      'add set bridge links seen { type ifname; flags dynamic; counter; }',
      'add chain bridge links in { type filter hook prerouting priority 0; policy accept; }',
      'add chain bridge links no',
      `add rule bridge links in goto no comment "peerage ${mark}"`,
      `add rule bridge links no drop comment "peerage ${mark}"`,
      'add element bridge links pods { "veth1" . 10.1.0.5 }',
      'add element bridge links via { 10.1.0.5 : 0x00010000 }',
      '',
    ]);
  });

  test('another value takes the place of the former in one script', () => {
    const delta = { set: new Map([[VIA, { value: '0x00020000', before: '0x00010000' }]]), removed: removed() };
    expect(tableScript(LINKS, delta)).toBe(
      'delete element bridge links via { 10.1.0.5 }\nadd element bridge links via { 10.1.0.5 : 0x00020000 }\n',
    );
  });

  test('are read back', async () => {
    const listed: FoundTable = {
      chains: [
        { family: 'bridge', table: 'links', name: 'in', type: 'filter', hook: 'prerouting', prio: 0, policy: 'accept' },
        { family: 'bridge', table: 'links', name: 'no' },
      ],
      rules: ['in', 'no'].map((chain, handle) => ({ chain, handle, comment: `peerage ${mark}`, expr: [] })),
      sets: [
        { name: 'pods', type: ['ifname', 'ipv4_addr'], flags: [], elem: [{ concat: ['veth1', '10.1.0.5'] }] },
        { name: 'targets', type: ['ifname', 'integer'], flags: [], elem: [{ concat: ['veth1', '0xfd000001'] }] },
        { name: 'seen', type: 'ifname', flags: ['dynamic'], elem: [{ elem: { val: 'veth9', counter: {} } }] },
      ],
      maps: [{ name: 'via', type: 'ipv4_addr', map: 'mark', flags: [], elem: [['10.1.0.5', 65536]] }],
    };
    expect(await nftTableTarget(listing(listed), LINKS).read()).toEqual(
      new Map([
        [STRUCTURE, mark],
        [POD, PRESENT],
        [TARGET, PRESENT],
        [VIA, '0x00010000'],
      ]),
    );
  });
});
