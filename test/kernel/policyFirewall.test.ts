/** Network policies as packets meet them, in both families. Needs root. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { ADDRESSES, GATEWAYS, PORT } from './proxyRig.js';
import {
  clusterPolicy,
  expectPassing,
  networkPolicy,
  openPolicyRig,
  podObject,
  PODS,
  SETTINGS,
  type PolicyRig,
} from './policyRig.js';

let rig: PolicyRig;
beforeAll(async () => {
  rig = await openPolicyRig('pkpf');
  await rig.actors.node.serve('node', PORT);
}, 120_000);
afterEach(() => rig.life.become(PODS));
afterAll(() => rig.close());

const both = (cell: string): readonly string[] => ['tcp4', 'tcp6', 'udp4'].map(kind => `${cell} ${kind}`);
const CELLS = ['a>b', 'b>a', 'c>a', 'c>b', 'a>c', 'client>a', 'node>a', 'node>b']
  .flatMap(both)
  .concat('a>node tcp4', 'a>node tcp6');
const without = (...gone: readonly string[]): readonly string[] =>
  CELLS.filter(cell => !gone.some(part => cell.startsWith(part)));

const all = { podSelector: {} };
const onlyA = { podSelector: { matchLabels: { pod: 'a' } } };

test('without policies everything passes', async () => {
  await rig.life.become(PODS);
  expect(rig.life.events.filter(({ kind }) => kind === 'error' || kind === 'failed')).toEqual([]);
  await expectPassing(rig, CELLS, CELLS);
});

describe('NetworkPolicy', () => {
  test.each<[string, unknown[], readonly string[]]>([
    ['isolated in ingress, reached by its node alone', [networkPolicy('p', onlyA)], without('b>a', 'c>a', 'client>a')],
    ['isolated in egress', [networkPolicy('p', { ...onlyA, policyTypes: ['Egress'] })], without('a>b', 'a>c')],
    [
      'from pods of the namespace only',
      [networkPolicy('p', { ...all, ingress: [{ from: [{ podSelector: {} }] }] })],
      without('c>', 'client>'),
    ],
    [
      'from other namespaces, by label',
      [
        networkPolicy('p', {
          ...all,
          ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }] }],
        }),
      ],
      without('a>b', 'b>a', 'client>'),
    ],
    [
      'from a block less a part of it',
      [
        networkPolicy('p', {
          ...all,
          ingress: [
            {
              from: [
                { ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] } },
                { ipBlock: { cidr: '192.168.9.0/24' } },
                { ipBlock: { cidr: 'fd44::/16', except: ['fd44:2::/64'] } },
                { ipBlock: { cidr: 'fd99::/64' } },
              ],
            },
          ],
        }),
      ],
      without('c>'),
    ],
    [
      'TCP on one port',
      [networkPolicy('p', { ...all, ingress: [{ ports: [{ port: PORT }] }] })],
      CELLS.filter(cell => !cell.includes('udp') || cell.startsWith('node') || cell === 'a>c udp4'),
    ],
    [
      'a named port, to several ranges beside it',
      [
        networkPolicy('p', {
          ...all,
          ingress: [{ ports: [{ port: 'web' }, { port: 1, endPort: 9 }, { port: 20, endPort: 29 }] }],
        }),
      ],
      CELLS.filter(cell => !cell.includes('udp') || cell.startsWith('node') || cell === 'a>c udp4'),
    ],
    [
      'UDP in a range of ports, egress to a group',
      [
        networkPolicy('p', {
          ...onlyA,
          policyTypes: ['Egress'],
          egress: [
            {
              to: [{ podSelector: { matchLabels: { pod: 'b' } } }],
              ports: [{ protocol: 'UDP', port: 8000, endPort: 8100 }],
            },
          ],
        }),
      ],
      without('a>b tcp', 'a>c'),
    ],
    [
      'a policy of SCTP isolates from all else',
      [networkPolicy('p', { ...onlyA, ingress: [{ ports: [{ protocol: 'SCTP', port: PORT }] }] })],
      without('b>a', 'c>a', 'client>a'),
    ],
    [
      'two policies allow what either allows',
      [
        networkPolicy('p', { ...onlyA, ingress: [{ from: [{ podSelector: {} }] }] }),
        networkPolicy('q', { ...onlyA, ingress: [{ from: [{ ipBlock: { cidr: `${ADDRESSES[4].client}/32` } }] }] }),
      ],
      without('c>a', 'client>a tcp6'),
    ],
  ])('%s', async (_, policies, expected) => {
    await rig.life.become([...PODS, ...policies]);
    await expectPassing(rig, CELLS, expected);
  });
});

describe('ClusterNetworkPolicy', () => {
  const everyone = { namespaces: {} };
  const deny = (peers: object, more: object = {}): object => ({ action: 'Deny', ...peers, ...more });
  test.each<[string, unknown[], readonly string[]]>([
    [
      'Admin denies what NetworkPolicies allow, to the node too',
      [
        clusterPolicy('c', {
          tier: 'Admin',
          priority: 1,
          subject: everyone,
          ingress: [
            {
              action: 'Accept',
              from: [{ namespaces: { matchLabels: { 'kubernetes.io/metadata.name': 'x' } } }],
              protocols: [{ tcp: {} }],
            },
            deny({ from: [{ namespaces: {} }] }),
          ],
        }),
        networkPolicy('p', { ...all, ingress: [{}] }),
      ],
      without('c>', 'a>b udp', 'b>a udp'),
    ],
    [
      'Pass hands over to NetworkPolicies, Baseline is for pods without',
      [
        clusterPolicy('c', {
          tier: 'Admin',
          priority: 1,
          subject: everyone,
          ingress: [
            { action: 'Pass', from: [{ namespaces: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }] },
            deny({ from: [{ namespaces: {} }] }),
          ],
        }),
        clusterPolicy('d', {
          tier: 'Baseline',
          priority: 1,
          subject: everyone,
          ingress: [deny({ from: [{ namespaces: {} }] })],
        }),
        networkPolicy('p', { ...onlyA, ingress: [{}] }),
      ],
      without('a>b', 'b>a', 'c>b'),
    ],
    [
      'Admin denies a pod its way to a node',
      [
        clusterPolicy('c', {
          tier: 'Admin',
          priority: 1,
          subject: everyone,
          egress: [deny({ to: [{ nodes: {} }] }), deny({ to: [{ networks: [`${ADDRESSES[6].c}/128`] }] })],
        }),
      ],
      without('a>node', 'a>c tcp6'),
    ],
  ])('%s', async (_, policies, expected) => {
    await rig.life.become([...PODS, ...policies]);
    await expectPassing(rig, CELLS, expected);
  });
});

test('ICMP passes by rules without ports only, neighbour discovery always', async () => {
  const pings = (): readonly boolean[] =>
    ([4, 6] as const).map(family => {
      const { status } = spawnSync('ip', [
        ...['netns', 'exec', 'pkpf-b', 'ping', '-c', '2', '-i', '0.2', '-W', '1', ADDRESSES[family].a],
      ]);
      return status === 0;
    });
  const from = [{ podSelector: {} }];
  await rig.life.become([...PODS, networkPolicy('p', { ...all, ingress: [{ from }] })]);
  expect(pings()).toEqual([true, true]);
  await rig.life.become([...PODS, networkPolicy('p', { ...all, ingress: [{ from, ports: [{ port: PORT }] }] })]);
  rig.node.ip('-6 neigh flush all');
  expect(pings()).toEqual([false, false]);
  await expectPassing(rig, ['b>a tcp6'], ['b>a tcp6']);
});

test('what is denied is counted by pod and policy', async () => {
  await rig.life.become([...PODS, networkPolicy('p', onlyA)]);
  await expectPassing(rig, ['b>a tcp4', 'b>a tcp6'], []);
  const denials = await rig.life.firewall.denials();
  expect(denials).toContainEqual({
    pod: 'x/a',
    address: ADDRESSES[4].a,
    direction: 'ingress',
    cause: { kind: 'isolated', policies: ['NetworkPolicy/x/p'] },
    packets: expect.anything(),
  });
  expect(denials.map(({ address }) => address)).toContain(ADDRESSES[6].a);
  expect(denials.every(({ packets }) => packets > 0n)).toBe(true);
});

test('pods that nobody knows are closed when that is asked for, their node reaches them all the same', async () => {
  const known = PODS.filter(object => object !== PODS[0]);
  rig.life.firewall.configure({ ...SETTINGS, defaultDeny: true });
  await rig.life.become(known);
  await expectPassing(rig, CELLS, without('a>', 'b>a', 'c>a', 'client>a'));
  const denials = await rig.life.firewall.denials();
  // Whatever the address: a sender may try as many as it likes.
  expect(new Set(denials.flatMap(({ address, cause }) => (cause.kind === 'unknown' ? [address] : [])))).toEqual(
    new Set(['0.0.0.0', '::']),
  );
  await rig.life.become([...known, podObject('a')]);
  await expectPassing(rig, CELLS, CELLS);
});

test.each([
  ['a governed pod', 4],
  ['a governed pod', 6],
  ['a pod that nobody knows', 6],
] as const)('who takes the address of the node does not get to %s over IPv%i for it', async (pod, family) => {
  const isKnown = pod === 'a governed pod';
  rig.life.firewall.configure({ ...SETTINGS, defaultDeny: !isKnown });
  await rig.life.become(isKnown ? [...PODS, networkPolicy('p', onlyA)] : PODS.slice(1));
  const { node, a } = ADDRESSES[family];
  const gateway = GATEWAYS.c[family === 4 ? 0 : 1];
  const ip = family === 4 ? 'ip' : 'ip6';
  const inC = (args: string): unknown => execFileSync('ip', ['-n', 'pkpf-c', ...args.split(' ')]);
  const nft = (where: string, input: string): string =>
    execFileSync('ip', ['netns', 'exec', where, 'nft', '-f', '-'], { encoding: 'utf8', input });
  const arrived = (where: string): readonly string[] =>
    [...nft(where, 'list table inet arrivals').matchAll(/ counter packets (\d+)/g)].map(([, packets]) => packets!);
  inC(`address add ${node}/${family === 4 ? 32 : 128} dev lo`);
  try {
    for (const where of ['pkpf-a', 'pkpf-node'])
      nft(
        where,
        `table inet arrivals {
          chain input {
            type filter hook input priority 200
            udp dport ${PORT} ${ip} saddr ${node} counter
            udp dport ${PORT} ${ip} saddr ${ADDRESSES[family].c} counter
          }
        }`,
      );
    for (const address of [a, gateway])
      await rig.actors.c.ask({ protocol: 'udp', address, port: PORT, from: node, patience: 100 });
    // What is sent later by the same way arrives later.
    await rig.life.become(PODS);
    for (const address of [a, gateway])
      await rig.actors.c.ask({ protocol: 'udp', address, port: PORT, from: ADDRESSES[family].c });
    expect([arrived('pkpf-a'), arrived('pkpf-node')]).toEqual([
      ['0', '1'],
      ['0', '1'],
    ]);
  } finally {
    for (const where of ['pkpf-a', 'pkpf-node']) nft(where, 'table inet arrivals; delete table inet arrivals');
    inC(`address delete ${node}/${family === 4 ? 32 : 128} dev lo`);
  }
});
