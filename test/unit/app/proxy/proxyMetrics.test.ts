import { expect, test } from '@jest/globals';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import type { FrontendKey, ServicePortKey } from '../../../../src/proxy/proxyTypes.js';
import { nodeOf, serviceOf, sliceOf } from '../../proxy/proxyCluster.js';
import { batchOf, objectOf } from '../../routing/cluster.js';
import { KEY, running, START, web } from './proxyLoop.js';

test('metrics have the names of kube-proxy', async () => {
  const { apply, proxy, tell, registry } = await running();
  const local = serviceOf({ internalTrafficPolicy: 'Local' });
  apply(batchOf('added', nodeOf(1), local, sliceOf([{ node: 'n2' }])));
  tell({ kind: 'committed', seconds: 0.002, frontends: 1, full: true });
  tell({ kind: 'conntrack', seconds: 0.001, deleted: 3 });
  await proxy.scrape();
  const text = await registry.metrics();
  expect(text).toContain('kubeproxy_sync_full_proxy_rules_duration_seconds_count 1');
  expect(text).toContain('kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="internal"} 1');
  expect(text).toContain('kubeproxy_sync_proxy_rules_service_changes_total 1');
  expect(text).toContain('kubeproxy_conntrack_reconciler_deleted_entries_total 3');
  // Not of IPVS.
  expect(text).toContain('kube_router_controller_ipvs_services 0');
  expect(text).toContain('kube_router_controller_ipvs_services_sync_time_count 0');
  expect(text).toContain('kube_router_controller_ipvs_metrics_export_time_count 1');
});

test('counters have the names and labels of kube-router, and rates are those since the scrape before', async () => {
  const { apply, proxy, counters, clock, registry } = await running();
  apply(batchOf('added', nodeOf(1), ...web));
  const count = (n: bigint): void => {
    const packets = { packetsIn: 10n * n, packetsOut: undefined, bytesIn: 1000n * n, bytesOut: 2n ** 40n };
    counters.set('4|demo/web||TCP' as ServicePortKey, { connections: n, ...packets });
  };
  const shown = async (): Promise<readonly string[]> => {
    await proxy.scrape();
    const lines = (await registry.metrics()).split('\n').filter(line => line.startsWith('kube_router_service_'));
    return lines.map(line => line.replace('kube_router_service_', '').replace(LABELS, ' '));
  };
  const LABELS = /\{svc_namespace="demo",service_name="web",service_vip="10.96.0.10",protocol="tcp",port="80"\} /;
  count(0n);
  expect(await shown()).toEqual([]);
  count(5n);
  expect(await shown()).toEqual([
    ...['total_connections 5', 'cps 0', 'packets_in 50', 'pps_in 0', 'bytes_in 5000', 'bps_in 0'],
    ...['bytes_out 1099511627776', 'bps_out 0'],
  ]);
  clock.advance(10_000);
  count(25n);
  expect(await shown()).toEqual(expect.arrayContaining(['total_connections 25', 'cps 2', 'pps_in 20', 'bps_in 2000']));
  // Another scraper comes right after the first.
  clock.advance(500);
  expect(await shown()).toEqual(expect.arrayContaining(['total_connections 25', expect.stringMatching(/^cps 1\.9/)]));
  // The kernel began anew.
  clock.advance(10_000);
  count(1n);
  expect(await shown()).toEqual(expect.arrayContaining(['total_connections 1', 'cps 0']));
  counters.clear();
  expect(await shown()).toEqual([]);
});

const TRIGGERED = 'endpoints.kubernetes.io/last-change-trigger-time';

test('the time from a change of a pod to the kernel is measured, where there was something to write', async () => {
  const { apply, tell, clock, registry } = await running();
  const ports = [
    { name: 'a', port: 80 },
    { name: 'b', port: 81 },
  ];
  const slice = (ready: boolean, seconds: number): KubeObject =>
    objectOf({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'web-1',
        namespace: 'demo',
        labels: { 'kubernetes.io/service-name': 'web' },
        annotations: { [TRIGGERED]: new Date(START + seconds * 1000).toISOString() },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.244.1.1'], nodeName: 'n1', conditions: { ready } }],
      ports,
    });
  const measured = async (): Promise<readonly string[]> =>
    (await registry.metrics())
      .split('\n')
      .filter(line => /^kubeproxy_network_programming_duration_seconds_(sum|count)/.test(line))
      .map(line => line.replace(/^.*_/, ''));
  const other = KEY.replace(/80$/, '81') as FrontendKey;
  // Of a time before there was this process.
  apply(batchOf('added', nodeOf(1), serviceOf({ ports }), slice(true, -5)));
  tell({ kind: 'programmed', frontends: [KEY, other] });
  expect(await measured()).toEqual(['sum 0', 'count 0']);
  clock.advance(20_000);
  apply(batchOf('changed', slice(false, 15)));
  clock.advance(1000);
  tell({ kind: 'programmed', frontends: [KEY] });
  expect(await measured()).toEqual(['sum 0', 'count 0']);
  clock.advance(1000);
  tell({ kind: 'programmed', frontends: [other] });
  expect(await measured()).toEqual(['sum 7', 'count 1']);
  // Nothing of it matters here; and clocks differ.
  apply(batchOf('changed', slice(false, 21)));
  apply(batchOf('changed', slice(true, 90)));
  tell({ kind: 'programmed', frontends: [KEY, other] });
  expect(await measured()).toEqual(['sum 7', 'count 2']);
});
