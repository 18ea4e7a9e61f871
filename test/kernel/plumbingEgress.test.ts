/** The egress table against the real kernel: written, changed in place, adopted, and put right when somebody touches it. Needs root and nft(8). */

import { execFileSync } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { EGRESS_STRUCTURE, EGRESS_TABLE } from '../../src/app/plumbing/egress.js';
import { systemClock } from '../../src/core/clock.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../src/core/reconciler.js';
import { openNft } from '../../src/kernel/nft.js';
import { elementKey, nftTableTarget } from '../../src/kernel/nftTable.js';
import { makeNamespace, slimNft, type Namespace } from './namespace.js';

// Dozens of processes are run, on machines that may have other work.
jest.setTimeout(180_000);

const NAME = 'pkplnft';
const COMMAND = slimNft(NAME);
let ns: Namespace;
const running: Reconciler<string, string>[] = [];
let events: ReconcilerEvent<string>[];
let readings = 0;

beforeEach(() => {
  ns = makeNamespace(NAME);
  events = [];
});
afterEach(async () => {
  await Promise.all(running.splice(0).map(reconciler => reconciler.stop()));
  ns.remove();
});

function nft(...args: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', NAME, 'nft', ...args], { encoding: 'utf8' });
}

function start(elements: readonly string[], isWanted = true): Reconciler<string, string> {
  const target = nftTableTarget(openNft(COMMAND), EGRESS_TABLE);
  const reconciler = createReconciler<string, string>({
    target: {
      ...target,
      read: () => {
        readings += 1;
        return target.read();
      },
    },
    clock: systemClock,
    equal: (a, b) => a === b,
    readBackInterval: 60_000,
    onEvent: event => events.push(event),
  });
  running.push(reconciler);
  reconciler.replaceAll(new Map(isWanted ? [EGRESS_STRUCTURE, ...elements.map(key => [key, ''] as const)] : []));
  reconciler.begin();
  return reconciler;
}

/** Reads again, and waits for what follows from it. */
async function reread(reconciler: Reconciler<string, string>): Promise<void> {
  const before = readings;
  reconciler.readSoon();
  while (readings === before) await setTimeout(10);
  await reconciler.idle();
}

const POD = elementKey('pods4', '10.244.1.0/24');
const ALL = [
  POD,
  elementKey('local4', '10.244.1.0/24'),
  elementKey('pods4', '10.244.2.1/32'),
  elementKey('nodes4', '10.0.0.1'),
  elementKey('pods6', 'fd00:1::/64'),
  elementKey('nodes6', '2001:db8::1'),
  elementKey('excluded4', '0.0.0.0/1'),
];
const kinds = (): readonly string[] => events.map(({ kind }) => kind);

describe('the egress table', () => {
  test('is written as asked for, and adopted by the next process without a write', async () => {
    await start(ALL).idle();
    const text = nft('list', 'ruleset');
    expect(text).toMatch(/type nat hook postrouting priority srcnat \+ 10; policy accept;/);
    expect(text).toMatch(
      /ip saddr @local4 ip daddr != @pods4 ip daddr != @nodes4 ip daddr != @excluded4 counter .* masquerade fully-random/,
    );
    expect(text).toMatch(/elements = { 10\.244\.1\.0\/24, 10\.244\.2\.1 }/);
    expect(kinds()).toEqual(['adopted', 'written']);
    events = [];
    await start(ALL).idle();
    expect(events).toEqual([{ kind: 'adopted', count: ALL.length + 1 }]);
  });

  test('changes elements only, a covering prefix in one step', async () => {
    const reconciler = start(ALL);
    await reconciler.idle();
    const handle = /postrouting { # handle (\d+)/.exec(nft('-a', 'list', 'ruleset'))?.[1];
    reconciler.apply([
      [POD, undefined],
      [elementKey('pods4', '10.244.2.1/32'), undefined],
      [elementKey('pods4', '10.244.0.0/16'), ''],
    ]);
    await reconciler.idle();
    expect(nft('list', 'set', 'inet', 'peerage_egress', 'pods4')).toMatch(/elements = { 10\.244\.0\.0\/16 }/);
    expect(/postrouting { # handle (\d+)/.exec(nft('-a', 'list', 'ruleset'))?.[1]).toBe(handle);
    expect(kinds()).not.toContain('error');
  });

  test.each([
    ['an element gone', 'delete element inet peerage_egress nodes4 { 10.0.0.1 }'],
    ['an element more', 'add element inet peerage_egress pods4 { 10.9.0.0/24 }'],
    ['the rules gone', 'flush chain inet peerage_egress postrouting'],
    ['a rule more', 'add rule inet peerage_egress postrouting ip daddr 10.1.1.1 accept'],
    ['a rule changed', 'replace'],
    ['the whole table gone', 'delete table inet peerage_egress'],
    ['a set more', 'add set inet peerage_egress own { type ipv4_addr; }'],
    ['elements of another form', 'add element inet peerage_egress pods4 { 10.9.0.1-10.9.0.6 }'],
  ])('is put right: %s', async (_name, command) => {
    const reconciler = start(ALL);
    await reconciler.idle();
    // The first reading after a write is what later ones are compared with.
    await reread(reconciler);
    const listing = (): string => nft('-s', 'list', 'ruleset');
    const before = listing();
    const [first = '', mark = ''] =
      /# handle (\d+)/.exec(/.*masquerade.*/.exec(nft('-a', 'list', 'ruleset'))?.[0] ?? '') ?? [];
    expect(first).not.toBe('');
    const comment = /comment "[^"]*"/.exec(before)?.[0] ?? '';
    nft(
      command === 'replace' ? `replace rule inet peerage_egress postrouting handle ${mark} accept ${comment}` : command,
    );
    expect(listing()).not.toBe(before);
    events = [];
    await reread(reconciler);
    expect(listing()).toBe(before);
    expect(kinds()).toEqual(['drift', 'written']);
  });

  test('goes when nobody wants it, and other tables never notice', async () => {
    nft('add table inet theirs; add set inet theirs pods4 { type ipv4_addr; elements = { 10.0.0.9 }; }');
    const theirs = nft('list', 'ruleset');
    await start(ALL).idle();
    expect(nft('list', 'ruleset')).not.toBe(theirs);
    await start([], false).idle();
    expect(nft('list', 'ruleset')).toBe(theirs);
  });

  test('of another version is replaced whole', async () => {
    nft('add table inet peerage_egress; add set inet peerage_egress pods4 { type ether_addr; }');
    await start(ALL).idle();
    expect(nft('list', 'set', 'inet', 'peerage_egress', 'pods4')).toMatch(/type ipv4_addr/);
    expect(kinds()).toEqual(['adopted', 'written']);
  });

  test('of 5,000 nodes is written in one transaction', async () => {
    const elements = Array.from({ length: 5000 }, (_, i) => elementKey('pods4', `10.${i >> 8}.${i & 255}.0/24`));
    await start(elements).idle();
    expect(nft('list', 'set', 'inet', 'peerage_egress', 'pods4').match(/\/24/g)).toHaveLength(5000);
    expect(kinds()).toEqual(['adopted', 'written']);
  });
});

test('without nft(8) the reason is told', async () => {
  await expect(openNft(['no-such-program']).run('')).rejects.toThrow('nft(8) is not installed on this machine');
  await expect(openNft(COMMAND).run('add rubbish')).rejects.toThrow(/^nft: .*syntax error/);
});
