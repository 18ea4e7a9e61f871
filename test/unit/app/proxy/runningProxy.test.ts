import { expect, test } from '@jest/globals';
import { formatPrefix } from '../../../../src/core/ip.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import { nodeOf, serviceOf, sliceOf } from '../../proxy/proxyCluster.js';
import { batchOf, objectOf } from '../../routing/cluster.js';
import { KEY, running, settle, VIP, web } from './proxyLoop.js';

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
