/** What `make lab KUBE=1` proves of the service proxy: real connections to every kind of address of a service. Impure. */

import type { ServiceDetail } from '../../src/api/serviceView.js';
import type { Check, Lab, Step } from '../checks.js';
import { TOR, TOR_ADDRESSES, type LabPod } from '../cluster.js';
import { waitFor } from '../topology/commands.js';
import { Callers, type CallCount, type CallPlan } from '../traffic/callers.js';
import type { KubeCluster } from './kubeCluster.js';
import { pathOf, type KubeManifest } from './kubeClient.js';
import type { WebPods } from './webPods.js';

const PATIENCE = 60_000;
/** Connections that show each way of getting to a service. */
const ENOUGH = 90;
const RATE = 60;

/** A service of the pods `web` with every kind of address, and one that keeps clients' addresses. */
export const SHOP = { name: 'shop', external: '203.0.113.10', nodePort: 30080 } as const;
const LOCAL = { name: 'shop-local', external: '203.0.113.11', nodePort: 30081 } as const;

export const PROXY_STEPS: readonly Step[] = [
  { what: 'service: cluster IP, node port, external IP', run: allAddresses },
  { what: 'service: what policy Local is for: pods see the client itself', run: sourceKept },
  { what: 'service: a pod ends under traffic, and no connection fails', run: podEnds },
];

interface Shop {
  readonly kube: KubeCluster;
  readonly web: WebPods;
}

function shopOf({ kube, web }: Lab): Shop {
  if (kube === undefined || web === undefined) throw new Error('this step needs the API server');
  return { kube, web };
}

function serviceOf({ name, external, nodePort }: typeof SHOP | typeof LOCAL, spec: object): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: {
      type: 'NodePort',
      selector: { app: 'web' },
      ipFamilyPolicy: 'PreferDualStack',
      externalIPs: [external],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 'http', nodePort }],
      ...spec,
    },
  };
}

/** Makes the service; its cluster IPs are the API server's choice. @returns them, once every node serves them */
async function create(lab: Lab, service: KubeManifest, external: string): Promise<readonly string[]> {
  const { kube, web } = shopOf(lab);
  await kube.plane.admin.apply(service);
  const { body } = await kube.plane.admin.ask('GET', pathOf(service));
  const { spec } = body as { readonly spec: { readonly clusterIPs: readonly string[] } };
  await served(lab, service.metadata.name, web.pods.length);
  await waitFor(`${external} at the ToR`, PATIENCE, async () =>
    (await lab.topology.ip(TOR, '-4', 'route')).includes(`${external} `) ? true : undefined,
  );
  return spec.clusterIPs;
}

/** Resolves when on every node the kernel has so many backends for each address; or so many of the node's own. */
async function served(lab: Lab, name: string, pods: number): Promise<void> {
  for (const [node, agent] of lab.agents)
    await waitFor(`${name} with ${pods} pods on ${node}`, PATIENCE, async () => {
      const { frontends } = (await agent.client.get(
        `/v1/services/${encodeURIComponent(`demo/${name}`)}`,
      )) as ServiceDetail;
      const missing = frontends.filter(
        ({ state, kernel, policy }) =>
          state !== 'programmed' || (policy === 'cluster' && kernel?.backends.length !== pods),
      );
      if (frontends.length > 0 && missing.length === 0) return true;
      const texts = missing.map(
        ({ kind, family, state, kernel }) =>
          `${kind} IPv${family} ${state}, ${kernel?.backends.length ?? 'no'} backends`,
      );
      throw new Error(texts.join('; '));
    });
}

/** Connects so often from a host. */
async function connect(lab: Lab, from: string, host: string, port: number): Promise<CallCount> {
  const plan: CallPlan = { host, port, rate: RATE };
  const callers = new Callers(`${from} to ${host}`, lab.topology.name(from), [plan]);
  try {
    await answers([callers], ENOUGH);
    return await callers.stop();
  } finally {
    await callers.end();
  }
}

/** Resolves when so many more connections were answered, or one has failed. */
async function answers(all: readonly Callers[], more: number): Promise<void> {
  for (const callers of all) {
    const { answered } = await callers.count();
    await waitFor(`${more} answers: ${callers.name}`, PATIENCE, async () => {
      const count = await callers.count();
      return count.answered >= answered + more || count.failures.length > 0 ? true : undefined;
    });
  }
}

async function allAddresses(lab: Lab): Promise<Omit<Check, 'what'>> {
  const { web } = shopOf(lab);
  const [four = '', six = ''] = await create(lab, serviceOf(SHOP, {}), SHOP.external);
  const client = clientPod(lab);
  const node = lab.cluster.nodes[1]!.addresses[0]!;
  const counts = [
    await connect(lab, client.name, four, 80),
    await connect(lab, client.name, six, 80),
    await connect(lab, TOR, node, SHOP.nodePort),
    await connect(lab, TOR, SHOP.external, 80),
  ];
  const shares = web.pods.map(pod =>
    counts.reduce(
      (sum, { byServer }) => sum + pod.addresses.reduce((own, address) => own + (byServer[address] ?? 0), 0),
      0,
    ),
  );
  const [begun, answered] = [sum(counts, 'begun'), sum(counts, 'answered')];
  const isSpread = counts.every(({ byServer }) => Object.keys(byServer).length === web.pods.length);
  return {
    ok: begun === answered && isSpread,
    measured: `${answered} of ${begun} connections answered: pod to ${four} and ${six}, ToR to ${node}:${SHOP.nodePort} and ${SHOP.external}; the ${web.pods.length} pods took ${shares.join(', ')}`,
  };
}

async function sourceKept(lab: Lab): Promise<Omit<Check, 'what'>> {
  const [torAddress = ''] = TOR_ADDRESSES[0].split('/');
  await create(lab, serviceOf(LOCAL, { externalTrafficPolicy: 'Local' }), LOCAL.external);
  const counts = [
    await connect(lab, TOR, SHOP.external, 80),
    await connect(lab, TOR, LOCAL.external, 80),
    await connect(lab, TOR, lab.cluster.nodes[1]!.addresses[0]!, LOCAL.nodePort),
  ];
  const [cluster, ...local] = counts.map(({ seenAs }) => seenAs.join(' or '));
  return {
    ok: counts.every(({ begun, answered }) => begun === answered) && local.every(seen => seen === torAddress),
    measured: `pods see ${[...new Set(local)].join(', ')} (the ToR) with policy Local, and ${cluster} (the node) with policy Cluster`,
  };
}

async function podEnds(lab: Lab): Promise<Omit<Check, 'what'>> {
  const { kube, web } = shopOf(lab);
  const pod = web.pods[0]!;
  const object = kube.objects.find(({ kind, metadata }) => kind === 'Pod' && metadata.name === pod.name)!;
  const all = await steadyLoad(lab);
  try {
    await answers(all, 30);
    const told = performance.now();
    // As kubectl delete does: the pod goes on serving while it ends.
    await kube.plane.admin.ask('DELETE', `${pathOf(object)}?gracePeriodSeconds=30`);
    await served(lab, SHOP.name, web.pods.length - 1);
    const took = ((performance.now() - told) / 1000).toFixed(1);
    // What had its connection then is answered within its grace.
    await answers(all, 60);
    const cut = await web.close(pod);
    await kube.plane.admin.delete(object);
    await answers(all, 60);
    await web.open(pod);
    await kube.plane.admin.apply(object);
    await served(lab, SHOP.name, web.pods.length);
    await answers(all, 30);
    const counts = await Promise.all(all.map(callers => callers.stop()));
    const failures = counts.flatMap(count => count.failures);
    return {
      ok: failures.length === 0 && cut === 0,
      measured: `${failures.length} of ${sum(counts, 'begun')} connections failed; ${pod.name} got no new ones on any node ${took} s after kubectl delete, and came back${failures.length === 0 ? '' : `: ${failures[0]}`}`,
    };
  } finally {
    await Promise.all(all.map(callers => callers.end()));
  }
}

async function steadyLoad(lab: Lab): Promise<readonly Callers[]> {
  const { kube } = shopOf(lab);
  const { body } = await kube.plane.admin.ask('GET', pathOf(serviceOf(SHOP, {})));
  const { clusterIP } = (body as { readonly spec: { readonly clusterIP: string } }).spec;
  const client = clientPod(lab);
  return [
    new Callers('a pod', lab.topology.name(client.name), [{ host: clusterIP, port: 80, rate: RATE }]),
    new Callers('the ToR', lab.topology.name(TOR), [{ host: SHOP.external, port: 80, rate: RATE }]),
  ];
}

function clientPod({ cluster }: Lab): LabPod {
  const pod = cluster.nodes[0]!.pods.find(({ name }) => name.startsWith('client-'));
  if (pod === undefined) throw new Error('the first node has no pod that is a client');
  return pod;
}

function sum(counts: readonly CallCount[], what: 'begun' | 'answered'): number {
  return counts.reduce((all, count) => all + count[what], 0);
}
