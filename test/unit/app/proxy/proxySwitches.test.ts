/** Which kernel switches the service proxy needs, and that they are kept and given back. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { proxySwitches, type ProxySwitchFacts } from '../../../../src/app/proxy/proxySwitches.js';
import { withSwitches } from '../../../../src/app/proxy/switchKeeper.js';
import { restoreSwitches } from '../../../../src/app/plumbing/switchMemory.js';
import { VirtualClock } from '../../core/virtualClock.js';
import type { Problem } from '../../../../src/kube/problems.js';
import type { Switches } from '../../../../src/kernel/sysctl.js';
import type { ProxyBackend } from '../../../../src/proxy/proxyBackend.js';
import type { ProxySettings } from '../../../../src/proxy/proxyTypes.js';

const FACTS: ProxySwitchFacts = {
  backend: 'nftables',
  settings: { ipv4: true, ipvs: { strictArp: false } },
  conntrack: {},
  machine: { cores: 4, kernelRelease: '6.1.0-18-amd64' },
};
/** As a new machine has them, with both modules loaded. */
const NEW: Readonly<Record<string, string>> = {
  'ipv4/ip_forward': '0',
  'ipv4/vs/conntrack': '0',
  'ipv4/vs/conn_reuse_mode': '1',
  'ipv4/vs/expire_nodest_conn': '0',
  'ipv4/vs/expire_quiescent_template': '0',
  'ipv4/conf/all/arp_ignore': '0',
  'ipv4/conf/all/arp_announce': '0',
  'netfilter/nf_conntrack_max': '65536',
  'netfilter/nf_conntrack_buckets': '16384',
  'netfilter/nf_conntrack_tcp_timeout_established': '432000',
  'netfilter/nf_conntrack_tcp_timeout_close_wait': '60',
  'netfilter/nf_conntrack_tcp_be_liberal': '0',
  'netfilter/nf_conntrack_udp_timeout': '30',
  'netfilter/nf_conntrack_udp_timeout_stream': '120',
};
const wanted = (more: Partial<ProxySwitchFacts>, now: Readonly<Record<string, string>> = NEW) =>
  proxySwitches({ ...FACTS, ...more }, { read: name => now[name] }).map(([name, value]) => `${name}=${value}`);

const IPVS = [
  'ipv4/vs/conntrack=1',
  'ipv4/vs/expire_nodest_conn=1',
  'ipv4/vs/expire_quiescent_template=1',
  'ipv4/ip_forward=1',
];
const LIMITS = { maxPerCore: 32_768, min: 131_072, tcpEstablishedTimeout: 86_400, tcpCloseWaitTimeout: 3600 };
const MAX = 'netfilter/nf_conntrack_max';
const BUCKETS = 'netfilter/nf_conntrack_buckets';

describe('which', () => {
  test('nftables needs none, and nothing is touched that nobody asks for', () => expect(wanted({})).toEqual([]));

  test('IPVS', () => expect(wanted({ backend: 'ipvs' })).toEqual(IPVS));

  test('IPVS where mode 1 of reuse is slow', () => {
    const of = (kernelRelease: string) => wanted({ backend: 'ipvs', machine: { cores: 1, kernelRelease } });
    for (const release of ['4.19.0', '5.8.18-x', '5.4']) expect(of(release)).toContain('ipv4/vs/conn_reuse_mode=0');
    for (const release of ['5.9.0', '5.10.2', '6.1', '10.0']) expect(of(release)).toEqual(IPVS);
  });

  test('strict ARP, where it is not stricter already', () => {
    const settings = { ipv4: true, ipvs: { strictArp: true } };
    expect(wanted({ backend: 'ipvs', settings })).toEqual([
      ...IPVS,
      'ipv4/conf/all/arp_ignore=1',
      'ipv4/conf/all/arp_announce=2',
    ]);
    const now = { ...NEW, 'ipv4/conf/all/arp_ignore': '2' };
    expect(wanted({ backend: 'ipvs', settings }, now)).not.toContain('ipv4/conf/all/arp_ignore=1');
  });

  test('what does not exist is left out', () =>
    expect(wanted({ backend: 'ipvs' }, { 'ipv4/ip_forward': '0' })).toEqual(['ipv4/ip_forward=1']));

  test("kube-proxy's limits", () =>
    expect(wanted({ conntrack: LIMITS })).toEqual([
      `${MAX}=131072`,
      `${BUCKETS}=32768`,
      'netfilter/nf_conntrack_tcp_timeout_established=86400',
      'netfilter/nf_conntrack_tcp_timeout_close_wait=3600',
    ]));

  test('limits grow with the processors, and never shrink', () => {
    const machine = { cores: 64, kernelRelease: '6.1' };
    expect(wanted({ conntrack: LIMITS, machine }).slice(0, 2)).toEqual([`${MAX}=2097152`, `${BUCKETS}=524288`]);
    const now = { ...NEW, [MAX]: '4194304', [BUCKETS]: '1048576' };
    expect(wanted({ conntrack: { maxPerCore: 32_768, min: 131_072 }, machine }, now)).toEqual([]);
  });

  test('0 leaves alone what there is', () =>
    expect(wanted({ conntrack: { maxPerCore: 0, min: 131_072, udpTimeout: 0, tcpEstablishedTimeout: 0 } })).toEqual(
      [],
    ));

  test('the others', () =>
    expect(wanted({ conntrack: { udpTimeout: 10, udpStreamTimeout: 99.6, tcpBeLiberal: true } })).toEqual([
      'netfilter/nf_conntrack_udp_timeout=10',
      'netfilter/nf_conntrack_udp_timeout_stream=100',
      'netfilter/nf_conntrack_tcp_be_liberal=1',
    ]));
});

describe('kept', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'peerage-switches-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const SETTINGS = { ipv4: true, ipvs: { strictArp: false } } as unknown as ProxySettings;
  const backend = (kind: ProxyBackend['kind'], done: string[]): ProxyBackend => ({
    kind,
    configure: () => done.push('configured'),
    apply: () => undefined,
    begin: () => undefined,
    read: () => Promise.resolve([]),
    counters: () => Promise.resolve(new Map()),
    idle: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  });
  /** @param closed switches that cannot be written */
  async function open(kind: ProxyBackend['kind'], values: Map<string, string>, closed: readonly string[] = []) {
    const done: string[] = [];
    const problems = new Map<string, readonly Problem[]>();
    const lines: string[] = [];
    const switches: Switches = {
      read: name => values.get(name),
      write: (name, value) => {
        if (closed.includes(name)) throw new Error('EACCES: permission denied');
        values.set(name, value);
        done.push(`${name}=${value}`);
      },
    };
    const clock = new VirtualClock();
    const opened = await withSwitches(() => Promise.resolve(backend(kind, done)), {
      switches,
      machine: FACTS.machine,
      conntrack: LIMITS,
      stateDirectory: directory,
      clock,
      logger: pino({ level: 'debug' }, { write: line => lines.push(line) }),
      report: found => found.forEach((list, owner) => problems.set(owner, list)),
    })(() => undefined);
    return { opened, done, problems, lines, switches, clock };
  }

  test('they are set before the backend is told anything, put right, and given back by a cleanup', async () => {
    const values = new Map(Object.entries(NEW));
    const { opened, done, problems, switches, clock } = await open('ipvs', values);
    opened.configure(SETTINGS);
    expect(done.at(-1)).toBe('configured');
    expect(done).toContain('ipv4/vs/conntrack=1');
    values.set('ipv4/vs/conntrack', '0');
    clock.advance(60_000);
    expect(values.get('ipv4/vs/conntrack')).toBe('1');
    expect(problems.get('proxy switches')).toEqual([]);
    await opened.stop();
    restoreSwitches(switches, directory);
    expect(Object.fromEntries(values)).toEqual(NEW);
  });

  test('a limit that is closed to us is one line of the log, another switch a problem', async () => {
    const values = new Map(Object.entries(NEW));
    const { opened, problems, lines, clock } = await open('ipvs', values, [MAX, 'ipv4/vs/conntrack']);
    opened.configure(SETTINGS);
    clock.advance(60_000);
    clock.advance(60_000);
    expect(lines.filter(line => line.includes('cannot be set'))).toHaveLength(1);
    expect(problems.get('proxy switches')).toEqual([
      { subject: 'kernel switches', text: 'net.ipv4.vs.conntrack cannot be set: EACCES: permission denied' },
    ]);
    expect(values.get('netfilter/nf_conntrack_tcp_timeout_close_wait')).toBe('3600');
    await opened.stop();
  });
});
