/**
 * Which kernel switches the service proxy needs, by its backend and by what kube-proxy's file says of connection tracking.
 * Source: Documentation/networking/ipvs-sysctl.rst and nf_conntrack-sysctl.rst. Pure.
 */

import type { ProxyBackend } from '../../proxy/proxyBackend.js';
import type { ProxySettings } from '../../proxy/proxyTypes.js';
import type { SwitchReading, WantedSwitch } from '../plumbing/switchPlan.js';

/** As in kube-proxy's file. What is undefined, or 0, leaves alone what the kernel has. */
export interface ConntrackLimits {
  /** Flows that may be tracked, for each processor; at least `min` in all. */
  readonly maxPerCore?: number | undefined;
  readonly min?: number | undefined;
  /** Seconds. */
  readonly tcpEstablishedTimeout?: number | undefined;
  readonly tcpCloseWaitTimeout?: number | undefined;
  readonly udpTimeout?: number | undefined;
  readonly udpStreamTimeout?: number | undefined;
  /** Packets outside of a TCP connection's window are no reason to take it for invalid. */
  readonly tcpBeLiberal?: boolean | undefined;
}

/** The machine as far as switches depend on it. */
export interface Machine {
  readonly cores: number;
  /** As uname(2) says it: `5.8.0-63-generic`. */
  readonly kernelRelease: string;
}

export interface ProxySwitchFacts {
  readonly backend: ProxyBackend['kind'];
  readonly settings: Pick<ProxySettings, 'ipv4'> & { readonly ipvs: Pick<ProxySettings['ipvs'], 'strictArp'> };
  readonly conntrack: ConntrackLimits;
  readonly machine: Machine;
}

/** @returns in the order in which they are to be set; only those that exist, since modules bring theirs when they are loaded */
export function proxySwitches(facts: ProxySwitchFacts, now: SwitchReading): readonly WantedSwitch[] {
  const { backend, conntrack, machine } = facts;
  const wanted = [
    ...(backend === 'ipvs' ? ipvsSwitches(facts, now) : []),
    ...conntrackSwitches(conntrack, machine, now),
  ];
  return wanted.filter(([name]) => now.read(name) !== undefined);
}

function ipvsSwitches({ settings, machine }: ProxySwitchFacts, now: SwitchReading): readonly WantedSwitch[] {
  return [
    // Without it packets that IPVS has turned round are no flow that could be masqueraded.
    ['ipv4/vs/conntrack', '1'],
    ...(reuseIsSlow(machine.kernelRelease) ? [['ipv4/vs/conn_reuse_mode', '0'] as const] : []),
    // Connections to a backend that went are given up at once, and so is affinity to one that takes nobody new.
    ['ipv4/vs/expire_nodest_conn', '1'],
    ['ipv4/vs/expire_quiescent_template', '1'],
    ...(settings.ipv4 ? [['ipv4/ip_forward', '1'] as const] : []),
    ...(settings.ipvs.strictArp ? strictArp(now) : []),
  ];
}

/**
 * Where a client takes a port again that a connection in TIME_WAIT still has, mode 1 puts a second before the new connection
 * with `conntrack` on; from Linux 5.9 on it does not, and mode 0 would send new connections to backends of weight 0.
 */
function reuseIsSlow(kernelRelease: string): boolean {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(kernelRelease) ?? [];
  return Number(major) < 5 || (Number(major) === 5 && Number(minor) < 9);
}

/** Stricter values of these stay: an arp_ignore of 2 looks at the asker's address too. */
function strictArp(now: SwitchReading): readonly WantedSwitch[] {
  const [ignore, announce] = ['ipv4/conf/all/arp_ignore', 'ipv4/conf/all/arp_announce'];
  return [...(now.read(ignore) === '2' ? [] : [[ignore, '1'] as const]), [announce, '2'] as const];
}

const OF_CONNTRACK = 'netfilter/nf_conntrack_';
/** Flows for each slot of the hash table. */
const CHAIN = 4;

function conntrackSwitches(limits: ConntrackLimits, { cores }: Machine, now: SwitchReading): readonly WantedSwitch[] {
  const seconds = (name: string, value: number | undefined): readonly WantedSwitch[] =>
    value === undefined || value === 0 ? [] : [[`${OF_CONNTRACK}${name}`, String(Math.round(value))]];
  return [
    ...mostFlows(limits, cores, now),
    ...seconds('tcp_timeout_established', limits.tcpEstablishedTimeout),
    ...seconds('tcp_timeout_close_wait', limits.tcpCloseWaitTimeout),
    ...seconds('udp_timeout', limits.udpTimeout),
    ...seconds('udp_timeout_stream', limits.udpStreamTimeout),
    ...(limits.tcpBeLiberal === true ? [[`${OF_CONNTRACK}tcp_be_liberal`, '1'] as const] : []),
  ];
}

/** Never fewer than the machine allows already: somebody has reckoned with that many. */
function mostFlows(
  { maxPerCore = 0, min = 0 }: ConntrackLimits,
  cores: number,
  now: SwitchReading,
): readonly WantedSwitch[] {
  if (maxPerCore === 0) return [];
  const [max, buckets] = [`${OF_CONNTRACK}max`, `${OF_CONNTRACK}buckets`];
  const wanted = Math.max(maxPerCore * cores, min);
  const has = (name: string): number => Number(now.read(name) ?? 0);
  return [
    ...(has(max) < wanted ? [[max, String(wanted)] as const] : []),
    ...(has(buckets) < Math.floor(wanted / CHAIN) ? [[buckets, String(Math.floor(wanted / CHAIN))] as const] : []),
  ];
}
