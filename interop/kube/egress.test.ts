/**
 * Egress addresses on a real API server, with the rights of deploy/rbac.yaml and no others: a holder that is gone is replaced
 * and comes back, and so is one that is cut off from all but its router, which never hears of two.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControlPlane } from '../../lab/kube/controlPlane.js';
import { sleep, waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { sessionUp, speakerConfig } from '../../test/system/rack.js';
import { nodeObject } from './objects.js';
import { NODES, startNodesWithRights } from './rights.js';

const WAIT = 180_000;
const ADDRESS = '192.0.2.7';
const TOR = '10.8.0.4';
const SYSTEM = '/api/v1/namespaces/kube-system';

let topology: Topology;
let plane: ControlPlane;
let tor: PeerageProcess;
let owner: string;
let heir: string;

beforeAll(async () => {
  topology = await Topology.open('pgke');
  const kubernetes = {
    egressAddresses: { ranges: ['192.0.2.0/28'] },
    externalPeers: [{ address: TOR, asn: 65000 }],
  };
  ({ plane } = await startNodesWithRights(topology, kubernetes, ['tor']));
  const peers = NODES.map((name, i) => ({ name, address: `10.8.0.${i + 1}`, asn: 64512, passive: true }));
  tor = PeerageProcess.speaker(topology, 'tor', speakerConfig(TOR, 65000, peers));
  for (const node of NODES) await sessionUp(tor, node);
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

async function holds(node: string): Promise<boolean> {
  const words = ['list', 'set', 'inet', 'peerage_egress_addresses', 'held4'];
  const { stdout } = await topology.exec(node, 'nft', words);
  return stdout.includes(ADDRESS);
}

async function lostNodes(): Promise<readonly string[]> {
  const { body } = await plane.admin.ask('GET', SYSTEM);
  const { annotations = {} } = (body as { readonly metadata: { readonly annotations?: Record<string, string> } })
    .metadata;
  return Object.entries(annotations).flatMap(([key, node]) =>
    key.startsWith('peerage.io/egress-lost.') ? [node] : [],
  );
}

test('nobody calls a node not ready, and its address moves all the same when its machine is gone', async () => {
  for (const [i, node] of NODES.entries())
    await plane.admin.merge(nodeObject(node, i + 1), { metadata: { labels: { 'peerage.io/egress-node': '' } } });
  await plane.admin.merge(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } },
    { metadata: { annotations: { 'peerage.io/egress.addresses': ADDRESS } } },
  );
  owner = await waitFor('a holder', WAIT, async () => {
    for (const node of NODES) if (await holds(node)) return node;
    return undefined;
  });
  heir = NODES.find(node => node !== owner)!;
  // Both give signs of life by now, or the other one would not be missed.
  await waitFor('signs of both', WAIT, async () => {
    const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/peerage-egress-addresses';
    const { body } = await plane.admin.ask('GET', lease);
    return JSON.stringify(body).split('peerage.io/egress-beat.').length > NODES.length ? true : undefined;
  });
  expect(await lostNodes()).toEqual([]);

  await topology.exec(owner, 'ip', ['link', 'set', 'eth0', 'down']);
  await waitFor('the heir to hold the address', WAIT, async () => ((await holds(heir)) ? true : undefined));
  expect(await lostNodes()).toEqual([owner]);

  await topology.exec(owner, 'ip', ['link', 'set', 'eth0', 'up']);
  await waitFor('the former holder to be back', WAIT, async () => ((await holds(heir)) ? undefined : true));
  expect(await lostNodes()).toEqual([]);
  await waitFor('the address where it was', WAIT, async () => ((await holds(owner)) ? true : undefined));
}, 600_000);

/** Nodes whose announcement of the address the router has. */
async function announcing(): Promise<readonly string[]> {
  const routes = await tor.routes();
  return NODES.filter(node => routes.some(({ prefix, from }) => prefix === `${ADDRESS}/32` && from === node));
}

/** Looks at the router all the time, until the condition holds there. @returns every look at which there were two */
async function neverTwo(what: string, isReached: (nodes: readonly string[]) => boolean): Promise<readonly string[]> {
  const doubles: string[] = [];
  await waitFor(what, WAIT, async () => {
    for (let looks = 0; looks < 20; looks++) {
      const nodes = await announcing();
      if (nodes.length > 1) doubles.push(nodes.join(' and '));
      if (isReached(nodes)) return true;
      await sleep(20);
    }
    return undefined;
  });
  return doubles;
}

test('a holder that is cut off from the cluster, but not from its router, is gone there before another comes', async () => {
  await waitFor('the announcement', WAIT, async () => ((await announcing()).join('') === owner ? true : undefined));
  // The API server is the third on the wire.
  const others = `{ 10.8.0.${heir === NODES[0] ? 1 : 2}, 10.8.0.3 }`;
  const cut = `table ip pgcut {
    chain in { type filter hook input priority -300; ip saddr ${others} drop; }
    chain out { type filter hook output priority -300; ip daddr ${others} drop; }
  }`;
  await topology.exec(owner, 'nft', [cut]);
  expect(await neverTwo('the heir at the router', nodes => nodes.includes(heir))).toEqual([]);
  expect(await holds(owner)).toBe(false);
  expect(await lostNodes()).toEqual([owner]);

  await topology.exec(owner, 'nft', ['delete', 'table', 'ip', 'pgcut']);
  expect(await neverTwo('the former holder at the router', nodes => nodes.includes(owner))).toEqual([]);
  expect(await lostNodes()).toEqual([]);
  expect(await announcing()).toEqual([owner]);
  expect(await holds(owner)).toBe(true);
}, 600_000);
