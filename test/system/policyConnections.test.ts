/** The agent ends connections that a policy forbids, and tells of what it denies by name. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import { startActor, type Actor } from '../kernel/proxyActor.js';
import { addressesOf, PATIENCE, PolicyWorld, type PodHost } from './policyWorld.js';

const PORT = 9090;
/** What is cut never comes, however long it is waited for. */
const NEVER = 500;
const ACTORS = ['server', 'friend', 'stranger'] as const satisfies readonly PodHost[];

let world: PolicyWorld;
const actors = new Map<PodHost, Actor>();

beforeAll(async () => {
  world = await PolicyWorld.build('pgcon');
  for (const name of ACTORS) actors.set(name, startActor(world.topology.name(name)));
  await actors.get('server')!.serve('server', PORT);
  await world.logged('policies are in force');
}, 300_000);
afterAll(async () => {
  await Promise.all([...actors.values()].map(actor => actor.stop()));
  await world.close();
}, PATIENCE);

const FROM_FRIENDS = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'server', namespace: 'demo' },
  spec: {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }] }],
  },
};

test('connections that a policy forbids end, others do not; they go on when the policy goes', async () => {
  const kept = (['friend', 'stranger'] as const).flatMap(name =>
    addressesOf('server').map(address => ({ name, address, keep: `${name} ${address}` })),
  );
  for (const { name, address, keep } of kept)
    expect(await actors.get(name)!.ask({ protocol: 'tcp', address, port: PORT, keep })).toMatch(/^server /);
  world.write('policy', FROM_FRIENDS);
  for (const { name, keep } of kept.filter(({ name }) => name === 'stranger'))
    await waitFor(`the end of ${keep}`, PATIENCE, async () =>
      (await actors.get(name)!.askKept(keep, NEVER)) === 'silence' ? true : undefined,
    );
  for (const { name, keep } of kept)
    if (name === 'friend') expect(await actors.get(name)!.askKept(keep)).toMatch(/^server /);
  await world.logged('connections judged by new policies');

  const [address] = addressesOf('server');
  expect(await actors.get('stranger')!.ask({ protocol: 'tcp', address, port: PORT, patience: NEVER })).toBe('silence');
  const line =
    /demo\/stranger \(10\.244\.1\.12\) +demo\/server \(10\.244\.1\.10\) +9090\/tcp .*NetworkPolicy demo\/server/;
  await waitFor('the denial', PATIENCE, async () =>
    line.test(await world.peerage('show', 'denials')) ? true : undefined,
  );

  world.remove('policy');
  // TCP repeats what was cut after twice the time each time.
  for (const { name, keep } of kept) expect(await actors.get(name)!.askKept(keep, PATIENCE)).toMatch(/^server /);
}, 600_000);
