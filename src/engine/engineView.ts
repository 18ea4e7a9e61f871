/** What the engine shows of itself: summaries, neighbours and tables, built on demand from its columns. */

import { FAMILIES, FAMILY_INDICES, type Family, type FamilyIndex } from '../bgp/families.js';
import { createUpdateFraming } from '../bgp/wire/updateEncoder.js';
import type { Clock } from '../core/clock.js';
import { formatAddress, formatIpv4, type IpAddress } from '../core/ip.js';
import { VERSION } from '../core/version.js';
import type { AttrId } from '../rib/attributeStore.js';
import { candidatesOf, explain, REJECTED_REASON } from '../rib/explain.js';
import type { LocRib } from '../rib/locRib.js';
import { SELF_NEXT_HOP, type NextHopId } from '../rib/nextHops.js';
import { PathFlag } from '../rib/pathTable.js';
import type { PeerId } from '../rib/peerTable.js';
import type { Rib } from '../rib/rib.js';
import { emptyRoute, fillRoute } from '../rib/updateBatch.js';
import type { UpdateGroup } from '../rib/updateGroup.js';
import type { EngineConfig } from './engineTypes.js';
import type { Neighbors } from './neighbors.js';
import type { Neighbor } from './neighbor.js';
import { peerDetail, peerSummary } from './peerView.js';
import { prefixText, queriedFamilies, selectPrefixes, viewAttributes } from './routeView.js';
import { whyUntold } from './untold.js';
import type { EngineView, RouteQuery, RouterSummary, RouteView } from './view.js';

export interface ViewSource {
  readonly rib: Rib;
  readonly neighbors: Neighbors;
  readonly clock: Clock;
  config(): EngineConfig;
  problems(): readonly string[];
}

export function createEngineView(source: ViewSource): EngineView {
  const born = source.clock.now();
  const withPeer = (name: string, act: (neighbor: Neighbor) => void): boolean => {
    const neighbor = source.neighbors.get(name);
    if (neighbor !== undefined) act(neighbor);
    return neighbor !== undefined;
  };
  return {
    summary: () => summary(source, (source.clock.now() - born) / 1000),
    peers: () => [...source.neighbors.all()].map(neighbor => peerSummary(source.rib, neighbor)),
    peer: name => {
      const neighbor = source.neighbors.get(name);
      return neighbor === undefined ? undefined : peerDetail(source, neighbor);
    },
    routes: query => routes(source, query, undefined),
    adjIn: (name, query) => {
      const neighbor = source.neighbors.get(name);
      return neighbor === undefined ? undefined : routes(source, query, neighbor.id);
    },
    adjOut: (name, query) => {
      const neighbor = source.neighbors.get(name);
      return neighbor === undefined ? undefined : told(source, query, neighbor);
    },
    disablePeer: (name, message) =>
      withPeer(name, neighbor => {
        neighbor.disabled = true;
        neighbor.forgetLimit();
        neighbor.session.stop({ kind: 'shutdown', ...(message === undefined ? {} : { message }) });
      }),
    enablePeer: name =>
      withPeer(name, neighbor => {
        neighbor.disabled = false;
        neighbor.forgetLimit();
        neighbor.session.start();
      }),
    resetPeer: (name, message) =>
      withPeer(name, neighbor => {
        if (neighbor.disabled) return;
        neighbor.forgetLimit();
        neighbor.session.stop({ kind: 'reset', ...(message === undefined ? {} : { message }) });
        neighbor.session.start();
      }),
    refreshPeer: (name, direction) =>
      withPeer(name, neighbor => {
        if (direction === 'in') neighbor.requestRoutes();
        else for (const family of FAMILY_INDICES) neighbor.advertising.resend(family);
      }),
  };
}

function summary(source: ViewSource, uptimeSeconds: number): RouterSummary {
  const { rib } = source;
  const config = source.config();
  return {
    asn: config.asn,
    routerId: formatIpv4(config.routerId),
    clusterId: formatIpv4(config.clusterId ?? config.routerId),
    uptimeSeconds,
    version: VERSION,
    listen: config.listen.map(({ address, port }) => `${bracketed(address)}:${port}`),
    prefixes: perFamily(family => rib.families[family].prefixes.size),
    paths: perFamily(family => rib.families[family].paths.size),
    attributes: rib.attributes.size,
    problems: source.problems(),
  };
}

function* routes(source: ViewSource, query: RouteQuery, from: PeerId | undefined): Iterable<RouteView> {
  for (const family of queriedFamilies(query)) {
    const rib = source.rib.families[family];
    const present = (id: number): boolean => rib.head[id] !== 0 && (from === undefined || hasPathFrom(rib, id, from));
    for (const prefix of selectPrefixes(rib.prefixes, query, present)) yield* pathsOf(source, family, prefix, from);
  }
}

function hasPathFrom(rib: LocRib, prefix: number, peer: PeerId): boolean {
  for (let row = rib.head[prefix]!; row !== 0; row = rib.paths.next[row]!)
    if (rib.paths.peer[row] === peer) return true;
  return false;
}

/** The paths of one prefix, the best first; those of one peer as they were received, before any policy. */
function pathsOf(source: ViewSource, family: FamilyIndex, prefix: number, from: PeerId | undefined): RouteView[] {
  const { rib } = source;
  const locRib = rib.families[family];
  const options = source.config().decision;
  const candidates = candidatesOf(locRib, prefix, rib.attributes, rib.nextHops, rib.peers, options);
  const { reasons } = explain(candidates, options);
  const best = locRib.best[prefix]!;
  const shared = new Uint32Array(256);
  const count = best === 0 ? 0 : rib.decision(family).multipath(locRib.head[prefix]!, best, shared);
  return candidates
    .filter(({ row }) => from === undefined || locRib.paths.peer[row] === from)
    .sort((a, b) => Number(b.row === best) - Number(a.row === best))
    .map(({ row }) => {
      const attr = (from === undefined ? locRib.paths.attr[row]! : locRib.paths.receivedAttr(row)) as AttrId;
      const pathId = locRib.paths.pathIdOf(row);
      return {
        prefix: prefixText(locRib.prefixes, prefix),
        family: FAMILIES[family],
        nextHop: nextHopText(rib, rib.attributes.nextHop[attr]! as NextHopId),
        from: rib.peers.get(locRib.paths.peer[row]! as PeerId).name,
        best: row === best,
        multipath: shared.subarray(0, count).includes(row),
        stale: (locRib.paths.flags[row]! & PathFlag.stale) !== 0,
        reason: reasonOf(source, family, row, reasons.get(row)),
        ...viewAttributes(
          rib.attributes.blockArray(attr),
          rib.attributes.blockStart(attr),
          rib.attributes.blockLength(attr),
        ),
        pathId: pathId === 0 ? null : pathId,
      };
    });
}

/** Why a path is not best; of one that policy rejects, which policy and term. */
function reasonOf(source: ViewSource, family: FamilyIndex, row: number, reason: string | undefined): string | null {
  if (reason !== REJECTED_REASON) return reason ?? null;
  const { paths } = source.rib.families[family];
  const peer = source.rib.peers.get(paths.peer[row]! as PeerId).name;
  const importing = source.neighbors.get(peer)?.importing;
  const by = importing?.rejectedBy(family, paths.prefix[row]!, paths.receivedAttr(row) as AttrId);
  return by === undefined ? reason : `${reason} ${by}`;
}

/** What a peer has been told, with the attributes as they went out (AS numbers in full width). */
function* told(source: ViewSource, query: RouteQuery, neighbor: Neighbor): Iterable<RouteView> {
  const { rib } = source;
  for (const family of queriedFamilies(query)) {
    const membership = neighbor.advertising.membership(family);
    const group = membership === undefined ? undefined : rib.group(family, membership.key);
    if (membership === undefined || group === undefined) continue;
    const framing = createUpdateFraming({ ...membership.options, fourOctetAs: true });
    const route = emptyRoute();
    const { prefixes } = rib.families[family];
    const isTold = (id: number): boolean => group.tells(id, neighbor.id);
    const { best } = rib.families[family];
    const present = (id: number): boolean => isTold(id) || (query.untold === true && best[id] !== 0);
    for (const prefix of selectPrefixes(prefixes, query, present)) {
      if (!isTold(prefix)) {
        if (query.untold === true && best[prefix] !== 0) yield untold(source, family, prefix, group, neighbor.id);
        continue;
      }
      const peer = group.outPeer[prefix]! as PeerId;
      fillRoute(route, group.outAttr[prefix]! as AttrId, peer, rib);
      if (!framing.prepare(route)) continue;
      const { octets, length, nextHop } = framing.prepared();
      yield {
        prefix: prefixText(prefixes, prefix),
        family: FAMILIES[family],
        nextHop: formatAddress(nextHop),
        from: rib.peers.get(peer).name,
        best: true,
        multipath: false,
        stale: false,
        reason: null,
        ...viewAttributes(octets, 0, length),
        pathId: membership.options.addPath ? 1 : null,
      };
    }
  }
}

/** A best route, as it is held, that a peer is not told. */
function untold(source: ViewSource, family: FamilyIndex, prefix: number, group: UpdateGroup, peer: PeerId): RouteView {
  const best = pathsOf(source, family, prefix, undefined)[0];
  if (best === undefined) throw new Error('a prefix with a best path has no path');
  return { ...best, best: false, multipath: false, reason: whyUntold(source.rib, family, prefix, group, peer) };
}

function nextHopText(rib: Rib, id: NextHopId): string {
  if (id === SELF_NEXT_HOP) return 'self';
  const linkLocal = rib.nextHops.linkLocal(id);
  const text = formatAddress(rib.nextHops.address(id));
  return linkLocal === undefined ? text : `${text} ${formatAddress(linkLocal)}`;
}

function perFamily(value: (family: FamilyIndex) => number): Record<Family, number> {
  return { 'ipv4-unicast': value(0), 'ipv6-unicast': value(1) };
}

function bracketed(address: IpAddress): string {
  return address.version === 4 ? formatAddress(address) : `[${formatAddress(address)}]`;
}
