/**
 * Which kernel switches a node needs, and no others: a pure function of its links and of what the switches say. Source:
 * Documentation/networking/ip-sysctl.rst.
 */

/** What the kernel's switches depend on. Names of switches are paths below /proc/sys/net. */
export interface SwitchFacts {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** The pods' bridge, where we look after it. */
  readonly bridge: string | undefined;
  /** Links that packets of other nodes come in by: those with the node's addresses, and tunnels. */
  readonly outward: readonly string[];
  /** Links that may have learnt from router advertisements: those with the node's addresses or with addresses that expire. */
  readonly listening: readonly string[];
  /** Pods have IPv6 addresses. */
  readonly ipv6Pods: boolean;
  /** Packets between pods on one bridge shall pass the firewall. */
  readonly bridgeNetfilter: boolean;
}

/** What the switches say now. */
export interface SwitchReading {
  /** Undefined: there is no such switch. */
  read(name: string): string | undefined;
}

export type WantedSwitch = readonly [name: string, value: string];

/** @returns in the order in which they are to be set; only those that exist */
export function wantedSwitches(facts: SwitchFacts, now: SwitchReading): readonly WantedSwitch[] {
  const wanted = [
    ...(facts.ipv4 ? [['ipv4/ip_forward', '1'] as const, ...looseFilters(facts, now)] : []),
    ...(facts.ipv6 ? ipv6Switches(facts, now) : []),
    ...(facts.bridgeNetfilter ? [CALL_IPTABLES, CALL_IP6TABLES] : []),
  ];
  return wanted.filter(([name]) => now.read(name) !== undefined);
}

const CALL_IPTABLES: WantedSwitch = ['bridge/bridge-nf-call-iptables', '1'];
const CALL_IP6TABLES: WantedSwitch = ['bridge/bridge-nf-call-ip6tables', '1'];

/**
 * A packet may come in by another link than the one that leads back: through a tunnel from a node that is reached directly,
 * or by another of several equal ways. A strict reverse path filter (1) drops it. What holds is the larger of the link's
 * value and that of all links: 2, loose, on the link is enough. A filter that is off stays off.
 */
function looseFilters({ outward }: SwitchFacts, now: SwitchReading): readonly WantedSwitch[] {
  const value = (link: string): number => Number(now.read(`ipv4/conf/${link}/rp_filter`) ?? 0);
  return outward
    .filter(link => Math.max(value('all'), value(link)) === 1)
    .map(link => [`ipv4/conf/${link}/rp_filter`, '2']);
}

/**
 * With forwarding on, a link whose accept_ra is 1 heeds routers no more: the node's own links go on doing so with 2. The
 * pods' links never do: no pod shall tell the node where its packets go.
 */
function ipv6Switches({ bridge, ipv6Pods, listening }: SwitchFacts, now: SwitchReading): readonly WantedSwitch[] {
  const heeding = listening
    .filter(link => now.read(`ipv6/conf/${link}/accept_ra`) === '1')
    .map((link): WantedSwitch => [`ipv6/conf/${link}/accept_ra`, '2']);
  const onBridge: readonly WantedSwitch[] = bridge === undefined ? [] : [[`ipv6/conf/${bridge}/accept_ra`, '0']];
  // A machine on which new links have no IPv6.
  const forPods: readonly WantedSwitch[] =
    bridge === undefined || !ipv6Pods ? [] : [[`ipv6/conf/${bridge}/disable_ipv6`, '0']];
  return [...heeding, ...forPods, ...onBridge, ['ipv6/conf/all/forwarding', '1']];
}
