import { describe, expect, test } from '@jest/globals';
import pino from 'pino';
import { Registry } from 'prom-client';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';
import { createPolicyMetrics } from '../../../../src/app/policy/policyMetrics.js';
import { createPolicyStage } from '../../../../src/app/policy/policyStage.js';
import { startFirewall } from '../../../../src/app/policy/runningFirewall.js';
import type { LoggedPackets } from '../../../../src/kernel/nflogListener.js';
import type { ObjectBatch } from '../../../../src/kube/objectBatch.js';
import type { Problem, ProblemReport } from '../../../../src/kube/problems.js';
import { podName } from '../../../../src/policy/policyTypes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { batchOf } from '../../routing/cluster.js';
import { createFakeFirewall, type FakeFirewall } from './fakeFirewall.js';
import { CLUSTER, NODE, ONLY_CLIENT, WEB } from './policyObjects.js';

const WEB_POD = podName('demo', 'web');

async function bench(kubernetes: object = {}) {
  const clock = new VirtualClock();
  const problems = new Map<string, readonly Problem[]>();
  const cuts: string[] = [];
  const logs = new Map<number, (logged: LoggedPackets) => void>();
  let fake: FakeFirewall | undefined;
  const running = await startFirewall({
    open: tell => (fake = createFakeFirewall(tell)),
    clock,
    logger: pino({ level: 'silent' }),
    metrics: createPolicyMetrics([new Registry()]),
    report: (found: ProblemReport) => {
      for (const [owner, list] of found) problems.set(owner, list);
    },
    cutter: {
      configure: ({ bit }) => cuts.push(`bit ${bit ?? 'none'}`),
      note: ({ pods }) => cuts.push(`note ${[...pods.set.keys(), ...pods.removed].join(' ')}`.trim()),
      committed: () => cuts.push('look'),
      idle: () => Promise.resolve(),
      stop: () => Promise.resolve(),
    },
    listen: (group, take) => {
      logs.set(group, take);
      return { close: () => void logs.delete(group) };
    },
  });
  if (fake === undefined) throw new Error('was not opened');
  let opened = 0;
  running.attach({ gate: () => ({ open: () => (opened += 1) }) });
  const stage = createPolicyStage({ nodeName: NODE, clock });
  const settings = AgentConfig.parse({ kubernetes }).kubernetes;
  return {
    fake,
    running,
    cuts,
    logs,
    clock,
    isOpen: () => opened > 0,
    texts: () => [...problems.values()].flat().map(({ subject, text }) => `${subject}: ${text}`),
    configure: () => running.update(stage({ kind: 'options', kubernetes: settings })),
    tell: (batch: ObjectBatch) => running.update(stage({ kind: 'batch', batch })),
    isSettled: async () => {
      for (let i = 0; i < 5; i++) await Promise.resolve();
    },
  };
}

describe('the start', () => {
  test('nothing begins before the cluster has told all it had; until then what is there holds', async () => {
    const { fake, configure, tell, isSettled, isOpen } = await bench();
    configure();
    expect(fake.calls).toEqual(['configure', 'hold']);
    tell({ ...batchOf('added', WEB), synced: false });
    expect(fake.calls).toEqual(['configure', 'hold', 'apply']);
    tell(batchOf('added', ...CLUSTER));
    expect(fake.calls).toEqual(['configure', 'hold', 'apply', 'configure', 'apply', 'begin']);
    await isSettled();
    expect(isOpen()).toBe(true);
  });

  test('BGP waits until policies are in the kernel', async () => {
    const { fake, configure, tell, isSettled, isOpen, clock } = await bench();
    fake.isSettled = false;
    configure();
    tell(batchOf('added', ...CLUSTER));
    await isSettled();
    expect(isOpen()).toBe(false);
    fake.isSettled = true;
    clock.advance(5000);
    await isSettled();
    expect(isOpen()).toBe(true);
  });

  test('a policy that the kernel refuses holds up nobody: its pods are closed', async () => {
    const { fake, configure, tell, isSettled, isOpen, running } = await bench();
    fake.isSettled = false;
    configure();
    fake.tell({ kind: 'failed', failures: new Map([[WEB_POD, 'no memory']]) });
    tell(batchOf('added', ...CLUSTER));
    fake.tell({ kind: 'failed', failures: new Map([[WEB_POD, 'no memory']]) });
    await isSettled();
    expect(isOpen()).toBe(true);
    await expect(running.synced).resolves.toBeUndefined();
  });
});

test('policies of a former life are known as such once the kernel has been read', async () => {
  const { fake, running } = await bench();
  expect(running.hasFormer).toBe(false);
  fake.tell({ kind: 'adopted', count: 0 });
  expect(running.hasFormer).toBe(false);
  fake.tell({ kind: 'adopted', count: 3 });
  expect(running.hasFormer).toBe(true);
});

describe('problems', () => {
  test('pods that are closed are named until they are not', async () => {
    const { fake, configure, tell, texts } = await bench();
    configure();
    tell(batchOf('added', ...CLUSTER));
    fake.tell({ kind: 'failed', failures: new Map([[WEB_POD, 'no memory']]) });
    expect(texts()).toEqual([`Pod demo/web: its policies were refused by the kernel, and it is closed: no memory`]);
    fake.tell({ kind: 'recovered', pods: [WEB_POD] });
    expect(texts()).toEqual([]);
  });

  test('what is gone is no problem', async () => {
    const { fake, configure, tell, texts } = await bench();
    configure();
    tell(batchOf('added', ...CLUSTER));
    fake.tell({ kind: 'failed', failures: new Map([[WEB_POD, 'no memory']]) });
    tell(batchOf('deleted', WEB));
    expect(texts()).toEqual([]);
  });

  test('an error of the whole is over with the next transaction', async () => {
    const { fake, texts } = await bench();
    fake.tell({ kind: 'error', text: 'netlink: no buffer' });
    expect(texts()).toEqual(['firewall: netlink: no buffer']);
    fake.tell({ kind: 'committed', seconds: 0.1, full: false });
    expect(texts()).toEqual([]);
  });
});

test('a pod is on its way from its change until the kernel says so', async () => {
  const { fake, configure, tell, running } = await bench();
  configure();
  tell(batchOf('added', ...CLUSTER));
  fake.tell({ kind: 'programmed', pods: [WEB_POD, podName('demo', 'client')] });
  const states = (): readonly string[] => [...running.view.policies()].map(({ policy, state }) => `${policy} ${state}`);
  expect(states()).toEqual(['ClusterNetworkPolicy no-far programmed', 'NetworkPolicy demo/web programmed']);
  tell(batchOf('deleted', ONLY_CLIENT));
  expect(states()).toEqual(['ClusterNetworkPolicy no-far pending']);
  fake.tell({ kind: 'programmed', pods: [WEB_POD] });
  expect(states()).toEqual(['ClusterNetworkPolicy no-far programmed']);
});

test('a change that concerns no policy writes nothing', async () => {
  const { fake, configure, tell } = await bench();
  configure();
  tell(batchOf('added', ...CLUSTER));
  const before = fake.calls.length;
  tell(batchOf('changed', WEB));
  expect(fake.calls.length).toBe(before);
});

test('connections are looked at once the kernel has what is wanted, and after every transaction', async () => {
  const { fake, configure, tell, cuts, isSettled } = await bench();
  configure();
  fake.tell({ kind: 'committed', seconds: 0.1, full: true });
  expect(cuts).toEqual(['bit 27', 'note']);
  tell(batchOf('added', ...CLUSTER));
  await isSettled();
  expect(cuts.slice(2)).toEqual(['bit 27', 'note demo/client demo/web', 'look']);
  tell(batchOf('deleted', ONLY_CLIENT));
  fake.tell({ kind: 'committed', seconds: 0.1, full: false });
  expect(cuts.slice(5)).toEqual(['note demo/web', 'look']);
});

test('what the kernel logs is shown by names, of the group that is configured', async () => {
  const { fake, configure, tell, running, logs } = await bench({ firewall: { log: { group: 77 } } });
  configure();
  tell(batchOf('added', ...CLUSTER));
  expect([...logs.keys()]).toEqual([77]);
  fake.decisions.set('here', { direction: 'ingress', cause: { kind: 'unknown' } });
  const header = { version: 4 as const, source: '\x0a\x00\x00\x01', destination: '\x0a\x00\x00\x02', protocol: 1 };
  logs.get(77)?.({ packets: [{ prefix: 'here', header: { ...header, ports: undefined } }], hasOverrun: false });
  expect([...running.view.denials()]).toMatchObject([
    {
      fromAddress: '10.0.0.1',
      toAddress: '10.0.0.2',
      port: 'icmp',
      reason: 'no known pod of this node has the address',
    },
  ]);
  await running.stop();
  expect([...logs.keys()]).toEqual([]);
});
