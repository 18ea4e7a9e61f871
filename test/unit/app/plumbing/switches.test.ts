/** Which kernel switches are set, what is remembered of them, and how they are put back. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { restoreSwitches, setSwitches } from '../../../../src/app/plumbing/switchMemory.js';
import { wantedSwitches, type SwitchFacts } from '../../../../src/app/plumbing/switchPlan.js';
import { sysctlName, type Switches } from '../../../../src/kernel/sysctl.js';

const FACTS: SwitchFacts = {
  ipv4: true,
  ipv6: true,
  bridge: 'kube-bridge',
  outward: ['eth0', 'pgx4-1'],
  listening: ['eth0', 'mgmt0'],
  ipv6Pods: true,
  bridgeNetfilter: true,
};

const FRESH = {
  'ipv4/ip_forward': '0',
  'ipv4/conf/all/rp_filter': '0',
  'ipv4/conf/eth0/rp_filter': '1',
  'ipv4/conf/pgx4-1/rp_filter': '0',
  'ipv4/conf/kube-bridge/rp_filter': '1',
  'ipv6/conf/all/forwarding': '0',
  'ipv6/conf/eth0/accept_ra': '1',
  'ipv6/conf/mgmt0/accept_ra': '0',
  'ipv6/conf/kube-bridge/accept_ra': '1',
  'ipv6/conf/kube-bridge/disable_ipv6': '0',
};

function machine(
  initial: Readonly<Record<string, string>>,
  refused: readonly string[] = [],
): Switches & { all: Map<string, string> } {
  const all = new Map(Object.entries(initial));
  return {
    all,
    read: name => all.get(name),
    write: (name, value) => {
      if (refused.includes(name)) throw new Error(`EROFS: ${name}`);
      all.set(name, value);
    },
  };
}

describe('what is wanted', () => {
  test('forwarding, loose filters outward, router advertisements on the node’s links only', () => {
    expect(wantedSwitches(FACTS, machine(FRESH))).toEqual([
      ['ipv4/ip_forward', '1'],
      ['ipv4/conf/eth0/rp_filter', '2'],
      ['ipv6/conf/eth0/accept_ra', '2'],
      ['ipv6/conf/kube-bridge/disable_ipv6', '0'],
      ['ipv6/conf/kube-bridge/accept_ra', '0'],
      ['ipv6/conf/all/forwarding', '1'],
    ]);
  });

  test.each([
    ['strict for all links: every link outward is loosened', '1', '0', ['eth0', 'pgx4-1']],
    ['loose for all: nothing is left to do', '2', '1', []],
    ['off: it stays off', '0', '0', []],
  ])('rp_filter, %s', (_name, all, own, loosened) => {
    const reading = { ...FRESH, 'ipv4/conf/all/rp_filter': all, 'ipv4/conf/eth0/rp_filter': own };
    const names = wantedSwitches({ ...FACTS, ipv6: false }, machine(reading)).map(([name]) => name);
    expect(names.filter(name => name.endsWith('rp_filter'))).toEqual(
      loosened.map(link => `ipv4/conf/${link}/rp_filter`),
    );
  });

  test('br_netfilter where the kernel has it, unless nobody wants it', () => {
    const reading = { ...FRESH, 'bridge/bridge-nf-call-iptables': '0', 'bridge/bridge-nf-call-ip6tables': '0' };
    const named = (facts: SwitchFacts): boolean =>
      wantedSwitches(facts, machine(reading)).some(([name]) => name.startsWith('bridge/'));
    expect(named(FACTS)).toBe(true);
    expect(named({ ...FACTS, bridgeNetfilter: false })).toBe(false);
  });

  test('the bridge gets IPv6 where pods have it', () => {
    const named = wantedSwitches({ ...FACTS, ipv6Pods: false }, machine(FRESH)).map(([name]) => name);
    expect(named).not.toContain('ipv6/conf/kube-bridge/disable_ipv6');
    expect(named).toContain('ipv6/conf/kube-bridge/accept_ra');
  });

  test('a machine without IPv6 is asked for nothing of it', () => {
    expect(wantedSwitches({ ...FACTS, ipv4: false }, machine({ 'ipv4/ip_forward': '0' }))).toEqual([]);
  });
});

describe('memory', () => {
  let directory: string;
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), 'peerage-')), 'state');
  });
  afterEach(() => {
    rmSync(join(directory, '..'), { recursive: true });
  });
  const wanted = [['ipv4/ip_forward', '1']] as const;

  test('sets what differs, once, and puts it back', () => {
    const switches = machine(FRESH);
    expect(setSwitches(switches, wanted, directory).set).toEqual(wanted);
    expect(switches.all.get('ipv4/ip_forward')).toBe('1');
    expect(setSwitches(switches, wanted, directory)).toEqual({ set: [], drifted: [], failures: new Map() });
    expect(restoreSwitches(switches, directory).set).toEqual([['ipv4/ip_forward', '0']]);
    expect(Object.fromEntries(switches.all)).toEqual(FRESH);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('a switch that somebody turned back is set again and told, and the first value is the one remembered', () => {
    const switches = machine({ ...FRESH, 'ipv4/ip_forward': '7' });
    setSwitches(switches, wanted, directory);
    switches.all.set('ipv4/ip_forward', '0');
    expect(setSwitches(switches, wanted, directory)).toMatchObject({ set: wanted, drifted: ['ipv4/ip_forward'] });
    restoreSwitches(switches, directory);
    expect(switches.all.get('ipv4/ip_forward')).toBe('7');
  });

  test('a switch that we want otherwise later goes back to what it said at first, and nobody else is blamed', () => {
    const switches = machine({ 'netfilter/nf_conntrack_max': '65536' });
    setSwitches(switches, [['netfilter/nf_conntrack_max', '262144']], directory);
    const { drifted } = setSwitches(switches, [['netfilter/nf_conntrack_max', '300000']], directory);
    expect(drifted).toEqual([]);
    restoreSwitches(switches, directory);
    expect(switches.all.get('netfilter/nf_conntrack_max')).toBe('65536');
  });

  test('a switch that somebody else has set since is left alone', () => {
    const switches = machine(FRESH);
    setSwitches(switches, wanted, directory);
    switches.all.set('ipv4/ip_forward', '3');
    expect(restoreSwitches(switches, directory).set).toEqual([]);
    expect(switches.all.get('ipv4/ip_forward')).toBe('3');
  });

  test('one that cannot be set costs itself only, and is not given up when it cannot be put back', () => {
    const switches = machine(FRESH, ['ipv4/ip_forward']);
    const { set, failures } = setSwitches(switches, [...wanted, ['ipv6/conf/all/forwarding', '1']], directory);
    expect(set).toEqual([['ipv6/conf/all/forwarding', '1']]);
    expect([...failures]).toEqual([['ipv4/ip_forward', 'EROFS: ipv4/ip_forward']]);
  });

  test('a state file of rubbish is as good as none', () => {
    const switches = machine(FRESH);
    setSwitches(switches, wanted, directory);
    for (const file of readdirSync(directory)) writeFileSync(join(directory, file), '{"switches": 1}');
    expect(restoreSwitches(switches, directory).set).toEqual([]);
  });
});

test('names are as sysctl(8) has them', () => {
  expect(sysctlName('ipv4/conf/eth0.7/rp_filter')).toBe('net.ipv4.conf.eth0/7.rp_filter');
});
