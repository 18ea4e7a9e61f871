/** The manifests of deploy/ on the real API server: they are valid, and their service account may do what it must, only. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { Topology } from '../../lab/topology/topology.js';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeClient, KubeManifest } from '../../lab/kube/kubeClient.js';
import { PATHS } from '../../src/kube/client/reflector.js';

let topology: Topology;
let plane: ControlPlane;
let account: KubeClient;
let edge: KubeClient;

beforeAll(async () => {
  topology = await Topology.open('pgkd');
  await topology.host('api');
  plane = await ControlPlane.start(topology, 'api', '127.0.0.1');
  for (const file of readdirSync('deploy')
    .filter(name => name.endsWith('.yaml'))
    .sort()) {
    for (const document of parseAllDocuments(readFileSync(`deploy/${file}`, 'utf8')))
      await plane.admin.apply(document.toJS() as KubeManifest);
  }
  account = await plane.serviceAccount('kube-system', 'peerage');
  edge = await plane.serviceAccount('peerage-edge', 'edge');
}, 150_000);
afterAll(async () => {
  await topology.close();
}, 30_000);

/** Of every kind that an agent may read, the rights to do so. */
const READ = Object.values(PATHS).flatMap(path => {
  const [, group = '', resource = ''] = /^\/apis?\/(?:([^/]+)\/)?v[^/]+\/([^/]+)$/.exec(path) ?? [];
  return ['list', 'watch'].map(verb => [group, resource, verb] as const);
});

/** What agents do besides reading. */
const NEEDED = [
  ['', 'namespaces', 'patch'],
  ['events.k8s.io', 'events', 'create', 'default'],
  ['', 'pods', 'get'],
  ['', 'namespaces', 'get'],
  ['networking.k8s.io', 'networkpolicies', 'get'],
  ['policy.networking.k8s.io', 'clusternetworkpolicies', 'get'],
  ['', 'services', 'get'],
  ['', 'services/status', 'patch'],
  ['', 'configmaps', 'list', 'peerage-edge'],
  ['', 'configmaps', 'patch', 'peerage-edge'],
  ['coordination.k8s.io', 'leases', 'create', 'kube-system'],
  ['coordination.k8s.io', 'leases', 'get', 'kube-system', 'peerage-loadbalancer'],
  ['coordination.k8s.io', 'leases', 'update', 'kube-system', 'peerage-loadbalancer'],
  ['coordination.k8s.io', 'leases', 'get', 'kube-system', 'peerage-tenants'],
  ['coordination.k8s.io', 'leases', 'update', 'kube-system', 'peerage-tenants'],
  ['coordination.k8s.io', 'leases', 'patch', 'kube-system', 'peerage-egress-addresses'],
] as const;

/** The same of a host outside the cluster (deploy/edge.yaml), which must not read who has which pod. */
const NEEDED_OF_EDGE = [
  ['', 'nodes', 'list'],
  ['', 'nodes', 'watch'],
  ['', 'services', 'list'],
  ['discovery.k8s.io', 'endpointslices', 'watch'],
  ['', 'configmaps', 'create', 'peerage-edge'],
  ['', 'configmaps', 'get', 'peerage-edge', 'bastion'],
  ['', 'configmaps', 'patch', 'peerage-edge', 'bastion'],
] as const;
const REFUSED_OF_EDGE = [
  ['', 'pods', 'list'],
  ['', 'secrets', 'list'],
  ['', 'namespaces', 'patch'],
  ['', 'services/status', 'patch'],
  ['', 'configmaps', 'list', 'kube-system'],
  ['coordination.k8s.io', 'leases', 'create', 'kube-system'],
] as const;

/** What an agent that was taken over must not be able to do. */
const REFUSED = [
  ['', 'secrets', 'list'],
  ['', 'secrets', 'get'],
  ['', 'nodes', 'patch'],
  ['', 'nodes', 'delete'],
  ['', 'pods', 'create'],
  ['', 'pods', 'patch'],
  ['', 'namespaces', 'delete'],
  ['networking.k8s.io', 'networkpolicies', 'patch'],
  ['', 'services', 'patch'],
  ['', 'services', 'delete'],
  ['', 'nodes/status', 'patch'],
  ['', 'configmaps', 'list', 'kube-system'],
  ['', 'configmaps', 'patch', 'kube-system', 'peerage'],
  ['coordination.k8s.io', 'leases', 'create', 'default'],
  ['coordination.k8s.io', 'leases', 'update', 'kube-system', 'kube-scheduler'],
  ['coordination.k8s.io', 'leases', 'get', 'default', 'peerage-loadbalancer'],
  ['coordination.k8s.io', 'leases', 'delete', 'kube-system', 'peerage-loadbalancer'],
  ['coordination.k8s.io', 'leases', 'list'],
  ['apps', 'daemonsets', 'patch'],
  ['rbac.authorization.k8s.io', 'clusterroles', 'patch'],
] as const;

type Right = readonly [group: string, resource: string, verb: string, namespace?: string, name?: string];

async function mayDo(who: KubeClient, [group, path, verb, namespace, name]: Right): Promise<boolean> {
  const [resource, subresource] = path.split('/');
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { group, resource, subresource, verb, namespace, name } },
  };
  const { body } = await who.ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review);
  return (body as { readonly status: { readonly allowed: boolean } }).status.allowed;
}

const rows = (rights: readonly Right[]): (readonly [string, Right])[] =>
  rights.map(right => [right.join(' '), right] as const);

test.each(rows([...READ, ...NEEDED]))('may: %s', async (_text, right) => {
  expect(await mayDo(account, right)).toBe(true);
});

test.each(rows(REFUSED))('may not: %s', async (_text, right) => {
  expect(await mayDo(account, right)).toBe(false);
});

test.each(rows(NEEDED_OF_EDGE))('a host outside the cluster may: %s', async (_text, right) => {
  expect(await mayDo(edge, right)).toBe(true);
});

test.each(rows(REFUSED_OF_EDGE))('a host outside the cluster may not: %s', async (_text, right) => {
  expect(await mayDo(edge, right)).toBe(false);
});

test('a secret is refused in fact', async () => {
  expect((await account.ask('GET', '/api/v1/secrets')).status).toBe(403);
});

test('the DaemonSet runs on every node, control plane included, on the host network', async () => {
  const { status, body } = await plane.admin.ask('GET', '/apis/apps/v1/namespaces/kube-system/daemonsets/peerage');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    spec: { template: { spec: { hostNetwork: true, tolerations: [{ operator: 'Exists' }] } } },
  });
});
