/** A service proxy at work for tests: virtual time, and a backend whose kernel answers when the test says so. */

import { pino } from 'pino';
import { Registry } from 'prom-client';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';
import { createOrdering, type Ordering } from '../../../../src/app/ordering.js';
import { createProxyHealth, type ProxyHealth } from '../../../../src/app/proxy/proxyHealth.js';
import { createProxyMetrics } from '../../../../src/app/proxy/proxyMetrics.js';
import { createProxyStage } from '../../../../src/app/proxy/proxyStage.js';
import { startProxy, type RunningProxy } from '../../../../src/app/proxy/runningProxy.js';
import type { ObjectBatch } from '../../../../src/kube/objectBatch.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import type { ProxyBackend, ProxyEvent, TrafficCounters } from '../../../../src/proxy/proxyBackend.js';
import type { FrontendKey, ProxySettings, ServicePortKey } from '../../../../src/proxy/proxyTypes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { serviceOf, sliceOf } from '../../proxy/proxyCluster.js';

/** Lets promises that are resolved run on. */
export async function settle(): Promise<void> {
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

export const START = Date.UTC(2026, 10, 21, 12);

export interface ProxyAtWork {
  readonly settings: readonly ProxySettings[];
  /** What the backend wants, after each change. */
  readonly log: readonly string[];
  readonly counters: Map<ServicePortKey, TrafficCounters>;
  /** The kernel answers. */
  tell(event: ProxyEvent): void;
  readonly clock: VirtualClock;
  readonly proxy: RunningProxy;
  readonly ordering: Ordering<string>;
  readonly announced: readonly string[];
  readonly events: readonly (readonly unknown[])[];
  readonly health: ProxyHealth;
  readonly registry: Registry;
  texts(): readonly string[];
  configure(config: unknown): void;
  apply(batch: ObjectBatch): void;
}

/** At work on node n1, with nothing known of the cluster yet. */
export async function running(): Promise<ProxyAtWork> {
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

export const KEY = '4|10.96.0.10|TCP|80' as FrontendKey;
export const VIP = '10.96.0.10/32';
export const web: readonly KubeObject[] = [serviceOf(), sliceOf([{ node: 'n1' }])];
