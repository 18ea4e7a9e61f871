import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createEngineClient, type EngineClient } from '../../../../src/app/engine/client.js';
import { ListReceiver, ListSender } from '../../../../src/app/engine/listChange.js';
import type { EngineAnswers, EngineRequest } from '../../../../src/app/engine/messages.js';
import { createEngineService } from '../../../../src/app/engine/service.js';
import { Asn } from '../../../../src/bgp/asn.js';
import { Ipv4, ipv4 } from '../../../../src/core/ip.js';
import type { Engine, EngineConfig, EngineNetwork } from '../../../../src/engine/engineTypes.js';
import type { RouteView } from '../../../../src/engine/view.js';

describe('lists by what changed in them', () => {
  test('after any history the other end has the same members, and those that stayed are the same objects', () => {
    const pool = Array.from({ length: 8 }, (_, n) => ({ n }));
    const lists = fc.array(fc.subarray(pool, { minLength: 0 }), { maxLength: 12 });
    fc.assert(
      fc.property(lists, history => {
        const [sender, receiver] = [new ListSender<{ n: number }>(), new ListReceiver<{ n: number }>()];
        let before: readonly { n: number }[] = [];
        let held: readonly { n: number }[] = [];
        for (const list of history) {
          const change = structuredClone(sender.change(list));
          expect(change.set).toHaveLength(list.filter(member => !before.includes(member)).length);
          const after = receiver.apply(change);
          expect(new Set(after.map(({ n }) => n))).toEqual(new Set(list.map(({ n }) => n)));
          const stayed = held.filter(({ n }) => list.some(member => member.n === n));
          for (const member of stayed) expect(after).toContain(member);
          [before, held] = [list, after];
        }
      }),
    );
  });
});

/** What an engine was asked to do, and what it answers; everything that crosses is cloned, as between threads. */
let applied: EngineConfig[];
let told: number;
let closed: boolean;
let client: EngineClient;

function route(n: number): RouteView {
  return { prefix: `10.${n >> 8}.${n & 255}.0/24` } as RouteView;
}

function* routes(count: number): Generator<RouteView> {
  try {
    for (let n = 0; n < count; n++) {
      told++;
      yield route(n);
    }
  } finally {
    closed = true;
  }
}

const engine = {
  apply: (config: EngineConfig) => {
    applied.push(config);
    return {
      added: [],
      removed: [],
      reset: [],
      updated: [],
      networksAdded: config.networks.length,
      networksRemoved: 0,
    };
  },
  routes: () => routes(10_000),
  adjIn: (peer: string) => (peer === 'known' ? routes(1) : undefined),
  resetPeer: (name: string) => {
    if (name === 'broken') throw new Error('a bug');
    return name === 'known';
  },
} as unknown as Engine;

beforeEach(() => {
  [applied, told, closed] = [[], 0, false];
  const answer = createEngineService(engine);
  const ask = async <R extends EngineRequest>(request: R): Promise<EngineAnswers[R['kind']]> =>
    structuredClone(await answer(structuredClone(request))) as EngineAnswers[R['kind']];
  client = createEngineClient(ask, () => undefined);
});

const network = (n: number): EngineNetwork => ({ prefix: { address: ipv4(n << 8), length: 24 } });
const decision: EngineConfig['decision'] = {
  alwaysCompareMed: false,
  missingMedWorst: false,
  maximumPaths: { ebgp: 1, ibgp: 1 },
  multipathRelax: false,
};
const base = { asn: Asn(65000), routerId: Ipv4(1), listen: [], decision, peers: [], dynamicRanges: [] };

test('a network that stays is the same object to the engine from one configuration to the next', async () => {
  const [one, two, three] = [network(1), network(2), network(3)];
  await client.apply({ ...base, networks: [one, two] });
  const report = await client.apply({ ...base, networks: [two, three] });
  expect(report.networksAdded).toBe(2);
  expect(applied[1]!.networks).toEqual([two, three]);
  expect(applied[1]!.networks[0]).toBe(applied[0]!.networks[1]);
  // Parts that are the same objects here are so there, so that the engine sees at a glance that nothing changed.
  expect(applied[1]!.decision).toBe(applied[0]!.decision);
});

test('a part of the configuration that is another object arrives', async () => {
  await client.apply({ ...base, networks: [] });
  await client.apply({ ...base, asn: Asn(65001), networks: [] });
  expect(applied.map(({ asn }) => asn)).toEqual([65000, 65001]);
});

test('a long listing comes whole and in order', async () => {
  const prefixes: string[] = [];
  for await (const { prefix } of client.routes({})) prefixes.push(prefix);
  expect(prefixes).toHaveLength(10_000);
  expect(prefixes[9_999]).toBe(route(9_999).prefix);
  expect(closed).toBe(true);
});

test('a reader that stops early frees the listing, which was read no further than a piece', async () => {
  for await (const { prefix } of client.routes({})) if (prefix === route(3).prefix) break;
  await Promise.resolve();
  expect(closed).toBe(true);
  expect(told).toBeLessThanOrEqual(2000);
});

test('a peer that is not there is told from one without routes', async () => {
  expect(await client.adjIn('unknown', {})).toBeUndefined();
  const found = await client.adjIn('known', {});
  const prefixes: string[] = [];
  for await (const { prefix } of found ?? []) prefixes.push(prefix);
  expect(prefixes).toEqual([route(0).prefix]);
});

test('what the engine throws reaches whoever asked', async () => {
  await expect(client.resetPeer('broken', undefined)).rejects.toThrow('a bug');
  expect(await client.resetPeer('known', undefined)).toBe(true);
  expect(await client.resetPeer('unknown', undefined)).toBe(false);
});
