/** The cleanup on a machine with state of others of every kind: everything of ours goes, and a dump of the rest is the same. Needs root and nft(8). */

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { cleanUp, type CleanupReport } from '../../src/app/plumbing/cleanup.js';
import { leftOfRouter } from '../../src/app/plumbing/ourRoutes.js';
import { openLeftovers } from '../../src/proxy/leftovers.js';
import { DEFAULT_OWNERSHIP } from '../../src/fib/ownership.js';
import { openFouPorts } from '../../src/kernel/fou.js';
import { batchOf, nodeN } from '../unit/routing/cluster.js';
import { attachPod, buildPlumbingRig, inside, type PlumbingRig } from './plumbingRig.js';

// Dozens of processes are run, on machines that may have other work.
jest.setTimeout(180_000);

let rig: PlumbingRig;
beforeEach(() => {
  rig = buildPlumbingRig('pkcl');
});
afterEach(async () => {
  await rig.close();
});

async function cleanup(): Promise<CleanupReport> {
  const fou = rig.node.inside(openFouPorts);
  const leftovers = rig.node.inside(() => openLeftovers());
  const { channel, nft, legacyIptables, switches, options } = rig;
  try {
    return await cleanUp({ channel, nft, legacyIptables, fou, switches, leftovers }, options, DEFAULT_OWNERSHIP);
  } finally {
    leftovers.close();
    fou.close();
  }
}

/** Everything of the network namespace that others may care for. Counters and numbers of links differ from dump to dump. */
function dump(): string {
  const ip = [
    'link show',
    '-4 addr show',
    '-6 addr show scope global',
    '-4 route show table all',
    '-6 route show table all',
    'rule show',
    '-6 rule show',
    'neigh show nud permanent',
  ];
  const switches = [
    'ipv4/ip_forward',
    'ipv4/conf/eth0/rp_filter',
    'ipv6/conf/all/forwarding',
    'ipv6/conf/eth0/accept_ra',
  ];
  return [
    ...ip.map(command => rig.node.ip(`-d ${command}`).replace(/timer +[\d.]+|expires \d+sec|state \w+/g, '')),
    inside(rig.node, 'nft -s list ruleset'),
    ...switches.map(name => `${name} ${rig.switches.read(name) ?? ''}`),
    readFileSync(rig.options.cni.file, 'utf8'),
  ].join('\n');
}

/** Others' things of every kind, among them such as look like ours. */
function liveThere(): void {
  const { node } = rig;
  for (const command of [
    'link add docker0 type bridge',
    'link set docker0 up',
    'link add pgi4 type veth peer name theirs',
    'link add vxlan9 type vxlan id 9 dstport 4789 local 10.0.0.1',
    'link set vxlan9 alias peerage-like',
    'link set vxlan9 up',
    'addr add 172.17.0.1/16 dev docker0',
    'route add 10.99.0.0/16 via 10.0.0.2',
    'route add 10.98.0.0/16 via 10.0.0.2 proto static metric 20',
    'route add 10.97.0.0/16 via 10.0.0.2 proto bird metric 20',
    'route add 10.96.0.0/16 via 10.0.0.2 proto bgp table 100',
    'route add 10.95.0.0/16 via 10.0.0.2 proto static table 186',
    '-6 route add 2001:db8:9::/48 via fd00::2 proto static',
    'route add 10.93.0.0/16 dev eth0 proto 206 table 100',
    'rule add from 10.1.0.0/16 lookup 100 priority 100',
    'rule add from 10.2.0.0/16 lookup 186 priority 32186',
    'neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent',
  ])
    node.ip(command);
  for (const command of [
    'add table inet theirs; add set inet theirs pods4 { type ipv4_addr; flags interval; elements = { 10.244.0.0/16 }; }',
    'add table ip nat; add chain ip nat POSTROUTING { type nat hook postrouting priority 100; }',
    'add rule ip nat POSTROUTING ip saddr 172.17.0.0/16 masquerade',
    'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
    'add rule ip filter FORWARD iifname "kube-bridge" ip daddr 192.0.2.1 drop comment "theirs"',
    'add table inet peerage_other; add chain inet peerage_other x',
  ])
    inside(rig.node, `nft ${command}`);
  writeFileSync(
    rig.options.cni.file,
    '{\n  "cniVersion": "0.3.0",\n  "name": "mynet",\n  "plugins": [\n    {\n      "type": "bridge",\n      "bridge": "kube-bridge",\n      "hairpinMode": true,\n      "ipam": {\n        "type": "host-local"\n      }\n    }\n  ]\n}\n',
  );
}

test('everything of ours goes, and nothing else changes', async () => {
  rig.switches.write('ipv4/conf/eth0/rp_filter', '1');
  liveThere();
  // New addresses are looked for twice on the link before they count.
  while (rig.node.ip('-6 addr show tentative') !== '') await setTimeout(50);
  const before = dump();

  const plumbing = rig.start();
  plumbing.configure(rig.options);
  plumbing.nodesChanged(batchOf('added', nodeN(1), nodeN(2)));
  await plumbing.idle();
  await plumbing.stop();
  for (const command of [
    'route add 10.244.2.0/24 via 10.0.0.2 proto 186 metric 20',
    'route add 10.244.3.0/24 proto 186 metric 20 nexthop via 10.0.0.2 nexthop via 10.0.0.3',
    '-6 route add fd00:10:244:2::/64 via fd00::2 proto 186 metric 20',
    'link add pgx4-56-3p1 type vxlan id 186 dstport 4788 local 10.0.0.1 nolearning',
    'rule add from 10.244.1.0/24 lookup 186 priority 32186 proto 186',
  ])
    rig.node.ip(command);
  for (const family of ['ip', 'ip6'])
    inside(rig.node, `nft add table ${family} peerage-proxy; add chain ${family} peerage-proxy x`);
  rig.node.ip('route add 10.94.0.0/16 dev eth0 proto 206 metric 4096');
  rig.node.ip('-6 route add 2001:db8:94::/48 dev eth0 proto 206 metric 4096');
  // ip(8) takes its arguments one by one, and an alias of ours has a space.
  execFileSync('ip', ['-n', rig.node.name, 'link', 'set', 'pgx4-56-3p1', 'alias', 'peerage overlay: to all nodes']);
  mkdirSync(rig.options.stateDirectory, { recursive: true });
  writeFileSync(join(rig.options.stateDirectory, 'routing.json'), '{}');
  letOthersPartsRun();
  const during = dump();
  const left = rig.node.inside(openFouPorts);
  expect(await leftOfRouter(rig.channel, left, DEFAULT_OWNERSHIP)).toBe(
    'routes (3, protocol 186) and tunnels (pgx4-56-3p1) of a router that ran here are left as they are',
  );
  expect(during).toMatch(/kube-bridge/);
  expect(during).toMatch(/peerage_egress/);
  expect(during).not.toBe(before);

  const report = await cleanup();
  expect(report.left).toEqual([]);
  expect(report.done).toEqual([
    'took our rules out of chain ip filter FORWARD',
    'deleted nftables table ip peerage-proxy',
    'deleted nftables table ip6 peerage-proxy',
    'deleted 2 routes to services',
    'deleted nftables table bridge peerage_antispoof',
    'deleted nftables table inet peerage_antispoof',
    'deleted nftables table ip peerage-policy',
    'deleted nftables table ip6 peerage-policy',
    'deleted nftables table ip peerage-tenants',
    'deleted nftables table ip6 peerage-tenants',
    'took out 2 limits of pods',
    'deleted nftables table inet peerage_egress',
    'deleted 5 parts of the tunnel for egress addresses',
    'deleted nftables table inet peerage_egress_addresses',
    'deleted 2 IPv4 routes of protocol 186',
    'deleted 1 IPv6 routes of protocol 186',
    'deleted tunnels pgx4-56-3p1',
    'deleted 1 rules and routes of the overlay',
    'deleted bridge kube-bridge',
    `restored ${rig.options.cni.file}`,
    'set net.ipv6.conf.all.forwarding back to 0',
    'set net.ipv6.conf.eth0.accept_ra back to 1',
    'set net.ipv4.conf.eth0.rp_filter back to 1',
    'set net.ipv4.ip_forward back to 0',
    `deleted ${join(rig.options.stateDirectory, 'routing.json')}`,
  ]);
  expect(dump()).toBe(before);
  expect(await cleanup()).toEqual({ done: [], left: [] });
  expect(await leftOfRouter(rig.channel, left, DEFAULT_OWNERSHIP)).toBeUndefined();
  left.close();
});

/** Firewall, tenants, anti-spoofing, egress addresses, and limits of a pod behind the link docker0 of somebody else. */
function letOthersPartsRun(): void {
  for (const table of [
    'bridge peerage_antispoof',
    'inet peerage_antispoof',
    ...['ip', 'ip6'].flatMap(family => [`${family} peerage-policy`, `${family} peerage-tenants`]),
    'inet peerage_egress_addresses',
  ])
    inside(rig.node, `nft add table ${table}; add chain ${table} x`);
  for (const command of [
    'link add peerage-egress type vxlan id 4787 dstport 4787 local 10.0.0.1 nolearning',
    'addr add 169.254.47.87/32 dev peerage-egress',
    'link set peerage-egress up',
    'neigh add 10.0.0.2 lladdr 0a:00:00:00:00:02 dev peerage-egress nud permanent',
    'route add default via 10.0.0.2 dev peerage-egress onlink table 47870001 proto 186 metric 20',
    'rule add fwmark 0x10000/0xff0000 lookup 47870001 priority 4787 proto 186',
  ])
    rig.node.ip(command);
  const ifindex = (name: string): string => /^\d+/.exec(rig.node.ip(`-o link show dev ${name}`))![0];
  const ifb = `pgb${ifindex('docker0')}`;
  rig.node.ip(`link add ${ifb} type ifb`);
  rig.node.ip(`link set ${ifb} up`);
  for (const command of [
    'qdisc add dev docker0 root handle 7065: tbf rate 20mbit burst 50000 limit 200000',
    'qdisc add dev docker0 ingress',
    `filter add dev docker0 parent ffff: pref 28773 protocol all u32 match u32 0 0 action mirred egress redirect dev ${ifb}`,
    `qdisc add dev ${ifb} root handle 7065: tbf rate 20mbit burst 50000 limit 200000`,
  ])
    inside(rig.node, `tc ${command}`);
}

test('a bridge with pods is left, and so is a bridge of somebody else', async () => {
  const plumbing = rig.start();
  plumbing.configure(rig.options);
  plumbing.nodesChanged(batchOf('added', nodeN(1)));
  await plumbing.idle();
  await plumbing.stop();
  attachPod(rig);
  expect((await cleanup()).left).toEqual(['bridge kube-bridge: still has ports: veth1']);
  rig.node.ip('link del veth1');
  expect((await cleanup()).done).toEqual(['deleted bridge kube-bridge']);
  rig.node.ip('link add kube-bridge type bridge');
  expect(await cleanup()).toEqual({ done: [], left: [] });
  expect(rig.node.ip('link show')).toContain('kube-bridge');
});

test('a file that we made goes, and one in disorder is named', async () => {
  const plumbing = rig.start();
  plumbing.configure(rig.options);
  plumbing.nodesChanged(batchOf('added', nodeN(1)));
  await plumbing.idle();
  await plumbing.stop();
  expect((await cleanup()).done).toContain(`deleted ${rig.options.cni.file}`);
  writeFileSync(rig.options.cni.file, '{');
  expect((await cleanup()).left).toEqual([expect.stringMatching(/conflist: is no JSON/)]);
});
