/** The manifests of deploy/ on the real API server: they are valid, and their service account may do what it must, only. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { Topology } from '../../lab/topology/topology.js';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeClient, KubeManifest } from '../../lab/kube/kubeClient.js';

let topology: Topology;
let plane: ControlPlane;
let account: KubeClient;

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
}, 150_000);
afterAll(async () => {
  await topology.close();
}, 30_000);

/** Everything the router asks of the API server. */
const NEEDED = [
  ['', 'nodes', 'list'],
  ['', 'nodes', 'watch'],
  ['', 'services', 'list'],
  ['', 'services', 'watch'],
  ['discovery.k8s.io', 'endpointslices', 'list'],
  ['discovery.k8s.io', 'endpointslices', 'watch'],
] as const;

/** What an agent that was taken over must not be able to do. */
const REFUSED = [
  ['', 'secrets', 'list'],
  ['', 'secrets', 'get'],
  ['', 'nodes', 'patch'],
  ['', 'nodes', 'delete'],
  ['', 'pods', 'create'],
  ['', 'pods', 'list'],
  ['', 'services', 'patch'],
  ['apps', 'daemonsets', 'patch'],
  ['rbac.authorization.k8s.io', 'clusterroles', 'patch'],
] as const;

async function mayDo(group: string, resource: string, verb: string): Promise<boolean> {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { group, resource, verb } },
  };
  const { body } = await account.ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review);
  return (body as { readonly status: { readonly allowed: boolean } }).status.allowed;
}

test.each(NEEDED)('may in %s/%s: %s', async (group, resource, verb) => {
  expect(await mayDo(group, resource, verb)).toBe(true);
});

test.each(REFUSED)('may not in %s/%s: %s', async (group, resource, verb) => {
  expect(await mayDo(group, resource, verb)).toBe(false);
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
