import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';
import { createOrdering } from '../../../../src/app/ordering.js';
import { createProxyHealth } from '../../../../src/app/proxy/proxyHealth.js';
import { createProxyMetrics } from '../../../../src/app/proxy/proxyMetrics.js';
import { createProxyStage } from '../../../../src/app/proxy/proxyStage.js';
import { startProxy } from '../../../../src/app/proxy/runningProxy.js';
import { formatPrefix } from '../../../../src/core/ip.js';
import type { ObjectBatch } from '../../../../src/kube/objectBatch.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import type { ProxyBackend, ProxyEvent, TrafficCounters } from '../../../../src/proxy/proxyBackend.js';
import type { FrontendKey, ProxySettings, ServicePortKey } from '../../../../src/proxy/proxyTypes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { batchOf, objectOf } from '../../routing/cluster.js';
import { nodeOf, serviceOf, sliceOf } from '../../proxy/proxyCluster.js';

/** Lets promises that are resolved run on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}

/** A backend whose kernel answers when the test says so. */
function fakeBackend() {
  const wanted = new Set<FrontendKey>();
  const settings: ProxySettings[] = [];
  const log: string[] = [];
  const counters = new Map<ServicePortKey, TrafficCounters>();
  let tell: (event: ProxyEvent) => void = () => undefined;
  const backend: ProxyBackend = {
    kind: 'nftables',
    configure: next => settings.push(next),
    apply: ({ frontends }) => {
      for (const key of frontends.removed) wanted.delete(key);
      for (const key of frontends.set.keys()) wanted.add(key);
      log.push([...wanted].join(' '));
    },
    begin: () => log.push('begin'),
    read: keys =>
      Promise.resolve(keys.map(key => ({ key, backends: [], verdict: 'forward' as const, counters: undefined }))),
    counters: () => Promise.resolve(counters),
    idle: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  return {
    settings,
    log,
    counters,
    tell: (event: ProxyEvent) => tell(event),
    open: (onEvent: (event: ProxyEvent) => void) => {
      tell = onEvent;
      return Promise.resolve(backend);
    },
  };
}

const START = Date.UTC(2026, 10, 21, 12);

async function running() {
  const clock = new VirtualClock();
  const kernel = fakeBackend();
  const problems = createProblemSet();
  const health = createProxyHealth(clock);
  const announced: string[] = [];
  const events: (readonly unknown[])[] = [];
  const registry = new Registry();
  const proxy = await startProxy({
    open: kernel.open,
    clock,
    wallClock: () => START + clock.now(),
    logger: pino({ level: 'silent' }),
    health,
    metrics: createProxyMetrics([registry]),
    report: found => problems.report(found),
    openEvents: ({ nodes, uidOf }) => ({
      take: (found, isLocal) => {
        for (const { subject, reason } of [...found.values()].flat())
          events.push([subject, reason, isLocal, [...nodes()].join(), uidOf(subject.slice('Service '.length))]);
      },
      stop: () => events.push(['stopped']),
    }),
  });
  const ordering = createOrdering<string>({
    clock,
    settleTime: 2000,
    changed: ({ set, removed }) => {
      announced.push(...[...set.keys()].map(key => `+${key}`), ...[...removed].map(key => `-${key}`));
    },
    settled: () => announced.push('settled'),
  });
  proxy.attach(ordering);
  const stage = createProxyStage('n1');
  const kubernetes = (config: unknown) => AgentConfig.parse({ kubernetes: config }).kubernetes;
  proxy.update(stage({ kind: 'options', kubernetes: kubernetes({}) }));
  return {
    ...kernel,
    clock,
    proxy,
    ordering,
    announced,
    events,
    health,
    registry,
    texts: () => problems.list().map(({ subject, text }) => `${subject}: ${text}`),
    configure: (config: unknown) => proxy.update(stage({ kind: 'options', kubernetes: kubernetes(config) })),
    apply: (batch: ObjectBatch) => proxy.update(stage({ kind: 'batch', batch })),
  };
}

const KEY = '4|10.96.0.10|TCP|80' as FrontendKey;
const VIP = '10.96.0.10/32';
const web: readonly KubeObject[] = [serviceOf(), sliceOf([{ node: 'n1' }])];

test('nothing begins before the cluster is known, and announcements wait for the kernel', async () => {
  const { apply, log, ordering, announced, tell } = await running();
  expect(log).toEqual([]);
  apply(batchOf('added', nodeOf(1), ...web));
  expect(log).toEqual([KEY, 'begin']);
  ordering.want({ set: new Map([[VIP, 'x']]), removed: new Set() });
  await settle();
  expect(announced).toEqual(['settled']);
  tell({ kind: 'programmed', frontends: [KEY] });
  expect(announced).toEqual(['settled', `+${VIP}`]);
});

test('a service that goes is withdrawn first and taken out of the kernel later', async () => {
  const { apply, log, ordering, announced, tell, clock } = await running();
  apply(batchOf('added', nodeOf(1), ...web));
  tell({ kind: 'programmed', frontends: [KEY] });
  // Announced by the want itself.
  ordering.want({ set: new Map([[VIP, 'x']]), removed: new Set() });
  apply(batchOf('deleted', serviceOf()));
  expect(announced).toContain(`-${VIP}`);
  expect(log.at(-1)).toBe('begin');
  clock.advance(1999);
  expect(log.at(-1)).toBe('begin');
  clock.advance(1);
  expect(log.at(-1)).toBe('');
});

test('a service that comes back before it went is announced at once', async () => {
  const { apply, ordering, announced, tell } = await running();
  apply(batchOf('added', nodeOf(1), ...web));
  tell({ kind: 'programmed', frontends: [KEY] });
  ordering.want({ set: new Map([[VIP, 'x']]), removed: new Set() });
  apply(batchOf('deleted', serviceOf()));
  apply(batchOf('added', serviceOf()));
  expect(announced.at(-1)).toBe(`+${VIP}`);
});

test('what the kernel has lost is withdrawn; a second port on its way is no reason to', async () => {
  const { apply, ordering, announced, tell } = await running();
  apply(batchOf('added', nodeOf(1), ...web));
  tell({ kind: 'programmed', frontends: [KEY] });
  ordering.want({ set: new Map([[VIP, 'x']]), removed: new Set() });
  const before = [...announced];
  const ports = [{ port: 80 }, { name: 'b', port: 81 }];
  apply(batchOf('changed', serviceOf({ ports })));
  expect(announced).toEqual(before);
  tell({ kind: 'removed', frontends: [KEY] });
  expect(announced.at(-1)).toBe(`-${VIP}`);
});

test('a refusal names its service, and clears', async () => {
  const { apply, tell, texts, proxy } = await running();
  apply(batchOf('added', nodeOf(1), ...web));
  tell({ kind: 'failed', failures: new Map([[KEY, 'No space left']]) });
  expect(texts()).toEqual([`Service demo/web: ${KEY}: No space left`]);
  expect([...proxy.view.frontends()]).toMatchObject([
    { service: 'demo/web', state: 'failed', error: 'No space left', backends: 1, localBackends: 1 },
  ]);
  tell({ kind: 'recovered', frontends: [KEY] });
  tell({ kind: 'programmed', frontends: [KEY] });
  expect(texts()).toEqual([]);
  expect([...proxy.view.frontends()]).toMatchObject([{ state: 'programmed', error: null }]);
});

test('while nothing can be written the proxy is unhealthy after a minute, until it can', async () => {
  const { apply, tell, health, clock, texts } = await running();
  apply(batchOf('added', nodeOf(1)));
  await settle();
  tell({ kind: 'error', text: 'no netlink' });
  apply(batchOf('added', ...web));
  await settle();
  expect(texts()).toEqual(['service proxy: no netlink']);
  for (let second = 0; second < 61; second += 1) {
    tell({ kind: 'error', text: 'no netlink' });
    clock.advance(1000);
    tell({ kind: 'error', text: 'no netlink' });
    await settle();
  }
  expect(health.isHealthy).toBe(false);
  tell({ kind: 'committed', seconds: 0.1, frontends: 1, full: true });
  clock.advance(5000);
  await settle();
  expect(health.isHealthy).toBe(true);
  expect(texts()).toEqual([]);
});

test('between two tries of a kernel that fails the proxy is neither well nor done', async () => {
  const { apply, tell, health, clock, announced } = await running();
  const passes = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1000);
      await settle();
    }
  };
  tell({ kind: 'error', text: 'no netlink' });
  apply(batchOf('added', nodeOf(1), ...web));
  // As far apart as the reconciler's tries come to be.
  for (const pause of [1, 2, 4, 8, 16, 30, 30]) {
    await passes(pause);
    tell({ kind: 'error', text: 'no netlink' });
  }
  expect(announced).toEqual([]);
  expect(health.isHealthy).toBe(false);
  tell({ kind: 'committed', seconds: 0.1, frontends: 1, full: true });
  await passes(5);
  expect(announced).toEqual(['settled']);
  expect(health.isHealthy).toBe(true);
});

test('an error that nothing follows is over after a while', async () => {
  const { apply, tell, health, clock, announced } = await running();
  tell({ kind: 'error', text: 'stale UDP flows: ENOBUFS' });
  apply(batchOf('added', nodeOf(1), ...web));
  for (let second = 0; second < 50; second += 1) {
    clock.advance(1000);
    await settle();
  }
  expect(announced).toEqual(['settled']);
  expect(health.isHealthy).toBe(true);
});

test('after its end nothing of a broken proxy is left to wait for', async () => {
  const { apply, tell, clock, proxy } = await running();
  tell({ kind: 'error', text: 'no netlink' });
  apply(batchOf('added', nodeOf(1), ...web));
  await settle();
  expect(clock.pending).toBe(1);
  await proxy.stop();
  expect(clock.pending).toBe(0);
});

test('what was refused and is not wanted any more is no problem any more', async () => {
  const { apply, ordering, tell, texts } = await running();
  apply(batchOf('added', nodeOf(1), ...web));
  tell({ kind: 'failed', failures: new Map([[KEY, 'No space left']]) });
  expect(texts()).toHaveLength(1);
  ordering.want({ set: new Map(), removed: new Set() });
  apply(batchOf('deleted', serviceOf()));
  expect(texts()).toEqual([]);
});

test('settings reach the backend when they change, and only then', async () => {
  const { apply, settings, configure } = await running();
  expect(settings).toHaveLength(1);
  expect(settings[0]).toMatchObject({ nodePortAddresses: [], podDetector: { kind: 'none' }, masqueradeBit: 14 });
  apply(batchOf('added', nodeOf(1)));
  expect(settings[1]?.nodePortAddresses).toHaveLength(2);
  apply(batchOf('added', ...web));
  expect(settings).toHaveLength(2);
  configure({ proxy: { masqueradeAll: true, nodePortAddresses: ['all'], pods: { link: 'kube-bridge' } } });
  expect(settings[2]).toMatchObject({
    masqueradeAll: true,
    nodePortAddresses: 'all',
    podDetector: { kind: 'link', name: 'kube-bridge' },
  });
});

function cidrsOf(name: string, ...cidrs: readonly string[]): KubeObject {
  return objectOf({ apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name }, spec: { cidrs } });
}

test('networks of services are those the cluster tells of, and configured ones for who asks', async () => {
  const { apply, settings, configure } = await running();
  const latest = () => settings.at(-1)?.serviceCidrs.map(formatPrefix);
  expect(latest()).toEqual([]);
  apply(batchOf('added', cidrsOf('kubernetes', '10.97.0.0/16', 'fd96::/108'), cidrsOf('more', '10.97.4.0/24')));
  expect(latest()).toEqual(['10.97.0.0/16', 'fd96::/108']);
  configure({ services: { clusterIpRanges: ['10.98.0.0/16', '10.97.0.0/17'] }, proxy: { dropUnallocated: true } });
  expect(latest()).toEqual(['10.97.0.0/16', '10.98.0.0/16', 'fd96::/108']);
  apply(batchOf('deleted', cidrsOf('kubernetes', '10.97.0.0/16', 'fd96::/108')));
  expect(latest()).toEqual(['10.97.0.0/17', '10.98.0.0/16']);
  configure({ proxy: { dropUnallocated: false } });
  expect(latest()).toEqual([]);
});

test('a node that is about to leave is no place for traffic from outside', async () => {
  const { apply, health } = await running();
  const own = (taints: readonly object[]): KubeObject =>
    objectOf({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: { taints } });
  apply(batchOf('added', own([])));
  expect(health.answer('healthz')).toMatchObject({ status: 200, body: { nodeEligible: true } });
  apply(batchOf('changed', own([{ key: 'ToBeDeletedByClusterAutoscaler' }])));
  expect(health.answer('healthz')).toMatchObject({ status: 503, body: { nodeEligible: false } });
  expect(health.answer('livez').status).toBe(200);
  apply(batchOf('changed', own([])));
  expect(health.answer('healthz').status).toBe(200);
});

test('who may tell the cluster hears what is wrong with which service', async () => {
  const { apply, events, proxy } = await running();
  apply(batchOf('added', nodeOf(1), nodeOf(2), ...web));
  expect(events).toEqual([]);
  apply(batchOf('changed', serviceOf({ externalIPs: ['192.0.2.1'] })));
  apply(batchOf('changed', serviceOf({}, { annotations: { 'kube-router.io/service.scheduler': 'best' } })));
  apply(batchOf('added', serviceOf({ clusterIPs: ['10.96.0.11'], externalIPs: ['10.96.0.10'] }, { name: 'thief' })));
  const all = [false, 'n1,n2', ''];
  expect(events).toEqual([
    ['Service demo/web', 'AddressRefused', ...all],
    ['Service demo/web', 'InvalidAnnotation', ...all],
    expect.arrayContaining(['Service demo/thief']),
  ]);
  await proxy.stop();
  expect(events.at(-1)).toEqual(['stopped']);
});

test('one service in full: frontends as the kernel has them, and why each endpoint is in or out', async () => {
  const { apply, proxy } = await running();
  const service = serviceOf({ externalIPs: ['192.0.2.1'] });
  apply(batchOf('added', nodeOf(1), service, sliceOf([{ node: 'n1' }, { node: 'n2', ready: false }])));
  expect(await proxy.view.service('demo/web')).toMatchObject({
    backend: 'nftables',
    problems: [expect.stringMatching(/^external IP 192\.0\.2\.1 is in none of/)],
    frontends: [
      {
        address: '10.96.0.10',
        masquerade: 'offCluster',
        wanted: [{ address: '10.244.1.1', port: 8080, weight: 1 }],
        kernel: { verdict: 'forward' },
      },
    ],
    endpoints: [
      { address: '10.244.1.1', isLocal: true, inCluster: true, inLocal: true, reason: 'ready' },
      { address: '10.244.1.2', node: 'n2', inCluster: false, reason: 'not ready' },
    ],
    healthCheck: null,
  });
  expect(await proxy.view.service('demo/other')).toBeUndefined();
});

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
