/** Neighbours as people read them. Passwords never come this far. */

import { FAMILIES, FAMILY_INDICES, type Family, type FamilyIndex } from '../bgp/families.js';
import type { HopLimit } from '../bgp/session/sessionTypes.js';
import { formatAddress, formatIpv4 } from '../core/ip.js';
import type { Rib } from '../rib/rib.js';
import { capabilityNames } from './capabilityNames.js';
import type { ViewSource } from './engineView.js';
import type { Neighbor } from './neighbor.js';
import type { PeerDetail, PeerSummary } from './view.js';

export function peerSummary(rib: Rib, neighbor: Neighbor): PeerSummary {
  const { session, config } = neighbor;
  const { current } = neighbor;
  const { lastError } = session;
  return {
    name: neighbor.name,
    address: formatAddress(config.remote),
    port: config.remotePort,
    remoteAsn: current?.remoteAsn ?? config.remoteAsn ?? null,
    localAsn: config.localAsn,
    kind:
      current?.kind ?? (config.remoteAsn === undefined ? null : config.remoteAsn === config.localAsn ? 'ibgp' : 'ebgp'),
    state: neighbor.disabled ? 'Disabled' : session.state,
    since: session.establishedAt === undefined || current === undefined ? null : session.establishedAt.toISOString(),
    received: perFamily(family => rib.families[family].received[neighbor.id]!),
    advertised: perFamily(family => advertised(rib, neighbor, family)),
    dynamic: neighbor.dynamic !== undefined,
    lastError: lastError === undefined ? null : { at: lastError.at.toISOString(), text: lastError.text },
  };
}

export function peerDetail(source: ViewSource, neighbor: Neighbor): PeerDetail {
  const { rib, clock } = source;
  const { session, config, current, endpoints, routing } = neighbor;
  const { counters } = session;
  const { staleUntil } = neighbor;
  return {
    ...peerSummary(rib, neighbor),
    localAddress: endpoints === undefined ? null : formatAddress(endpoints.local),
    localPort: endpoints?.localPort ?? null,
    remotePort: endpoints?.remotePort ?? null,
    remoteId: current === undefined ? null : formatIpv4(current.remoteId),
    localId: formatIpv4(config.localId),
    hostname: current?.remoteHostname ?? null,
    holdTime: current?.holdTime ?? null,
    keepaliveTime: current?.keepaliveTime ?? null,
    configuredHoldTime: config.holdTime,
    families: FAMILY_INDICES.filter(f => (current?.families ?? config.families)[f]).map(f => FAMILIES[f]),
    capabilities: current === undefined ? [] : capabilityNames(current),
    authentication: config.password === undefined ? 'none' : 'tcp-md5',
    hops: hopsText(config.hops),
    passive: config.passive,
    routeReflectorClient: routing.routeReflectorClient,
    nextHopSelf: routing.nextHopSelf === 'always' || (routing.nextHopSelf === 'auto' && current?.kind === 'ebgp'),
    gracefulRestart: {
      restartTime: config.gracefulRestart?.restartTime ?? null,
      peerRestartTime: current?.gracefulRestart?.restartTime ?? null,
      stalePaths: FAMILY_INDICES.reduce<number>((sum, f) => sum + rib.families[f].stale[neighbor.id]!, 0),
      staleFor: staleUntil === undefined ? null : Math.max(0, Math.round((staleUntil - clock.now()) / 1000)),
    },
    messages: { received: { ...counters.messagesReceived }, sent: { ...counters.messagesSent } },
    octets: { received: counters.octetsReceived, sent: counters.octetsSent },
    timesEstablished: counters.established,
    updateGroup: (neighbor.advertising.membership(0) ?? neighbor.advertising.membership(1))?.number ?? null,
    policies: { import: routing.importPolicy ?? [], export: routing.exportPolicy ?? [] },
    maxPrefixes: perFamily(family => routing.maxPrefixes?.[FAMILIES[family]]?.limit ?? null),
    sendQueue: session.queued,
  };
}

function advertised(rib: Rib, neighbor: Neighbor, family: FamilyIndex): number {
  const membership = neighbor.advertising.membership(family);
  return membership === undefined ? 0 : (rib.group(family, membership.key)?.toldTo(neighbor.id) ?? 0);
}

function hopsText(hops: HopLimit): string {
  switch (hops.kind) {
    case 'direct':
      return 'direct';
    case 'multihop':
      return `multihop, TTL ${hops.ttl}`;
    case 'gtsm':
      return `TTL security, ${hops.hops} hop${hops.hops === 1 ? '' : 's'}`;
  }
}

function perFamily<T>(value: (family: FamilyIndex) => T): Record<Family, T> {
  return { 'ipv4-unicast': value(0), 'ipv6-unicast': value(1) };
}
