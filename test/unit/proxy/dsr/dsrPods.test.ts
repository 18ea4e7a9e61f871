/** When pods are prepared for direct server return, and when that is taken back. */

import { expect, test } from '@jest/globals';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import type { ContainerRuntime } from '../../../../src/proxy/dsr/containerRuntime.js';
import type { Sandbox } from '../../../../src/proxy/dsr/criMessages.js';
import { createDsrPods } from '../../../../src/proxy/dsr/dsrPods.js';
import { VirtualClock } from '../../core/virtualClock.js';

const POD = '10.244.1.2' as IpText;
const OTHER = '10.244.1.3' as IpText;
const VIP = '203.0.113.7' as IpText;

async function settle(): Promise<void> {
  for (let i = 0; i < 60; i += 1) await Promise.resolve();
}

function start() {
  const clock = new VirtualClock();
  const sandboxes = new Map<string, Sandbox>();
  const state = {
    fails: '',
    mtu: undefined as number | undefined,
    problems: new Map<string, string>() as ReadonlyMap<string, string>,
  };
  const log: string[] = [];
  const runtime: ContainerRuntime = {
    list: () => Promise.resolve([...sandboxes.keys()]),
    sandbox: id => Promise.resolve(sandboxes.get(id)),
    close: () => log.push('closed'),
  };
  const pods = createDsrPods({
    clock,
    openRuntime: () => Promise.resolve(runtime),
    apply: (namespaces, tunnels) => {
      if (state.fails !== '') return Promise.reject(new Error(state.fails));
      log.push(`${namespaces[0] ?? ''} ${tunnels.map(({ pod, vips }) => `${pod}=${[...vips].join(',')}`).join(' ')}`);
      return Promise.resolve(1450);
    },
    onProblems: problems => (state.problems = problems),
    onMtu: mtu => (state.mtu = mtu),
  });
  const add = (id: string, addresses: readonly string[], namespaces = [`/run/${id}`]): void =>
    void sandboxes.set(id, { id, addresses, namespaces });
  const pass = async (milliseconds: number): Promise<void> => {
    clock.advance(milliseconds);
    await settle();
  };
  const want = (pod: IpText, ...vips: readonly IpText[]): void => pods.want(new Map([[pod, new Set(vips)]]));
  return { pods, sandboxes, state, log, add, pass, want };
}

test('nobody is asked anything until there is such a service', async () => {
  const { log, pass, add } = start();
  add('s1', [POD]);
  await pass(60_000);
  expect(log).toEqual([]);
});

test('a pod is prepared once, others are looked at for what a former life left, and the end is told too', async () => {
  const { log, pass, add, want, state } = start();
  add('s1', [POD, 'fd44::2']);
  add('s2', [OTHER]);
  add('host', ['192.0.2.1'], []);
  want(POD, VIP);
  await pass(100);
  await pass(10_000);
  expect(log).toEqual([`/run/s1 ${POD}=${VIP} fd44::2=`, `/run/s2 ${OTHER}=`]);
  expect(state.mtu).toBe(1450);
  log.length = 0;
  want(POD);
  await pass(100);
  expect(log).toEqual([`/run/s1 ${POD}= fd44::2=`]);
  expect(state.mtu).toBeUndefined();
});

test('a pod that is not there yet is a problem until it comes, and so is a restarted one', async () => {
  const { log, pass, add, want, state, sandboxes } = start();
  want(POD, VIP);
  await pass(100);
  expect([...state.problems.keys()]).toEqual([POD]);
  add('s1', []);
  await pass(10_000);
  add('s1', [POD]);
  await pass(10_000);
  expect(log).toEqual([`/run/s1 ${POD}=${VIP}`]);
  expect([...state.problems]).toEqual([]);
  sandboxes.delete('s1');
  add('s9', [POD]);
  await pass(10_000);
  expect(log.at(-1)).toBe(`/run/s9 ${POD}=${VIP}`);
});

test('a failure is told and tried again', async () => {
  const { log, pass, add, want, state } = start();
  add('s1', [POD]);
  state.fails = 'cannot make kube-tunnel-if in the pod: EPERM';
  want(POD, VIP);
  await pass(100);
  expect(state.problems.get(POD)).toBe(state.fails);
  state.fails = '';
  await pass(10_000);
  expect(log).toEqual([`/run/s1 ${POD}=${VIP}`]);
  expect([...state.problems]).toEqual([]);
});

test('what somebody undid in a pod is done again', async () => {
  const { log, pass, add, want } = start();
  add('s1', [POD]);
  want(POD, VIP);
  await pass(100);
  for (let i = 0; i < 6; i += 1) await pass(10_000);
  expect(log).toEqual([`/run/s1 ${POD}=${VIP}`, `/run/s1 ${POD}=${VIP}`]);
});
