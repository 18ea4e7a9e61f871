/** The service proxy on a real API server, with the rights of deploy/rbac.yaml: what it reads of the cluster, and what it tells it. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import { waitFor } from '../../lab/topology/commands.js';
import { Topology } from '../../lab/topology/topology.js';
import { nodeObject } from './objects.js';
import { NODES, startNodesWithRights } from './rights.js';

const WAIT = 120_000;
const HEALTH_PORT = 31_234;
const METRICS_PORT = 18_080;
const EVENTS = '/apis/events.k8s.io/v1/namespaces/demo/events';

let topology: Topology;
let plane: ControlPlane;

beforeAll(async () => {
  topology = await Topology.open('pgkx');
  ({ plane } = await startNodesWithRights(topology, {
    run: { serviceProxy: true },
    proxy: { mode: 'nftables' },
    metrics: { port: METRICS_PORT },
  }));
  // On one of the nodes the port of health checks is somebody else's.
  topology.start('n1', 'squatter', process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${HEALTH_PORT}, '10.8.0.1')`,
  ]);
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

function service(name: string, spec: object = {}): KubeManifest {
  const ports = [{ port: 80, protocol: 'TCP' }];
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'demo' }, spec: { ports, ...spec } };
}

interface Event {
  readonly reason: string;
  readonly note: string;
  readonly reportingInstance: string;
  readonly regarding: { readonly name: string; readonly uid: string };
}

async function eventsOf(name: string): Promise<readonly Event[]> {
  const { body } = await plane.admin.ask('GET', EVENTS);
  const { items } = body as { readonly items: readonly Event[] };
  return items.filter(({ regarding }) => regarding.name === name);
}

/** @returns status and body */
async function ask(node: string, port: number, path: string): Promise<string> {
  const url = `http://127.0.0.1:${port}${path}`;
  const { stdout } = await topology.exec(node, 'curl', ['-s', '-m', '20', '-w', '\n%{http_code}', url]);
  return stdout;
}

test('a Service that asks for an address it may not have is told so, by one Event', async () => {
  await plane.admin.apply(service('greedy', { externalIPs: ['192.0.2.1'] }));
  const event = await waitFor('the Event', WAIT, async () => (await eventsOf('greedy'))[0]);
  expect(event).toMatchObject({
    reason: 'AddressRefused',
    note: 'external IP 192.0.2.1 is in none of the external IP ranges: it is not served',
    reportingInstance: expect.stringMatching(/^peerage-n[12]$/),
  });
  const { body } = await plane.admin.ask('GET', '/api/v1/namespaces/demo/services/greedy');
  expect(event.regarding.uid).toBe((body as { readonly metadata: { readonly uid: string } }).metadata.uid);
  // As `kubectl describe` asks for it.
  const selector = `involvedObject.name=greedy,involvedObject.uid=${event.regarding.uid}`;
  const described = await plane.admin.ask(
    'GET',
    `/api/v1/namespaces/demo/events?fieldSelector=${encodeURIComponent(selector)}`,
  );
  expect(described.body).toMatchObject({ items: [{ type: 'Warning', message: event.note }] });
}, 400_000);

test('a health-check port that is taken on a node is told by that node', async () => {
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: HEALTH_PORT };
  await plane.admin.apply(service('balanced', spec));
  const event = await waitFor('the Event', WAIT, async () => (await eventsOf('balanced'))[0]);
  expect(event).toMatchObject({ reason: 'FailedToStartServiceHealthcheck', reportingInstance: 'peerage-n1' });
  expect(event.note).toMatch(/^Node n1: health checks cannot be answered on 10\.8\.0\.1, port 31234: .*EADDRINUSE/);
  expect(await eventsOf('balanced')).toHaveLength(1);
}, 400_000);

test("networks of services are the API server's, and come and go with its objects", async () => {
  const rules = async (): Promise<string> =>
    (await topology.exec('n1', 'nft', ['-j', 'list', 'chain', 'ip', 'peerage-proxy', 'filter-forward'])).stdout;
  const known = (network: string, is: boolean): Promise<true> =>
    waitFor(`${network} to be ${is ? 'known' : 'forgotten'}`, WAIT, async () =>
      (await rules()).includes(`"addr": "${network}"`) === is ? true : undefined,
    );
  await known('10.96.0.0', true);
  const more = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'more' },
    spec: { cidrs: ['10.97.0.0/24'] },
  };
  const { status } = await plane.admin.ask('POST', '/apis/networking.k8s.io/v1/servicecidrs', more);
  expect(status).toBe(201);
  await known('10.97.0.0', true);
  // Nobody runs the controller that would let it go.
  const patch = { metadata: { finalizers: null } };
  const path = '/apis/networking.k8s.io/v1/servicecidrs/more';
  await plane.admin.ask('PATCH', path, patch, 'application/merge-patch+json');
  await plane.admin.ask('DELETE', path);
  await known('10.97.0.0', false);
}, 400_000);

test('a node that the autoscaler is about to delete is no place for traffic', async () => {
  const eligible = (is: boolean): Promise<true> =>
    waitFor(`n2 to be ${is ? '' : 'in'}eligible`, WAIT, async () => {
      const answer = await ask('n2', 10_256, '/healthz');
      return answer.includes(`"nodeEligible":${is}`) && answer.endsWith(is ? '200' : '503') ? true : undefined;
    });
  await eligible(true);
  const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', value: '1', effect: 'NoSchedule' }];
  await plane.admin.merge(nodeObject('n2', 2), { spec: { taints } });
  await eligible(false);
  expect(await ask('n2', 10_256, '/livez')).toMatch(/200$/);
  expect(await ask('n1', 10_256, '/healthz')).toMatch(/"nodeEligible":true.*\n200$/);
  await plane.admin.merge(nodeObject('n2', 2), { spec: { taints: null } });
  await eligible(true);
}, 400_000);

test('the time from a change of a pod to the kernel is measured', async () => {
  await plane.admin.apply(service('web', { selector: { app: 'web' } }));
  await plane.admin.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'demo', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [{ name: 'web', image: 'web' }] },
    status: {
      phase: 'Running',
      podIP: '10.244.1.9',
      podIPs: [{ ip: '10.244.1.9' }],
      // The slice controller takes it for the time of the change.
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: new Date().toISOString() }],
    },
  });
  for (const node of NODES)
    await waitFor(`a measurement of ${node}`, WAIT, async () => {
      const text = await ask(node, METRICS_PORT, '/metrics');
      return /^kubeproxy_network_programming_duration_seconds_count [1-9]/m.test(text) ? true : undefined;
    });
}, 400_000);
