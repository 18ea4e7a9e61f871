/** How the things of the control API stand in tables. Pure. */

import type { FibRouteView, PeerSummary, ProblemView, RouteView } from '../api/view.js';
import type { Column } from './output.js';

export const PEER_COLUMNS: readonly Column<PeerSummary>[] = [
  { head: 'NAME', value: peer => peer.name },
  { head: 'ADDRESS', value: peer => peer.address },
  { head: 'AS', align: 'right', value: peer => (peer.remoteAsn === null ? 'any' : String(peer.remoteAsn)) },
  { head: 'STATE', value: peer => peer.state },
  { head: 'UP', align: 'right', value: peer => (peer.since === null ? '-' : age(peer.since)) },
  { head: 'RECEIVED', align: 'right', value: peer => String(sum(peer.received)) },
  { head: 'TOLD', align: 'right', value: peer => String(sum(peer.advertised)) },
  { head: 'TYPE', wide: true, value: peer => `${peer.kind ?? '-'}${peer.dynamic ? ' dynamic' : ''}` },
  {
    head: 'V4 IN/OUT',
    wide: true,
    value: peer => `${peer.received['ipv4-unicast']}/${peer.advertised['ipv4-unicast']}`,
  },
  {
    head: 'V6 IN/OUT',
    wide: true,
    value: peer => `${peer.received['ipv6-unicast']}/${peer.advertised['ipv6-unicast']}`,
  },
  { head: 'LAST ERROR', value: peer => (peer.state === 'Established' ? '' : (peer.lastError?.text ?? '')) },
];

export const ROUTE_COLUMNS: readonly Column<RouteView>[] = [
  { head: '', value: marks },
  { head: 'PREFIX', usual: 18, value: route => route.prefix },
  { head: 'NEXT HOP', usual: 15, value: route => route.nextHop },
  { head: 'FROM', usual: 12, value: route => route.from },
  { head: 'PREF', usual: 5, align: 'right', value: route => String(route.localPref ?? '-') },
  { head: 'MED', usual: 5, align: 'right', value: route => String(route.med ?? '-') },
  {
    head: 'AS PATH',
    usual: 24,
    value: route => `${route.asPath}${route.asPath === '' ? '' : ' '}${ORIGIN[route.origin]}`,
  },
  {
    head: 'COMMUNITIES',
    wide: true,
    value: route => [...route.communities, ...route.extendedCommunities, ...route.largeCommunities].join(' '),
  },
  { head: 'ORIGINATOR', wide: true, value: route => route.originatorId ?? '' },
  { head: 'CLUSTERS', wide: true, value: route => route.clusterList.join(' ') },
  {
    head: 'OTHER',
    wide: true,
    value: route =>
      Object.entries(route.other)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
  },
  { head: 'WHY NOT BEST', value: route => route.reason ?? '' },
];

export const PROBLEM_COLUMNS: readonly Column<ProblemView>[] = [
  { head: 'FOR', align: 'right', value: problem => (problem.since === null ? '-' : age(problem.since)) },
  { head: 'WHAT', value: problem => problem.subject },
  { head: 'PROBLEM', value: problem => problem.text },
];

export const FIB_COLUMNS: readonly Column<FibRouteView>[] = [
  { head: 'PREFIX', usual: 18, value: route => route.prefix },
  {
    head: 'VIA',
    value: route =>
      route.nextHops.map(hop => `${hop.gateway}${hop.device === null ? '' : ` dev ${hop.device}`}`).join(', '),
  },
  { head: 'STATE', value: route => route.state },
  { head: 'ERROR', value: route => route.error ?? '' },
];

const ORIGIN = { igp: 'i', egp: 'e', incomplete: '?' } as const;

/** `*` best, `=` shares the load with it, `S` kept over a restart of its peer. */
function marks(route: RouteView): string {
  return `${route.best ? '*' : route.multipath ? '=' : ' '}${route.stale ? 'S' : ''}`;
}

/** Time since a moment in its two largest units, as in `3d04h`. */
export function age(since: string, now: number = Date.now()): string {
  return duration(Math.max(0, (now - Date.parse(since)) / 1000));
}

export function duration(seconds: number): string {
  const s = Math.floor(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86_400)}d${two(Math.floor(s / 3600) % 24)}h`;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}
