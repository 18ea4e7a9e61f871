/** A node's plumbing against the real kernel: bridge, CNI file, switches, egress and foreign firewalls, with packets. Needs root and nft(8). */

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { DEFAULT_OVERLAY } from '../../src/fib/overlay/overlayOptions.js';
import { batchOf, nodeN } from '../unit/routing/cluster.js';
import { prefix } from '../unit/fib/routeText.js';
import { attachPod, buildPlumbingRig, inside, type PlumbingRig } from './plumbingRig.js';

// Dozens of processes are run, on machines that may have other work.
jest.setTimeout(180_000);

let rig: PlumbingRig;
beforeEach(() => {
  rig = buildPlumbingRig('pkpl');
});
afterEach(async () => {
  await rig.close();
});

const bridge = (): string => rig.node.ip('-d link show kube-bridge');
const cniFile = (): { plugins: readonly { mtu: number; ipam: { ranges: object } }[] } =>
  JSON.parse(readFileSync(rig.options.cni.file, 'utf8')) as ReturnType<typeof cniFile>;
const sources = (): string => inside(rig.node, 'nft list set inet peerage_egress local4');

async function eventually(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 1500 && !isSo(); i++) await setTimeout(20);
  expect(isSo()).toBe(true);
}

describe('plumbing', () => {
  test('sets up a bare node, once: another process finds nothing to do', async () => {
    const first = rig.start();
    first.configure(rig.options);
    first.nodesChanged(batchOf('added', nodeN(1), nodeN(2)));
    await first.idle();
    expect(rig.problems()).toEqual([]);
    // IPIP over IPv4 costs 20 octets, ip6tnl over IPv6 40: what fits both.
    expect(bridge()).toMatch(/UP.* mtu 1460 .*\n.*link\/ether 0a:.*\n.*bridge/);
    expect(bridge()).toMatch(/alias peerage: pods of this node/);
    expect(cniFile().plugins[0]).toMatchObject({
      mtu: 1460,
      bridge: 'kube-bridge',
      ipam: { ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]] },
    });
    expect(sources()).toMatch(/elements = { 10\.244\.1\.0\/24 }/);
    expect(inside(rig.node, 'nft list set inet peerage_egress nodes4')).toMatch(/10\.0\.0\.1, 10\.0\.0\.2/);
    expect(rig.switches.read('ipv4/ip_forward')).toBe('1');
    expect(rig.switches.read('ipv6/conf/all/forwarding')).toBe('1');
    expect(rig.log()).toEqual([
      'bridge made',
      'CNI configuration written',
      'kernel switches set',
      'pod egress written',
    ]);
    await first.stop();

    const second = rig.start();
    second.configure(rig.options);
    second.nodesChanged(batchOf('added', nodeN(1), nodeN(2)));
    await second.idle();
    expect(rig.log()).toEqual([]);
  });

  test('a pod’s packets carry its address to pods, nodes and excluded networks, and the node’s to the world', async () => {
    const plumbing = rig.start();
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('added', nodeN(1), nodeN(9, { ips: ['10.0.0.9'] })));
    await plumbing.idle();
    attachPod(rig);
    rig.world.ip('route add 10.244.1.0/24 via 10.0.0.1');
    rig.world.ip('-6 route add fd00:10:244:1::/64 via fd00::1');
    /** The source that the world saw, by the kernel's own connection tracking there. */
    const sourceTowards = (target: string): string => {
      inside(rig.world, 'nft add table inet seen');
      for (const family of ['ip', 'ip6']) {
        inside(rig.world, `nft add set inet seen by${family} { type ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}; }`);
      }
      inside(rig.world, 'nft add chain inet seen in { type filter hook input priority 0; }');
      inside(rig.world, 'nft add rule inet seen in icmp type echo-request add @byip { ip saddr }');
      inside(rig.world, 'nft add rule inet seen in icmpv6 type echo-request add @byip6 { ip6 saddr }');
      inside(rig.pod, `ping -c1 -w30 ${target}`);
      const listing = inside(rig.world, 'nft list table inet seen');
      inside(rig.world, 'nft delete table inet seen');
      return /elements = { (\S+) }/.exec(listing)?.[1] ?? listing;
    };
    expect(sourceTowards('192.168.7.1')).toBe('10.0.0.1');
    expect(sourceTowards('fd00::2')).toBe('fd00::1');
    plumbing.configure({
      ...rig.options,
      egress: { enabled: true, excluded: [prefix('192.168.0.0/16'), prefix('fd00::/64')] },
    });
    await plumbing.idle();
    expect(sourceTowards('192.168.7.1')).toBe('10.244.1.5');
    expect(sourceTowards('fd00::2')).toBe('fd00:10:244:1::5');
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('changed', nodeN(9, { ips: ['10.0.0.9', '10.0.0.2'] })));
    await plumbing.idle();
    expect(sourceTowards('10.0.0.2')).toBe('10.244.1.5');
    expect(sourceTowards('192.168.7.1')).toBe('10.0.0.1');
    plumbing.configure({ ...rig.options, egress: { enabled: false, excluded: [] } });
    await plumbing.idle();
    expect(inside(rig.node, 'nft list tables')).not.toContain('peerage');
    expect(sourceTowards('192.168.7.1')).toBe('10.244.1.5');
  });

  test('follows the MTU of the node’s link, the overlay, and the node’s pod networks', async () => {
    const plumbing = rig.start();
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    rig.world.ip('link set eth0 mtu 9000');
    rig.node.ip('link set eth0 mtu 9000');
    await eventually(() => / mtu 8960 /.test(bridge()));
    await plumbing.idle();
    expect(cniFile().plugins[0]?.mtu).toBe(8960);
    plumbing.configure({ ...rig.options, overlay: { ...DEFAULT_OVERLAY, encapsulation: 'vxlan' } });
    await plumbing.idle();
    expect(bridge()).toMatch(/ mtu 8930 /);
    plumbing.configure({ ...rig.options, mtu: 1400 });
    plumbing.nodesChanged(batchOf('changed', nodeN(1, { cidrs: ['10.244.77.0/24'] })));
    await plumbing.idle();
    expect(bridge()).toMatch(/ mtu 1400 /);
    expect(cniFile().plugins[0]).toMatchObject({ mtu: 1400, ipam: { ranges: [[{ subnet: '10.244.77.0/24' }]] } });
    expect(sources()).toMatch(/elements = { 10\.244\.77\.0\/24 }/);
  });

  test('a process that starts while the node’s object is missing leaves the egress of its predecessor', async () => {
    const first = rig.start();
    first.configure(rig.options);
    first.nodesChanged(batchOf('added', nodeN(1), nodeN(2)));
    await first.idle();
    await first.stop();
    const second = rig.start();
    second.configure(rig.options);
    second.nodesChanged(batchOf('added', nodeN(2), nodeN(3)));
    await second.idle();
    expect(sources()).toMatch(/10\.244\.1\.0\/24/);
    second.nodesChanged(batchOf('added', nodeN(1, { cidrs: ['10.244.9.0/24'] })));
    await second.idle();
    expect(sources()).toMatch(/elements = { 10\.244\.9\.0\/24 }/);
  });

  test('puts right what others undo', async () => {
    const plumbing = rig.start();
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    rig.node.ip('link del kube-bridge');
    await eventually(() => rig.node.ip('link show').includes('kube-bridge'));
    await plumbing.idle();
    rig.node.ip('link set kube-bridge down');
    await eventually(() => /kube-bridge: .*[<,]UP[,>]/.test(bridge()));
    writeFileSync(rig.options.cni.file, '{"plugins":[{"type":"bridge","ipam":{"type":"host-local"}}]}');
    await eventually(() => cniFile().plugins[0]?.mtu === 1460);
    await plumbing.idle();
    rig.switches.write('ipv4/ip_forward', '0');
    rig.log();
    plumbing.configure(rig.options);
    await plumbing.idle();
    expect(rig.switches.read('ipv4/ip_forward')).toBe('1');
    expect(rig.log()).toContain('switches were changed by somebody else; put right');
  });

  test('a bridge of somebody else is looked after under its own name', async () => {
    rig.node.ip('link add kube-bridge address 02:00:00:00:00:07 type bridge');
    const plumbing = rig.start();
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    expect(bridge()).toMatch(/UP.* mtu 1460 /);
    expect(bridge()).toContain('02:00:00:00:00:07');
    expect(bridge()).not.toContain('alias');
  });

  test('each part fails for itself', async () => {
    rig.node.ip('link add kube-bridge type veth peer name other');
    writeFileSync(rig.options.cni.file, '{ rubbish');
    const plumbing = rig.start();
    plumbing.configure({ ...rig.options, sourceDestCheckHook: 'echo "no such cloud" >&2; exit 3' });
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    const texts = rig.problems().map(({ subject, text }) => `${subject}: ${text}`);
    expect(texts).toEqual([
      'bridge kube-bridge: there is a link of this name that is no bridge',
      expect.stringMatching(/10-kuberouter\.conflist: is no JSON/),
      'source/destination check: the hook failed: no such cloud',
    ]);
    expect(sources()).toContain('10.244.1.0/24');
    expect(rig.switches.read('ipv4/ip_forward')).toBe('1');
    expect(readFileSync(rig.options.cni.file, 'utf8')).toBe('{ rubbish');
  });

  test('an MTU too small for IPv6 is told', async () => {
    const plumbing = rig.start();
    plumbing.configure({ ...rig.options, mtu: 1200 });
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    expect(rig.problems()).toEqual([{ subject: 'bridge kube-bridge', text: 'has an MTU of 1200: IPv6 needs 1280' }]);
  });

  test('the hook runs once, and knows the node', async () => {
    const plumbing = rig.start();
    const sourceDestCheckHook = `echo "$NODE_NAME $NODE_IPS" >> ${rig.folder}/hook`;
    plumbing.configure({ ...rig.options, sourceDestCheckHook });
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    plumbing.configure({ ...rig.options, sourceDestCheckHook, mtu: 1400 });
    await plumbing.idle();
    expect(readFileSync(`${rig.folder}/hook`, 'utf8')).toBe('n1 10.0.0.1,fd00::1\n');
  });
});

describe('firewalls of others', () => {
  const docker =
    'nft add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }';
  const reaches = (patience = 30): boolean => {
    try {
      inside(rig.pod, `ping -c1 -w${patience} 192.168.7.1`);
      return true;
    } catch {
      return false;
    }
  };

  test('iptables’ FORWARD with policy DROP is opened at its end, and the pod gets through', async () => {
    inside(rig.node, docker);
    inside(rig.node, 'nft add rule ip filter FORWARD ip daddr 203.0.113.1 drop');
    const plumbing = rig.start();
    plumbing.configure({ ...rig.options, forward: 'report' });
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    attachPod(rig);
    expect(reaches(1)).toBe(false);
    expect(rig.problems()).toEqual([
      { subject: 'firewall', text: expect.stringMatching(/^chain ip filter FORWARD drops packets by policy/) },
    ]);
    plumbing.configure(rig.options);
    await plumbing.idle();
    expect(reaches()).toBe(true);
    expect(rig.problems()).toEqual([]);
    const rules = inside(rig.node, 'nft list chain ip filter FORWARD')
      .match(/.*(drop|accept)$|.*accept comment.*/gm)
      ?.slice(-3);
    expect(rules?.map(rule => /203|iifname|oifname/.exec(rule)?.[0])).toEqual(['203', 'iifname', 'oifname']);
    plumbing.configure(rig.options);
    await plumbing.idle();
    expect(inside(rig.node, 'nft list chain ip filter FORWARD').match(/kube-bridge/g)).toHaveLength(2);
  });

  test('rules that somebody else put there for the bridge are enough', async () => {
    inside(rig.node, docker);
    for (const direction of ['iifname', 'oifname'])
      inside(rig.node, `nft add rule ip filter FORWARD ${direction} "kube-bridge" counter accept`);
    const before = inside(rig.node, 'nft list table ip filter');
    const plumbing = rig.start();
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    expect(inside(rig.node, 'nft list table ip filter')).toBe(before);
  });

  test('a bridge of another name gets rules of its own in their place', async () => {
    inside(rig.node, docker);
    const plumbing = rig.start();
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    for (const name of ['kube-bridge', 'pods0']) {
      plumbing.configure({ ...rig.options, bridge: { enabled: true, name } });
      await plumbing.idle();
      const names = inside(rig.node, 'nft list table ip filter').match(/"(kube-bridge|pods0)"/g);
      expect(names).toEqual([`"${name}"`, `"${name}"`]);
    }
  });

  test('a firewall that an administrator wrote is named, not changed', async () => {
    inside(
      rig.node,
      'nft add table inet firewall; add chain inet firewall guard { type filter hook forward priority 0; policy drop; }',
    );
    const before = inside(rig.node, 'nft list table inet firewall');
    const plumbing = rig.start();
    plumbing.configure(rig.options);
    plumbing.nodesChanged(batchOf('added', nodeN(1)));
    await plumbing.idle();
    expect(rig.problems()).toEqual([
      { subject: 'firewall', text: expect.stringMatching(/^chain inet firewall guard drops/) },
    ]);
    expect(inside(rig.node, 'nft list table inet firewall')).toBe(before);
    await plumbing.stop();
    inside(rig.node, 'nft add rule inet firewall guard iifname { "kube-bridge", "eth0" } accept');
    const next = rig.start();
    next.configure(rig.options);
    next.nodesChanged(batchOf('added', nodeN(1)));
    await next.idle();
    expect(rig.problems()).toEqual([]);
  });
});
