import { beforeEach, describe, expect, test } from '@jest/globals';
import { createDenialLog, type DenialLog } from '../../../../src/app/policy/denialLog.js';
import type { LoggedPacket } from '../../../../src/kernel/nflog.js';
import type { LoggedPackets } from '../../../../src/kernel/nflogListener.js';
import type { ProblemReport } from '../../../../src/kube/problems.js';
import type { ObjectKey } from '../../../../src/kube/objects.js';
import type { LoggedDecision } from '../../../../src/policy/policyFirewall.js';
import { modelOf } from '../../policy/modelCluster.js';
import { VirtualClock } from '../../core/virtualClock.js';

const GROUP = { group: 100, perSecond: 5, burst: 10 };
const pod = (name: string, ip: string, more: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'shop', name },
  spec: { nodeName: 'n1', containers: [], ...more },
  status: { phase: 'Running', podIPs: [{ ip }] },
});
const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1' },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.9' }] },
};
const MODEL = modelOf([
  pod('web', '10.1.0.2'),
  pod('database', '10.1.0.3'),
  pod('agent', '10.0.0.9', { hostNetwork: true }),
  NODE,
]);

const ISOLATED: LoggedDecision = {
  direction: 'ingress',
  cause: { kind: 'isolated', policies: ['NetworkPolicy/shop/database' as ObjectKey] },
};
const RULE: LoggedDecision = {
  direction: 'egress',
  cause: { kind: 'rule', policy: 'ClusterNetworkPolicy/quarantine' as ObjectKey, rule: 2 },
};
const DECISIONS = new Map([
  ['isolated', ISOLATED],
  ['rule', RULE],
]);

const octets = (text: string): string => String.fromCharCode(...text.split('.').map(Number));

function packet(from: string, to: string, port: number | undefined, prefix = 'isolated'): LoggedPacket {
  const header = { version: 4 as const, source: octets(from), destination: octets(to) };
  const ports = port === undefined ? undefined : { source: 40000, destination: port };
  return { prefix, header: { ...header, protocol: port === undefined ? 1 : 6, ports } };
}

let world: typeof MODEL;
let clock: VirtualClock;
let log: DenialLog;
let lines: object[];
let warnings: string[];
let problems: string[];
let listening: Map<number, (logged: LoggedPackets) => void>;
let foreign: Set<number>;

beforeEach(() => {
  world = MODEL;
  clock = new VirtualClock();
  [lines, warnings, problems] = [[], [], []];
  listening = new Map();
  foreign = new Set();
  log = createDenialLog({
    decisionOf: prefix => DECISIONS.get(prefix),
    world: () => world,
    listen: (group, take) => {
      if (foreign.has(group)) throw new Error(`group ${group} is another's`);
      listening.set(group, take);
      return { close: () => void listening.delete(group) };
    },
    clock,
    now: () => Date.UTC(2026, 0, 1) + clock.now(),
    logger: {
      info: (line: object) => void lines.push(line),
      warn: (text: string) => void warnings.push(text),
    },
    report: (found: ProblemReport) => {
      problems = [...found.values()].flatMap(list => list.map(({ text }) => text));
    },
  });
});

function send(...packets: readonly LoggedPacket[]): void {
  listening.get(GROUP.group)!({ packets, hasOverrun: false });
}

describe('a denied connection', () => {
  beforeEach(() => log.configure(GROUP));

  test('is told by the names of pods and policy', () => {
    send(packet('10.1.0.2', '10.1.0.3', 5432));
    expect(lines).toEqual([
      {
        from: 'shop/web',
        fromAddress: '10.1.0.2',
        to: 'shop/database',
        toAddress: '10.1.0.3',
        port: '5432/tcp',
        direction: 'ingress',
        reason: 'selected by NetworkPolicy shop/database, and no ingress rule holds',
      },
    ]);
    expect(log.recent()).toEqual([
      { ...lines[0], first: '2026-01-01T00:00:00.000Z', last: '2026-01-01T00:00:00.000Z', packets: 1 },
    ]);
  });

  test('may be to a node, from an address without a name, or without a port', () => {
    send(packet('10.1.0.2', '10.0.0.9', 22, 'rule'), packet('192.0.2.1', '10.1.0.3', undefined));
    expect(lines).toMatchObject([
      { to: 'node n1', port: '22/tcp', reason: 'ClusterNetworkPolicy quarantine spec.egress[2] denies it' },
      { from: '192.0.2.1', port: 'icmp' },
    ]);
  });

  test('is told once a minute while it is tried again and again', () => {
    const again = packet('10.1.0.2', '10.1.0.3', 5432);
    send(again, again);
    clock.advance(59_000);
    send(again);
    expect(lines).toHaveLength(1);
    clock.advance(1000);
    send(again);
    expect(lines).toHaveLength(2);
    expect(log.recent()).toMatchObject([{ packets: 4, last: '2026-01-01T00:01:00.000Z' }]);
  });

  test('is told by the name of the pod that has the address by then', () => {
    const again = packet('10.1.0.2', '10.1.0.3', 5432);
    send(again);
    world = modelOf([pod('shop', '10.1.0.2'), NODE]);
    clock.advance(60_000);
    send(again);
    expect(lines).toMatchObject([
      { from: 'shop/web', to: 'shop/database' },
      { from: 'shop/shop', to: 'shop/database' },
    ]);
  });

  test('is one of few when there are many, which is said', () => {
    send(...Array.from({ length: 600 }, (_, i) => packet('10.1.0.2', '10.1.0.3', 1000 + i)));
    expect(lines).toHaveLength(20);
    expect(log.recent()).toHaveLength(500);
    expect(log.recent()[0]).toMatchObject({ port: '1599/tcp' });
    clock.advance(1000);
    send(packet('10.1.0.2', '10.1.0.3', 80));
    expect(lines).toHaveLength(21);
    expect(lines[20]).toMatchObject({ port: '80/tcp', unlogged: 580 });
  });

  test("of others' rules is nothing", () => {
    send(packet('10.1.0.2', '10.1.0.3', 80, 'kube-router'));
    expect([lines, log.recent()]).toEqual([[], []]);
  });

  test('that was lost is told of now and then', () => {
    for (let i = 0; i < 3; i++) listening.get(GROUP.group)!({ packets: [], hasOverrun: true });
    expect(warnings).toEqual(['denied packets came faster than they were read: some are not told']);
  });
});

test('a group of another program is a problem until it is free', () => {
  foreign.add(100);
  log.configure(GROUP);
  expect(problems).toEqual(["denied connections are not told: group 100 is another's"]);
  foreign.clear();
  clock.advance(30_000);
  expect(problems).toEqual([]);
  expect([...listening.keys()]).toEqual([100]);
});

test('another group is listened to instead, and in the end none', () => {
  log.configure(GROUP);
  log.configure({ ...GROUP, perSecond: 1 });
  log.configure({ ...GROUP, group: 7 });
  expect([...listening.keys()]).toEqual([7]);
  log.configure(undefined);
  expect([...listening.keys()]).toEqual([]);
  foreign.add(100);
  log.configure(GROUP);
  log.stop();
  foreign.clear();
  clock.advance(60_000);
  expect([...listening.keys()]).toEqual([]);
});
