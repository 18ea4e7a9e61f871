/** Services wait for network policies, where both are enforced here. */

import { expect, test } from '@jest/globals';
import { afterPolicies } from '../../../../src/app/proxy/afterPolicies.js';
import type { Problem } from '../../../../src/kube/problems.js';
import type { ProxyBackend } from '../../../../src/proxy/proxyBackend.js';
import type { ProxyDelta } from '../../../../src/proxy/proxyTypes.js';
import { VirtualClock } from '../../core/virtualClock.js';

const NOTHING: ProxyDelta = {
  frontends: { set: new Map(), removed: new Set() },
  backends: { set: new Map(), removed: new Set() },
  addresses: { set: new Map(), removed: new Set() },
};

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

async function start() {
  const clock = new VirtualClock();
  const log: string[] = [];
  const problems = new Map<string, readonly Problem[]>();
  let sync: () => void = () => undefined;
  const policies = { synced: new Promise<void>(resolve => (sync = resolve)), hasFormer: false };
  const inner: ProxyBackend = {
    kind: 'nftables',
    configure: () => undefined,
    apply: () => log.push('apply'),
    begin: () => log.push('begin'),
    read: () => Promise.resolve([]),
    counters: () => Promise.resolve(new Map()),
    idle: () => Promise.resolve(),
    stop: () => {
      log.push('stop');
      return Promise.resolve();
    },
  };
  const backend = await afterPolicies(() => Promise.resolve(inner), {
    policies,
    clock,
    report: found => {
      for (const [owner, list] of found) problems.set(owner, list);
    },
  })(() => undefined);
  return {
    backend,
    policies,
    log,
    texts: () => [...problems.values()].flat().map(({ text }) => text),
    sync: async () => {
      sync();
      await settle();
    },
    pass: async (milliseconds: number) => {
      clock.advance(milliseconds);
      await settle();
    },
  };
}

test('nothing is written before policies are in force, and what was wanted meanwhile is', async () => {
  const { backend, log, sync } = await start();
  let isIdle = false;
  backend.apply(NOTHING);
  backend.begin();
  void backend.idle().then(() => (isIdle = true));
  await settle();
  expect(log).toEqual(['apply']);
  expect(isIdle).toBe(false);
  await sync();
  expect(log).toEqual(['apply', 'begin']);
  expect(isIdle).toBe(true);
});

test('begun late, policies hold up nothing', async () => {
  const { backend, log, sync } = await start();
  await sync();
  backend.begin();
  await settle();
  expect(log).toEqual(['begin']);
});

test('a firewall that does not come keeps services closed, and that is told until it comes', async () => {
  const { backend, log, sync, pass, texts } = await start();
  backend.begin();
  await pass(9999);
  expect(texts()).toEqual([]);
  await pass(1);
  expect(texts()).toEqual([expect.stringContaining('network policies are not in force')]);
  await pass(3_600_000);
  expect(log).toEqual([]);
  await sync();
  expect(log).toEqual(['begin']);
  expect(texts()).toEqual([]);
});

test('with policies of a former life in force, services wait ten seconds at most', async () => {
  const { backend, policies, log, pass, texts } = await start();
  policies.hasFormer = true;
  backend.begin();
  await pass(9999);
  expect(log).toEqual([]);
  await pass(1);
  expect(log).toEqual(['begin']);
  expect(texts()).toEqual([]);
});

test('stopped while it waits, it never begins', async () => {
  const { backend, log, sync } = await start();
  backend.begin();
  await backend.stop();
  await sync();
  expect(log).toEqual(['stop']);
});
