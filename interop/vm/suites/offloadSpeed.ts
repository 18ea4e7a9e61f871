/**
 * What rules and the short way past them cost a packet of an established connection, in a guest whose kernel has flowtables:
 * emulated, so that only the ratios mean something. On request: PEERAGE_VM_SUITES=offloadSpeed PEERAGE_VM_CONSOLE=1.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { buildWay, type Way } from '../../../bench/policy/packets.js';
import { systemClock } from '../../../src/core/clock.js';
import { openRouteChannel } from '../../../src/kernel/netlink/channel.js';
import { readFlowtables } from '../../../src/kernel/nftables/flowtables.js';
import { openTableSockets } from '../../../src/kernel/nftables/tableSockets.js';
import { readHostLinks } from '../../../src/kernel/podLinkReading.js';
import { createFlowOffload } from '../../../src/policy/flowOffload/flowOffload.js';
import { OFFLOAD_TABLE } from '../../../src/policy/flowOffload/offloadTable.js';
import { networkPolicy, SETTINGS, startLife } from '../../../test/kernel/policyRig.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { vmSuite } from '../suite.js';

/** Packets of one block; a block is short, so that others seldom come between. */
const [BLOCK, ROUNDS] = [640, 60];
const POD = '10.64.0.1';
const KINDS = ['bare', 'conntrack', 'policies', 'offload'] as const;
type Kind = (typeof KINDS)[number];

const TRACKING =
  'add table ip t\nadd chain ip t c { type filter hook forward priority 0 ; }\nadd rule ip t c ct state established,related accept\n';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'x', name: 'a', labels: { pod: 'a' } },
    spec: { nodeName: 'n1', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip: POD }] },
  },
  networkPolicy('out', {
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
    egress: [{ to: [{ ipBlock: { cidr: '198.18.0.0/15' } }] }],
  }),
];

const ends: (() => Promise<void> | void)[] = [];
const ways = new Map<Kind, Way>();

async function withPolicies(node: Namespace): Promise<void> {
  const life = startLife(node, { ...SETTINGS, log: undefined });
  ends.push(() => life.firewall.stop());
  await life.become(OBJECTS);
}

async function withOffload(node: Namespace): Promise<void> {
  const sockets = node.inside(() => openTableSockets());
  const routes = node.inside(() => openRouteChannel());
  const offload = createFlowOffload({
    transactions: sockets.transactions,
    links: () => readHostLinks(routes),
    flowtables: () => readFlowtables(sockets.channel, OFFLOAD_TABLE),
    remove: () => Promise.resolve(false),
    clock: systemClock,
    onEvent: event => assert.equal(event.kind, 'written'),
  });
  ends.push(async () => {
    await offload.stop();
    for (const socket of [sockets, routes]) socket.close();
  });
  offload.configure({ ipv4: true, ipv6: true, cutBit: SETTINGS.cutBit });
  await offload.idle();
}

async function build(kind: Kind): Promise<void> {
  const name = `pvs${kind.slice(0, 2)}`;
  const node = makeNamespace(name);
  ends.push(() => node.remove());
  if (kind === 'conntrack') execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: TRACKING });
  if (kind === 'policies' || kind === 'offload') await withPolicies(node);
  const way = buildWay(name, name, POD);
  ends.push(() => way.close());
  if (kind === 'offload') await withOffload(node);
  ways.set(kind, way);
}

export const offloadSpeed = vmSuite('offloadSpeed', 900, ({ check, prepare, cleanup }) => {
  for (const kind of KINDS) prepare(kind, () => build(kind));
  check('packets of established connections', () => {
    const times = new Map<Kind, number[]>(KINDS.map(kind => [kind, []]));
    for (const way of ways.values()) way.established(BLOCK);
    for (let round = 0; round < ROUNDS; round++)
      for (const [kind, way] of ways) times.get(kind)?.push(way.established(BLOCK));
    const middle = (kind: Kind): number => (times.get(kind) ?? []).sort((a, b) => a - b)[ROUNDS >> 1] ?? NaN;
    for (const kind of KINDS) {
      const share = (100 * middle('bare')) / middle(kind);
      console.log(
        `${kind}: ${middle(kind).toFixed(0)} ns a packet, ${share.toFixed(1)} % of the packets without rules`,
      );
    }
    for (const [kind, way] of ways) assert.ok(way.arrived() >= way.sent, kind);
  });
  cleanup('take it down', async () => {
    for (const end of ends.reverse()) await end();
  });
});
