/** What `make lab KUBE=1` proves besides: what the cluster says of its services and nodes reaches the ToR. Impure. */

import type { Check, Lab, Step } from '../checks.js';
import { TOR } from '../cluster.js';
import { waitFor } from '../topology/commands.js';
import type { KubeManifest } from './kubeClient.js';

const PATIENCE = 60_000;

export const KUBE_STEPS: readonly Step[] = [
  { what: 'service: its address at the ToR, gone when scaled to zero, and back', run: serviceScaled },
  { what: 'annotation: a community is told, and no session goes down', run: annotationChanges },
];

async function serviceScaled(lab: Lab): Promise<Omit<Check, 'what'>> {
  const { kube } = lab;
  if (kube === undefined) throw new Error('this step needs the API server');
  const service = kube.objects.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'web');
  const pods = kube.objects.filter(({ kind, metadata }) => kind === 'Pod' && metadata.labels?.['app'] === 'web');
  const { clusterIP } = (service?.['spec'] ?? {}) as { readonly clusterIP?: string };
  if (clusterIP === undefined || pods.length === 0) throw new Error('the cluster has no service web with pods');
  await torHas(lab, clusterIP, true);
  const timed = async (change: (pod: KubeManifest) => Promise<void>, isThere: boolean): Promise<string> => {
    const started = performance.now();
    for (const pod of pods) await change(pod);
    await torHas(lab, clusterIP, isThere);
    return `${((performance.now() - started) / 1000).toFixed(1)} s`;
  };
  const gone = await timed(pod => kube.plane.admin.delete(pod), false);
  const back = await timed(pod => kube.plane.admin.apply(pod), true);
  return { ok: true, measured: `${clusterIP} gone ${gone} after ${pods.length} pods were deleted, back in ${back}` };
}

async function torHas({ topology }: Lab, address: string, isThere: boolean): Promise<void> {
  await waitFor(`${address} ${isThere ? 'at' : 'gone from'} the ToR`, PATIENCE, async () => {
    const routes = await topology.ip(TOR, '-4', 'route');
    return routes.split('\n').some(line => line.startsWith(`${address} `)) === isThere ? true : undefined;
  });
}

async function annotationChanges({ kube, agents, cluster }: Lab): Promise<Omit<Check, 'what'>> {
  const [node, other] = cluster.nodes;
  if (kube === undefined || node === undefined || other === undefined)
    throw new Error('this step needs the API server');
  const agent = agents.get(node.name)!;
  const before = (await agent.peers()).map(({ name, since }) => `${name} ${since}`).sort();
  const object: KubeManifest = { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name } };
  const started = performance.now();
  const annotations = { 'kube-router.io/node.bgp.communities': '64512:100' };
  await kube.plane.admin.merge(object, { metadata: { annotations } });
  await waitFor('the community in what the ToR is told', PATIENCE, async () => {
    const told = await agent.adjOut('tor');
    return told.some(({ communities }) => communities.includes('64512:100')) ? true : undefined;
  });
  const took = ((performance.now() - started) / 1000).toFixed(1);
  const after = (await agent.peers()).map(({ name, since }) => `${name} ${since}`).sort();
  return {
    ok: before.join() === after.join(),
    measured: `told ${took} s after kubectl annotate; ${after.length} sessions untouched`,
  };
}
