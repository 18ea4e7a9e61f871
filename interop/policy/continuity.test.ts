/**
 * What is denied stays so at every instant and what is allowed loses nothing, while policies by the dozen change around it,
 * the firewall ends and begins, and another version with other rules takes its place: floods of datagrams, each a connection
 * of its own, counted by the kernel where they arrive.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import type { FirewallEvent } from '../../src/policy/policyFirewall.js';
import { NINE_PODS, objectsOf } from './cluster.js';
import { openEnforcer, type Enforcer, type EnforcerOptions } from './enforcer.js';
import { hostsOf } from './kernelTable.js';
import { arrivals, countArrivals, startFlood, type Flood } from './packets/flood.js';
import type { Host } from './packets/prober.js';
import { openPodRig, type PodRig } from './podRig.js';
import { randomClusters } from './randomClusters.js';

const PATIENCE = 120_000;
/** More datagrams of every sender, between two events. */
const MORE = 100;
const CHANGES = 12;

let rig: PodRig;
let hosts: ReadonlyMap<string, Host>;
let enforcer: Enforcer;
const events: FirewallEvent[] = [];
const floods = new Map<string, Flood>();

beforeAll(() => {
  rig = openPodRig('pgpc', NINE_PODS.pods);
  hosts = new Map(hostsOf(rig, NINE_PODS.pods).map(host => [host.name, host]));
  countArrivals(server().namespace, [friend(), stranger()]);
});
afterAll(async () => {
  await Promise.all([...floods.values()].map(flood => flood.end()));
  await enforcer.stop();
  rig.close();
});

const host = (name: string): Host => hosts.get(name)!;
const server = (): Host => host('x/a');
const friend = (): Host => host('y/a');
const stranger = (): Host => host('z/a');

/** One of a few ways to say that of the two only the friend may. */
function guard(variant: number): unknown {
  const only = [
    { namespaceSelector: { matchLabels: { ns: 'y' } } },
    { namespaceSelector: { matchLabels: { ns: 'y' } }, podSelector: { matchLabels: { pod: 'a' } } },
  ][variant % 2];
  const blocks = friend().ips.map(ip => ({ ipBlock: { cidr: `${ip}/${ip.includes(':') ? 128 : 32}` } }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'guard', namespace: 'x' },
    spec: { podSelector: { matchLabels: { pod: 'a' } }, ingress: [{ from: variant % 3 === 0 ? blocks : [only] }] },
  };
}

/** Policies that say nothing of the three, but other things each time of the rest. */
const others = randomClusters(11, CHANGES).map(({ policies }) => policies);

function stage(variant: number): readonly unknown[] {
  const aside = (others[variant % others.length] ?? []).map(policy => besides(policy));
  return [...objectsOf(NINE_PODS), guard(variant), ...aside];
}

function besides(policy: unknown): unknown {
  if (typeof policy !== 'object' || policy === null || !('spec' in policy)) throw new Error('no policy');
  const spec = policy.spec as object;
  return {
    ...policy,
    spec: { ...spec, podSelector: { matchExpressions: [{ key: 'pod', operator: 'NotIn', values: ['a'] }] } },
  };
}

async function begin(options: EnforcerOptions, variant: number): Promise<void> {
  events.length = 0;
  enforcer = openEnforcer(rig.node, { ...options, onEvent: event => events.push(event) });
  await enforcer.enforce(stage(variant));
}

async function moreSent(): Promise<void> {
  for (const flood of floods.values()) {
    const { sent } = await flood.count();
    await waitFor('datagrams', PATIENCE, async () => ((await flood.count()).sent >= sent + MORE ? true : undefined));
  }
}

const replaced = (): boolean => events.some(event => event.kind === 'committed' && event.full);

test('no denied datagram ever arrives, and every other one does', async () => {
  await begin({}, 0);
  for (const { name } of [friend(), stranger()]) floods.set(name, startFlood(host(name), server()));
  await moreSent();
  for (let variant = 1; variant < CHANGES; variant++) {
    await enforcer.enforce(stage(variant));
    await moreSent();
  }
  // Another life, the same version: the table is found as it is.
  await enforcer.stop();
  await moreSent();
  await begin({}, CHANGES - 1);
  await moreSent();
  expect(replaced()).toBe(false);
  // Another version, whose rules are others, at a time when policies have changed as well.
  await enforcer.stop();
  await begin({ log: { group: 77, perSecond: 1, burst: 1 } }, CHANGES);
  await moreSent();
  expect(replaced()).toBe(true);
  await enforcer.stop();
  await begin({}, CHANGES + 1);
  await moreSent();
  expect(replaced()).toBe(true);

  const counts = await Promise.all([friend(), stranger()].map(({ name }) => floods.get(name)!.stop()));
  expect(counts.map(({ failures }) => failures)).toEqual([[], []]);
  expect(arrivals(server().namespace, stranger())).toBe(0);
  await waitFor('the last datagrams', PATIENCE, () =>
    Promise.resolve(arrivals(server().namespace, friend()) >= (counts[0]?.sent ?? 0) ? true : undefined),
  );
  expect(arrivals(server().namespace, friend())).toBe(counts[0]?.sent);
}, 900_000);

test('what nothing guards any more arrives: the counting counts', async () => {
  await enforcer.enforce(objectsOf(NINE_PODS));
  await floods.get(stranger().name)!.end();
  floods.set(stranger().name, startFlood(stranger(), server()));
  await waitFor('the stranger', PATIENCE, () =>
    Promise.resolve(arrivals(server().namespace, stranger()) > 0 ? true : undefined),
  );
}, 300_000);
