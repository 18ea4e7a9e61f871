/** Services wait for network policies and tenants, where they are enforced here. */

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

interface Rules {
  readonly synced: Promise<void>;
  readonly sync: () => void;
  hasFormer: boolean;
}

function rules(): Rules {
  let sync: () => void = () => undefined;
  const synced = new Promise<void>(resolve => (sync = resolve));
  return { synced, sync, hasFormer: false };
}

async function start() {
  const clock = new VirtualClock();
  const log: string[] = [];
  const problems = new Map<string, readonly Problem[]>();
  const [policies, tenants] = [rules(), rules()];
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
    rules: new Map([
      ['network policies', policies],
      ['tenants', tenants],
    ]),
    clock,
    report: found => {
      for (const [owner, list] of found) problems.set(owner, list);
    },
  })(() => undefined);
  return {
    backend,
    policies,
    tenants,
    log,
    texts: () => [...problems.values()].flat().map(({ text }) => text),
    sync: async (...these: readonly Rules[]) => {
      for (const { sync } of these) sync();
      await settle();
    },
    pass: async (milliseconds: number) => {
      clock.advance(milliseconds);
      await settle();
    },
  };
}

test('nothing is written before policies and tenants are in force, and what was wanted meanwhile is', async () => {
  const { backend, log, policies, tenants, sync } = await start();
  let isIdle = false;
  backend.apply(NOTHING);
  backend.begin();
  void backend.idle().then(() => (isIdle = true));
  await sync(policies);
  expect(log).toEqual(['apply']);
  expect(isIdle).toBe(false);
  await sync(tenants);
  expect(log).toEqual(['apply', 'begin']);
  expect(isIdle).toBe(true);
});

test('begun late, policies and tenants hold up nothing', async () => {
  const { backend, log, policies, tenants, sync } = await start();
  await sync(tenants, policies);
  backend.begin();
  await settle();
  expect(log).toEqual(['begin']);
});

test('what does not come into force keeps services closed, and that is told of each until it comes', async () => {
  const { backend, log, policies, tenants, sync, pass, texts } = await start();
  backend.begin();
  await pass(9999);
  expect(texts()).toEqual([]);
  await pass(1);
  const waiting = ['network policies', 'tenants'].map(name => expect.stringContaining(`${name} are not in force`));
  expect(texts()).toEqual(waiting);
  await sync(policies);
  expect(texts()).toEqual(waiting.slice(1));
  await pass(3_600_000);
  expect(log).toEqual([]);
  await sync(tenants);
  expect(log).toEqual(['begin']);
  expect(texts()).toEqual([]);
});

test('with policies of a former life in force, services wait ten seconds at most for them, and on for tenants', async () => {
  const { backend, policies, tenants, log, pass, sync, texts } = await start();
  policies.hasFormer = true;
  backend.begin();
  await pass(10_000);
  expect(log).toEqual([]);
  expect(texts()).toEqual([expect.stringContaining('tenants are not in force')]);
  await sync(tenants);
  expect(log).toEqual(['begin']);
  expect(texts()).toEqual([]);
});

test('with both of a former life in force, services wait ten seconds at most', async () => {
  const { backend, policies, tenants, log, pass, texts } = await start();
  for (const former of [policies, tenants]) former.hasFormer = true;
  backend.begin();
  await pass(9999);
  expect(log).toEqual([]);
  await pass(1);
  expect(log).toEqual(['begin']);
  expect(texts()).toEqual([]);
});

test('stopped while it waits, it never begins', async () => {
  const { backend, log, policies, tenants, sync } = await start();
  backend.begin();
  await backend.stop();
  await sync(policies, tenants);
  expect(log).toEqual(['stop']);
});
