/** All neighbours, configured and dynamic: brought to a configuration by differences. */

import type { Session, SessionConfig } from '../bgp/session/sessionTypes.js';
import { PeerKind } from '../bgp/peerKind.js';
import { formatAddress, type IpAddress } from '../core/ip.js';
import type { PeerId } from '../rib/peerTable.js';
import type { ApplyReport, EngineConfig, EngineDynamicRange, PeerRouting } from './engineTypes.js';
import { Neighbor, type NeighborHost } from './neighbor.js';
import type { PeerProgress } from './selection.js';

type PeerChanges = Pick<ApplyReport, 'added' | 'removed' | 'reset' | 'updated'>;

export class Neighbors {
  private readonly byName = new Map<string, Neighbor>();
  /** Removed, but with paths still to be swept. */
  private readonly leaving = new Set<Neighbor>();
  /** Ids nothing new refers to; free once every reader of the journal has passed. */
  private readonly retired: PeerId[] = [];

  constructor(private readonly host: NeighborHost) {}

  all(): Iterable<Neighbor> {
    return this.byName.values();
  }

  get(name: string): Neighbor | undefined {
    return this.byName.get(name);
  }

  /**
   * Brings peers and ranges to a configuration.
   * @param before the former one @param otherPolicies the names of policies may stand for something else now
   */
  set(config: EngineConfig, before: EngineConfig | undefined, otherPolicies: boolean): PeerChanges {
    const changes = { added: [] as string[], removed: [] as string[], reset: [] as string[], updated: [] as string[] };
    const wanted = new Set(config.peers.map(peer => peer.name));
    const otherSelf = before !== undefined && !same(ofOurselves(before), ofOurselves(config));
    for (const neighbor of [...this.byName.values()]) {
      if (neighbor.dynamic !== undefined || wanted.has(neighbor.name)) continue;
      this.remove(neighbor);
      changes.removed.push(neighbor.name);
    }
    for (const peer of config.peers) {
      const neighbor = this.byName.get(peer.name);
      const reset = neighbor !== undefined && !same(neighbor.config, peer.session);
      if (neighbor === undefined || reset) {
        const disabled = neighbor?.disabled === true;
        if (neighbor !== undefined) this.remove(neighbor);
        if (this.add(peer.name, peer.session, peer.routing, undefined, disabled) === undefined) continue;
        changes[reset ? 'reset' : 'added'].push(peer.name);
      } else if (!same(neighbor.routing, peer.routing) || otherSelf) {
        neighbor.reroute(peer.routing);
        changes.updated.push(peer.name);
      } else if (otherPolicies) neighbor.reroute(peer.routing);
    }
    this.setRanges(config, otherSelf, otherPolicies, changes);
    return changes;
  }

  /** A neighbour for a connection from inside a range. @returns undefined when the limit is reached */
  admit(range: EngineDynamicRange, remote: IpAddress): Neighbor | undefined {
    const taken = [...this.byName.values()].filter(neighbor => neighbor.dynamic === range.group).length;
    if (taken >= range.limit) {
      this.host.event({
        kind: 'dynamicPeerRefused',
        address: formatAddress(remote),
        group: range.group,
        limit: range.limit,
      });
      return undefined;
    }
    const session: SessionConfig = { ...range.session, remote, remotePort: 179, passive: true };
    return this.add(`${range.group}@${formatAddress(remote)}`, session, range.routing, range.group, false);
  }

  stop(cease: Parameters<Session['stop']>[0]): void {
    for (const neighbor of this.byName.values()) {
      neighbor.forgetLimit();
      neighbor.session.stop(cease);
    }
  }

  /** Nothing of the neighbour is left in the RIB; a removed one, or a dynamic one without a connection, is forgotten. */
  gone(neighbor: Neighbor): void {
    if (this.leaving.delete(neighbor)) this.retired.push(neighbor.id);
    const isWaiting = neighbor.session.state === 'Idle' || neighbor.session.state === 'Active';
    if (neighbor.dynamic === undefined || !isWaiting || this.byName.get(neighbor.name) !== neighbor) return;
    this.byName.delete(neighbor.name);
    neighbor.session.stop({ kind: 'silent' });
    this.retired.push(neighbor.id);
  }

  /** Gives retired ids back when no reader can meet them any more. Called when there is nothing left to pump. */
  release(): void {
    if (this.retired.length === 0 || !this.host.rib.families.every(rib => rib.journal.drained)) return;
    for (const id of this.retired.splice(0)) this.host.rib.peers.remove(id);
  }

  progress(): PeerProgress[] {
    return [...this.byName.values()]
      .filter(neighbor => !neighbor.disabled)
      .map(neighbor => ({
        name: neighbor.name,
        upFor: neighbor.upFor,
        gracefulRestart: neighbor.current?.gracefulRestart !== undefined,
        restarting: neighbor.current?.gracefulRestart?.restarting === true,
        endOfRib: [0, 1].every(f => neighbor.current?.families[f] !== true || neighbor.endOfRibReceived[f] === true),
      }));
  }

  private setRanges(
    config: EngineConfig,
    otherSelf: boolean,
    otherPolicies: boolean,
    changes: { updated: string[]; removed: string[] },
  ): void {
    const ranges = new Map(config.dynamicRanges.map(range => [range.group, range]));
    for (const neighbor of [...this.byName.values()]) {
      if (neighbor.dynamic === undefined) continue;
      const range = ranges.get(neighbor.dynamic);
      const { remote, remotePort, passive } = neighbor.config;
      if (range === undefined || !same(neighbor.config, { ...range.session, remote, remotePort, passive })) {
        this.remove(neighbor);
        changes.removed.push(neighbor.name);
      } else if (!same(neighbor.routing, range.routing) || otherSelf) {
        neighbor.reroute(range.routing);
        changes.updated.push(neighbor.name);
      } else if (otherPolicies) neighbor.reroute(range.routing);
    }
  }

  private add(
    name: string,
    session: SessionConfig,
    routing: PeerRouting,
    dynamic: string | undefined,
    disabled: boolean,
  ): Neighbor | undefined {
    const id = this.host.rib.peers.add({
      name,
      address: session.remote,
      kind: PeerKind.ibgp,
      client: routing.routeReflectorClient,
      routerId: 0,
    });
    if (id === undefined) {
      this.host.event({ kind: 'attemptFailed', peer: name, text: 'too many peers' });
      return undefined;
    }
    const neighbor = new Neighbor(this.host, name, id, session, routing, dynamic);
    neighbor.disabled = disabled;
    this.byName.set(name, neighbor);
    if (!disabled) neighbor.session.start();
    return neighbor;
  }

  private remove(neighbor: Neighbor): void {
    this.byName.delete(neighbor.name);
    this.leaving.add(neighbor);
    neighbor.session.stop({ kind: 'deconfigured' });
    // Paths of a session that was up are withdrawn by its `down`; those kept over a restart are not.
    neighbor.dropStale();
  }
}

/** What all sessions say of this router besides what was negotiated: peers that are up are told anew when it changes. */
function ofOurselves({ clusterId, nextHopAddresses }: EngineConfig): object {
  return { clusterId, nextHopAddresses };
}

/** Configurations are plain data, so their text tells whether they are equal. */
function same(a: object, b: object): boolean {
  return a === b || JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}
