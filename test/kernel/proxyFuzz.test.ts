/**
 * Random histories of services: after every step the table, read by nft(8), is the one that a proxy makes which has just
 * been started in an empty namespace. Needs root.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { z } from 'zod';
import { SETS } from '../../src/proxy/nftables/layout.js';
import { parseFan } from '../../src/proxy/nftables/fanChains.js';
import { openNftablesProxy } from '../../src/proxy/nftables/nftablesProxy.js';
import type { ProxyBackend, ProxyEvent } from '../../src/proxy/proxyBackend.js';
import type { Family } from '../../src/proxy/proxyTypes.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { backendOn, deltaOf, prefixOf, SETTINGS, type ServiceShape } from './proxyRig.js';

const RUNS = 6;
const PATIENCE = 300_000;

let grown: Namespace;
let fresh: Namespace;
beforeAll(() => {
  [grown, fresh] = [makeNamespace('pknf-grown'), makeNamespace('pknf-fresh')];
});
afterAll(() => {
  grown.remove();
  fresh.remove();
});

const Listing = z.object({ nftables: z.array(z.unknown()) });

/** Of both tables everything but what differs by age: handles, the order of elements, fan chains that nobody needs any more. */
function listing(ns: Namespace): readonly string[] {
  return ['ip', 'ip6'].flatMap(family => {
    const nft = ['netns', 'exec', ns.name, 'nft', '-j', 'list', 'table', family, 'peerage-proxy'];
    const text = execFileSync('ip', nft, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const { nftables } = Listing.parse(JSON.parse(text));
    return nftables.flatMap(object => {
      const line = JSON.stringify(object, (key, value: unknown) => {
        if (key === 'handle') return undefined;
        return key === 'elem' && Array.isArray(value) ? value.map(v => JSON.stringify(v)).sort() : value;
      });
      const chain = /^\{"(?:chain|rule)":.*?"(?:name|chain)":"([^"]+)"/.exec(line)?.[1];
      const isFan = chain !== undefined && parseFan(chain) !== undefined;
      return isFan || line.includes(`"name":"${SETS.fans}"`) ? [] : [line];
    });
  });
}

async function begin(ns: Namespace, services: readonly ServiceShape[], events: ProxyEvent[]): Promise<ProxyBackend> {
  const proxy = ns.inside(() => openNftablesProxy(event => events.push(event)));
  proxy.configure(SETTINGS);
  proxy.apply(deltaOf(services));
  proxy.begin();
  await proxy.idle();
  return proxy;
}

const actor = fc.constantFrom('a', 'b', 'c');
const frontend = fc.record({
  masquerade: fc.constantFrom('always', 'offCluster', 'never'),
  policy: fc.constantFrom('cluster', 'local'),
  shortCircuit: fc.boolean(),
  affinity: fc.constantFrom(undefined, 60, 10_800),
  ranges: fc.constantFrom(undefined, [], ['10.0.0.0/8', '10.1.0.0/16'], ['192.168.9.0/24']),
});
const step = fc.record({
  n: fc.integer({ min: 1, max: 4 }),
  family: fc.constantFrom<Family>(4, 6),
  isRemoval: fc.boolean(),
  weights: fc.uniqueArray(fc.tuple(actor, fc.integer({ min: 0, max: 3 })), { selector: ([name]) => name }),
  protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
  frontends: fc.tuple(frontend, fc.option(frontend), fc.option(frontend)),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function shapeOf({ n, family, weights, protocol, frontends: [inner, outer, node] }: Step): ServiceShape {
  const of = ({ ranges, ...rest }: typeof inner): object => ({
    ...rest,
    sourceRanges: family === 4 ? ranges?.map(prefixOf) : undefined,
  });
  return {
    family,
    name: `s${n}`,
    protocol,
    cluster: [...weights].sort().map(([name, weight]) => backendOn(family, name, { weight })),
    frontends: [
      { ...of(inner), address: family === 4 ? `10.96.1.${n}` : `fd96::${n}` },
      ...(outer === null
        ? []
        : [{ ...of(outer), kind: 'loadBalancer' as const, address: family === 4 ? `203.0.113.${n}` : `fdcb::${n}` }]),
      ...(node === null ? [] : [{ ...of(node), kind: 'nodePort' as const, address: undefined, port: 30_000 + n }]),
    ],
  };
}

test(
  'after every step the table is what a start from nothing makes',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async steps => {
        const events: ProxyEvent[] = [];
        const services = new Map<string, ServiceShape>();
        const proxy = await begin(grown, [], events);
        try {
          for (const one of steps) {
            const key = `${one.family} ${one.n}`;
            const before = services.get(key);
            if (one.isRemoval) services.delete(key);
            else services.set(key, shapeOf(one));
            proxy.apply(deltaOf(one.isRemoval ? [] : [shapeOf(one)], before === undefined ? [] : [before]));
            await proxy.idle();
            for (const family of ['ip', 'ip6'])
              execFileSync('ip', [
                'netns',
                'exec',
                fresh.name,
                'nft',
                `add table ${family} peerage-proxy; delete table ${family} peerage-proxy`,
              ]);
            const other = await begin(fresh, [...services.values()], []);
            await other.stop();
            const made = listing(fresh);
            expect(made.length).toBeGreaterThan(50);
            expect(listing(grown)).toEqual(made);
          }
          expect(events.filter(({ kind }) => kind === 'failed' || kind === 'error' || kind === 'drift')).toEqual([]);
        } finally {
          await proxy.stop();
        }
      }),
      // The seed and the shortest history that fails are in the failure's message.
      { numRuns: RUNS },
    );
  },
  PATIENCE,
);
