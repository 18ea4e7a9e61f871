/** When the kernel is asked for flows: not before there is a reason, and not too often. */

import { beforeEach, expect, test } from '@jest/globals';
import { createFlowCutter, type FlowCutEvent, type FlowCutter } from '../../../../src/policy/flows/flowCutter.js';
import { createPolicyModel } from '../../../../src/policy/policyModel.js';
import type { NetlinkChannel } from '../../../../src/kernel/netlink/channel.js';
import { batchBetween } from '../modelCluster.js';
import { VirtualClock } from '../../core/virtualClock.js';

let clock: VirtualClock;
let cutter: FlowCutter;
let dumps: number;
let refusal: Error | undefined;
let known: readonly unknown[];
let events: FlowCutEvent[];
let model: ReturnType<typeof createPolicyModel>;
/** Milliseconds that a listing takes. */
let slowness: number;

beforeEach(() => {
  clock = new VirtualClock();
  [dumps, refusal, known, events, slowness] = [0, undefined, [], [], 0];
  model = createPolicyModel('n1');
  const channel: NetlinkChannel = {
    portId: 1,
    transact: () => Promise.reject(new Error('nothing is to be marked')),
    dump: () => {
      dumps += 1;
      clock.advance(slowness);
      return refusal === undefined ? Promise.resolve('complete') : Promise.reject(refusal);
    },
    close: () => undefined,
  };
  cutter = createFlowCutter({
    channel,
    nodeAddresses: () => Promise.resolve(new Set()),
    clock,
    onEvent: event => events.push(event),
  });
  cutter.configure({ ipv4: true, ipv6: false, bit: 5 });
});

const pod = (name: string, ip: string): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'demo', name, labels: { name } },
  spec: { nodeName: 'n1', containers: [] },
  status: { phase: 'Running', podIPs: [{ ip }] },
});
const policy = (name: string): unknown => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace: 'demo', name: `of-${name}` },
  spec: { podSelector: { matchLabels: { name } }, ingress: [] },
});

function become(...objects: readonly unknown[]): void {
  cutter.note(model.apply(batchBetween(known, objects)), model);
  known = objects;
}

/** The same, when the kernel has taken it. */
async function written(...objects: readonly unknown[]): Promise<void> {
  become(...objects);
  cutter.committed();
  await settle();
}

/** Promises settle without time passing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

const [A, B] = [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')];

test('everything is looked at first, once, and again when something may be forbidden', async () => {
  await written(A, B);
  expect(dumps).toBe(1);
  await written(A, B, pod('c', '10.0.0.3'));
  clock.advance(5000);
  await settle();
  expect(dumps).toBe(1);
  await written(A, B, policy('a'));
  // One end, by its address: as original source and as reply source.
  expect(dumps).toBe(3);
});

test('nothing is looked at before the kernel has the change', async () => {
  become(A, B, policy('a'));
  await settle();
  expect(dumps).toBe(0);
});

test('changes within a second are looked at together', async () => {
  await written(A, B);
  dumps = 0;
  for (const name of ['a', 'b']) {
    await written(A, B, ...['a', 'b'].slice(0, name === 'a' ? 1 : 2).map(policy));
  }
  expect(dumps).toBe(0);
  clock.advance(999);
  await settle();
  expect(dumps).toBe(0);
  clock.advance(1);
  await settle();
  expect(dumps).toBe(4);
});

test('looks take at most a fifth of the time', async () => {
  slowness = 500;
  await written(A, B);
  await written(A, B, policy('a'));
  clock.advance(1999);
  await settle();
  expect(dumps).toBe(1);
  clock.advance(1);
  await settle();
  expect(dumps).toBe(3);
});

test('what could not be looked at is looked at again', async () => {
  become(A, B);
  refusal = new Error('no memory');
  cutter.committed();
  await settle();
  expect(events).toEqual([{ kind: 'error', text: 'no memory' }]);
  refusal = undefined;
  clock.advance(1000);
  await settle();
  expect(events.slice(1)).toMatchObject([{ kind: 'looked', family: 4, judged: 0 }]);
});

test('another bit begins anew, none asks for nothing', async () => {
  await written(A, B);
  cutter.configure({ ipv4: true, ipv6: true, bit: 6 });
  cutter.committed();
  clock.advance(1000);
  await settle();
  expect(dumps).toBe(3);
  cutter.configure({ ipv4: true, ipv6: true, bit: undefined });
  become(A, B, policy('a'));
  cutter.committed();
  clock.advance(5000);
  await settle();
  expect(dumps).toBe(3);
});

test('stopping waits for nothing', async () => {
  await written(A, B);
  await written(A, B, policy('a'));
  await cutter.stop();
  expect(clock.pending).toBe(0);
  expect(dumps).toBe(1);
});
