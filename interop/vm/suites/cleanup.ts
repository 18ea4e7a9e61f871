/**
 * The cleanup on a machine with others' tunnels, dummy links, virtual services and the like, of the kinds that many kernels
 * lack, next to ours of the same kinds. (test/kernel/plumbingCleanup.test.ts does the rest.)
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cleanUp, type CleanupReport } from '../../../src/app/plumbing/cleanup.js';
import { DEFAULT_PLUMBING } from '../../../src/app/plumbing/plumbingOptions.js';
import { DEFAULT_OWNERSHIP } from '../../../src/fib/ownership.js';
import { openFouPorts } from '../../../src/kernel/fou.js';
import { openLegacyIptables } from '../../../src/kernel/legacyForward.js';
import { openRouteChannel } from '../../../src/kernel/netlink/channel.js';
import { openNft } from '../../../src/kernel/nft.js';
import { kernelSwitches } from '../../../src/kernel/sysctl.js';
import { openLeftovers } from '../../../src/proxy/leftovers.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { vmSuite } from '../suite.js';

const FOREIGN_LINKS = [
  'link add eth0 type dummy',
  'link set eth0 up',
  'addr add 10.0.0.1/24 dev eth0',
  'addr add fd00::1/64 dev eth0 nodad',
  'link add kube-dummy-if type dummy',
  'link set kube-dummy-if up',
  'addr add 10.96.0.1/32 dev kube-dummy-if',
  'link add nodelocaldns type dummy',
  'addr add 169.254.20.10/32 dev nodelocaldns',
  // Named as kube-router names its own, and as ours are without being ours.
  'link add tun-0a000009 type ipip local 10.0.0.1 remote 10.0.0.9',
  'link set tun-0a000009 up mtu 1400',
  'link add pgi4x type ipip local 10.0.0.1 remote 10.0.0.8',
  'link add their6 type ip6tnl mode any local fd00::1 remote fd00::9',
  'link set their6 up',
  'link add their-fou type ipip local 10.0.0.1 remote 10.0.0.7 encap gue encap-sport auto encap-dport 7777',
  'link set their-fou up',
  'link add wg0 type wireguard',
  'link add gre1 type gre local 10.0.0.1 remote 10.0.0.6',
  'link add vrf-red type vrf table 999',
  'link set vrf-red up',
  'link add mac0 link eth0 type macvlan mode bridge',
  'route add 10.90.0.0/16 dev tun-0a000009',
  'route add 10.91.0.0/16 dev tun-0a000009 table 186 proto static',
  '-6 route add 2001:db8:90::/48 dev their6',
  'rule add from 10.3.0.0/16 lookup 999 priority 32186',
];

const FOREIGN_STATE = [
  'ip fou add port 7777 gue',
  'ip fou add port 7778 ipproto 4',
  'ipvsadm -A -t 10.96.0.1:443 -s rr',
  'ipvsadm -a -t 10.96.0.1:443 -r 10.244.9.9:6443 -m',
  'ipvsadm -A -u 10.96.0.10:53 -s sh -p 300',
  'ipvsadm -A -f 77 -s lc',
  'ipvsadm -A -t [fd00:10:96::1]:443 -s wrr',
  'tc qdisc add dev eth0 root netem delay 1ms',
  'nft add table inet theirs',
  'nft add chain inet theirs forward "{ type filter hook forward priority 0; }"',
  'nft add rule inet theirs forward iifname kube-bridge drop comment theirs',
];

const OURS = [
  'fou add port 5555 gue',
  'link add pgi4 type ipip local 10.0.0.1 encap gue encap-sport auto encap-dport 5555',
  'link add pgi6-0123456789 type ip6tnl mode any local fd00::1 remote fd00::5',
  'link set pgi4 alias "peerage overlay: to all nodes"',
  'link set pgi6-0123456789 alias "peerage overlay: to node n5 (fd00::5)"',
  'link set pgi4 up',
  'link set pgi6-0123456789 up',
  'route add 10.244.8.0/24 via 10.0.9.8 dev pgi4 onlink proto 186 metric 20',
  'route add 10.0.9.8/32 via 10.0.9.8 dev pgi4 onlink table 186 proto 186 metric 20',
  '-6 route add fd00:10:244:8::/64 dev pgi6-0123456789 proto 186 metric 20',
  'rule add from 10.244.1.0/24 lookup 186 priority 32186 proto 186',
];

/** Commands one after the other, by one shell: programs are dear in the guest. @returns lines of what they print */
function shell(node: Namespace, commands: readonly string[]): readonly string[] {
  const script = ['set -e', ...commands].join('\n');
  const text = execFileSync('ip', ['netns', 'exec', node.name, 'sh', '-c', script], { encoding: 'utf8' });
  return text.split('\n');
}

/** Everything that others may care for; what counts by itself, and what a link being looked for does, is left out. */
function dump(node: Namespace): readonly string[] {
  const commands = [
    'ip -d link show',
    'ip -4 addr show',
    'ip -6 addr show scope global',
    'ip -4 route show table all',
    'ip -6 route show table all',
    'ip rule show',
    'ip -6 rule show',
    'ip fou show',
    'ipvsadm -Sn',
    'tc qdisc show',
    'nft -s list ruleset',
  ];
  return (
    shell(node, commands)
      .map(line => line.replace(/state \w+|expires \d+sec/g, '').trimEnd())
      // What the kernel puts on links by itself comes when it comes.
      .filter(line => !/fe80::|ff00::\/8|proto kernel.*pref/.test(line))
  );
}

async function cleanedUp(node: Namespace): Promise<CleanupReport> {
  const enter = ['ip', 'netns', 'exec', node.name];
  const [channel, fou] = [node.inside(openRouteChannel), node.inside(() => openFouPorts())];
  const leftovers = node.inside(() => openLeftovers());
  const nft = openNft([...enter, 'nft']);
  // Tables of iptables are tried on the host: it need not be installed.
  const legacyIptables = openLegacyIptables(enter, () => '');
  const options = {
    ...DEFAULT_PLUMBING,
    cni: { enabled: true, file: '/run/peerage-cleanup/kuberouter.conflist' },
    stateDirectory: '/run/peerage-cleanup',
  };
  try {
    const tools = { channel, nft, legacyIptables, fou, switches: kernelSwitches, leftovers };
    return await cleanUp(tools, options, DEFAULT_OWNERSHIP);
  } finally {
    leftovers.close();
    channel.close();
    fou.close();
  }
}

export const cleanup = vmSuite('cleanup', 600, suite => {
  let node: Namespace | undefined;
  let before: readonly string[] = [];
  const machine = (): Namespace => {
    if (node === undefined) throw new Error('there is no machine');
    return node;
  };

  suite.prepare("others' things", () => {
    node = makeNamespace('pgvmcl');
    execFileSync('modprobe', ['-a', 'ip_vs', 'fou', 'fou6']);
    shell(node, [...FOREIGN_LINKS.map(command => `ip ${command}`), ...FOREIGN_STATE]);
  });
  suite.check("on a machine with others' things alone it does nothing", async () => {
    before = dump(machine());
    assert.deepEqual(await cleanedUp(machine()), { done: [], left: [] });
    assert.deepEqual(dump(machine()), before);
  });
  suite.check('it names what of ours it removes', async () => {
    shell(
      machine(),
      OURS.map(command => `ip ${command}`),
    );
    assert.notDeepEqual(dump(machine()), before);
    const { done, left } = await cleanedUp(machine());
    assert.deepEqual(left, []);
    assert.deepEqual(done, [
      'deleted 1 IPv4 routes of protocol 186',
      'deleted 1 IPv6 routes of protocol 186',
      'deleted tunnels pgi4, pgi6-0123456789',
      'deleted 2 rules and routes of the overlay',
      'closed UDP port 5555 for tunnels over IPv4',
    ]);
  });
  suite.check('and nothing else changes', () => assert.deepEqual(dump(machine()), before));
  suite.check('a second time there is nothing to do', async () => {
    assert.deepEqual(await cleanedUp(machine()), { done: [], left: [] });
  });
  suite.cleanup('end of the machine', () => node?.remove());
});
