/** Nodes that may hold egress addresses and look after each other: whose machine is gone is written down within seconds, nobody else. */

import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { HOLDER_LEASE, watchHolders, type HolderWatch } from '../../../../src/app/egressAddresses/watchHolders.js';
import { formatAddress, ipv4, type IpAddress } from '../../../../src/core/ip.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import type { ApiWriter } from '../../../../src/kube/client/apiWriter.js';
import { lostKey, lostNodes } from '../../../../src/policy/egress/lostNodes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { settled } from '../loadBalancer/fakeCluster.js';

const LEASE = `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${HOLDER_LEASE}`;
const NAMESPACE = '/api/v1/namespaces/kube-system';

type Annotations = Readonly<Record<string, string | null>>;

class World {
  readonly clock = new VirtualClock();
  /** Annotations by path of the object. */
  readonly objects = new Map<string, Record<string, string>>([[NAMESPACE, {}]]);
  /** Nodes whose agent cannot reach the API server. */
  readonly cutOff = new Set<string>();
  /** Machines that are off; who is in both sets has no network at all. */
  readonly off = new Set<string>();
  readonly problems = new Map<string, string>();
  readonly watches = new Map<string, HolderWatch>();
  readonly candidates: ReadonlyMap<string, readonly IpAddress[]>;
  requests = 0;

  constructor(...names: readonly string[]) {
    this.candidates = new Map(names.map((name, i) => [name, [ipv4(0x0a00_0001 + i)]]));
    for (const name of names) this.start(name);
  }

  start(name: string): void {
    const watch = watchHolders({
      writer: this.writer(name),
      nodeName: name,
      namespace: 'kube-system',
      clock: this.clock,
      wallClock: () => this.clock.now(),
      logger: pino({ level: 'silent' }),
      report: found => {
        const [first] = found.get('egress holders') ?? [];
        if (first === undefined) this.problems.delete(name);
        else this.problems.set(name, first.text);
      },
      answers: address => Promise.resolve(!this.isOff(address)),
    });
    this.watches.set(name, watch);
    watch.update(this.candidates, new Set(this.lost));
  }

  get lost(): readonly string[] {
    return lostNodes({ annotations: this.objects.get(NAMESPACE)! });
  }

  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds * 10; i++) {
      this.clock.advance(100);
      await settled();
      for (const watch of this.watches.values()) watch.update(this.candidates, new Set(this.lost));
    }
  }

  async die(name: string): Promise<void> {
    await this.watches.get(name)?.stop();
    this.watches.delete(name);
  }

  private isOff(address: IpAddress): boolean {
    const [name] = [...this.candidates].find(([, [own]]) => formatAddress(own!) === formatAddress(address))!;
    return this.off.has(name);
  }

  private writer(who: string): ApiWriter {
    return {
      close: () => undefined,
      ask: async (method, path, body) => {
        await Promise.resolve();
        this.requests += 1;
        if (this.cutOff.has(who)) throw new ApiError(undefined, 'no answer');
        const { name, annotations } = (body as { metadata: { name?: string; annotations: Annotations } }).metadata;
        const target = method === 'POST' ? `${path}/${name}` : path;
        const stored = this.objects.get(target) ?? (method === 'POST' ? {} : undefined);
        if (stored === undefined) throw new ApiError(404, '404: not found');
        const merged = Object.entries({ ...stored, ...annotations }).filter(([, value]) => value !== null);
        const annotated = Object.fromEntries(merged) as Record<string, string>;
        this.objects.set(target, annotated);
        return { metadata: { annotations: annotated } };
      },
    };
  }
}

test('all well, nobody is written down, and each asks once a second', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(60);
  expect(world.lost).toEqual([]);
  expect(world.requests).toBeLessThan(3 * 65);
  expect([...world.objects.keys()].sort()).toEqual([NAMESPACE, LEASE].sort());
});

test('a machine that is gone is written down within six seconds, and takes itself out when it is back', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(10);
  await world.die('b');
  world.off.add('b');
  await world.pass(3);
  expect(world.lost).toEqual([]);
  await world.pass(3);
  expect(world.lost).toEqual(['b']);
  await world.pass(30);
  world.off.delete('b');
  world.start('b');
  await world.pass(2);
  expect(world.lost).toEqual([]);
  expect(world.problems).toEqual(new Map());
});

test('an agent that ends costs nothing while its machine answers', async () => {
  const world = new World('a', 'b');
  await world.pass(10);
  await world.die('b');
  await world.pass(60);
  expect(world.lost).toEqual([]);
});

test('a node that gives signs is there, whether it can be reached from here or not', async () => {
  const world = new World('a', 'b');
  world.off.add('b');
  await world.pass(60);
  expect(world.lost).toEqual([]);
});

test('a server that nobody reaches for long changes nothing, and no silence of that time counts', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(10);
  for (const name of ['a', 'b', 'c']) {
    world.cutOff.add(name);
    world.off.add(name);
  }
  await world.pass(60);
  expect(world.problems.get('a')).toMatch(/^no answer: .* no longer Ready$/);
  world.cutOff.clear();
  await world.pass(20);
  expect(world.lost).toEqual([]);
  expect(world.problems).toEqual(new Map());
});

test('who is cut off from server and network is written down by the others, and writes nobody down', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(10);
  world.cutOff.add('c');
  world.off.add('c');
  await world.pass(6);
  expect(world.lost).toEqual(['c']);
  world.cutOff.delete('c');
  await world.pass(2);
  expect(world.lost).toEqual([]);
});

test('a node without the label keeps quiet', async () => {
  const world = new World('a', 'b');
  world.watches.get('a')!.update(new Map([...world.candidates].filter(([name]) => name !== 'a')), new Set());
  await world.die('b');
  world.requests = 0;
  world.clock.advance(5000);
  await settled();
  expect(world.requests).toBeLessThanOrEqual(1);
});

test('an annotation that does not name the node of its key says nothing', () => {
  expect(lostNodes({ annotations: { [lostKey('a')]: 'b', [lostKey('c')]: 'c', other: 'a' } })).toEqual(['c']);
});
