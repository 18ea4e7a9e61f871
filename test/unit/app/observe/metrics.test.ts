import { expect, test } from '@jest/globals';
import { createMetrics } from '../../../../src/app/observe/metrics.js';

/** The value of a line, labels and all. */
async function valuesOf(metrics: ReturnType<typeof createMetrics>): Promise<ReadonlyMap<string, number>> {
  const text = await metrics.text([], 0);
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'));
  return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]));
}

test("routes in the kernel are told by kube-router's names, both families together", async () => {
  const metrics = createMetrics();
  metrics.fibEvent({ kind: 'adopted', family: 'ipv4-unicast', routes: 5 });
  metrics.routesWritten({ family: 'ipv4-unicast', added: 3, removed: 1, installed: 7, seconds: 0.004 });
  metrics.routesWritten({ family: 'ipv6-unicast', added: 2, removed: 0, installed: 2, seconds: 0.2 });
  const values = await valuesOf(metrics);
  expect(values.get('kube_router_host_routes_synced')).toBe(9);
  expect(values.get('kube_router_host_routes_added')).toBe(5);
  expect(values.get('kube_router_host_routes_removed')).toBe(1);
  expect(values.get('kube_router_host_routes_sync_time_count')).toBe(2);
  expect(values.get('kube_router_host_routes_sync_time_bucket{le="0.005"}')).toBe(1);
});

test("announcements are counted by kube-router's types", async () => {
  const metrics = createMetrics();
  metrics.announced({ pods: 2, services: 0 });
  metrics.announced({ pods: 0, services: 30 });
  metrics.bestPathsChanged(12);
  const values = await valuesOf(metrics);
  expect(values.get('kube_router_controller_bgp_advertisements_sent{type="pod-route"}')).toBe(2);
  expect(values.get('kube_router_controller_bgp_advertisements_sent{type="advertise-vip"}')).toBe(30);
  expect(values.get('kube_router_controller_bgp_advertisements_received')).toBe(12);
});

/** What kube-router tells of its routing controller, and of itself. */
const OF_THE_ROUTER = [
  'kube_router_build_info',
  'kube_router_bgp_peer_info',
  'kube_router_controller_bgp_advertisements_received',
  'kube_router_controller_bgp_advertisements_sent',
  'kube_router_controller_bgp_internal_peers_sync_time',
  'kube_router_controller_routes_sync_time',
  'kube_router_host_routes_sync_time',
  'kube_router_host_routes_synced',
  'kube_router_host_routes_added',
  'kube_router_host_routes_removed',
];

test('every metric of its routing controller is there', async () => {
  const text = await createMetrics().text([], 0);
  expect(OF_THE_ROUTER.filter(name => !text.includes(`# HELP ${name} `))).toEqual([]);
});
