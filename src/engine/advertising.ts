/** What one neighbour is told: its memberships in update groups, with the marks that end a first or a repeated telling. */

import { FAMILY_INDICES, type FamilyIndex } from '../bgp/families.js';
import type { Negotiated } from '../bgp/negotiated.js';
import type { SessionEndpoints } from '../bgp/session/sessionTypes.js';
import type { UpdateFraming } from '../bgp/updateFraming.js';
import { createUpdateFraming, encodeEndOfRib, type FramingOptions } from '../bgp/wire/updateEncoder.js';
import { formatAddress } from '../core/ip.js';
import type { SharedBuffer } from '../core/sharedBuffer.js';
import type { ExportAudience } from '../rib/exportRules.js';
import type { PeerId } from '../rib/peerTable.js';
import { createExportFilter, speaksOfNextHops, type ExportFilter } from '../rib/policy/exportFilter.js';
import type { Rib } from '../rib/rib.js';
import type { FormerGroup } from '../rib/updateGroup.js';
import type { EngineConfig, PeerRouting } from './engineTypes.js';
import { isLinkLocal, ownAddresses } from './ownAddresses.js';
import type { Policies } from './policies.js';

export interface AdvertisingHost {
  readonly rib: Rib;
  readonly policies: Policies;
  config(): EngineConfig;
  draining(): boolean;
  wake(): void;
}

/** The neighbour's session, as far as telling it routes goes. */
export interface AdvertisingSession {
  /** @returns false when the socket is full */
  send(octets: Uint8Array, messages: number, buffer?: SharedBuffer): boolean;
  /** Sends a mark of RFC 7313. */
  mark(family: FamilyIndex, subtype: 'begin' | 'end'): void;
}

interface Membership {
  readonly key: string;
  readonly number: number;
  readonly options: FramingOptions;
  /** Send End-of-RIB when the walk is over. */
  endOfRib: boolean;
  /** Send the end mark of RFC 7313 when the walk is over. */
  endOfRefresh: boolean;
  /** The walk is not over yet. */
  isWalking: boolean;
  /** The peer has asked for everything meanwhile: one more walk follows, however often it asked. */
  again: boolean;
}

/** What is owed to a peer whichever group tells it. */
type Owed = Pick<Membership, 'endOfRib' | 'endOfRefresh' | 'again'>;

/** Everything that decides which update group a neighbour belongs to. */
interface Wanted {
  readonly key: string;
  readonly options: FramingOptions;
  readonly audience: ExportAudience;
  readonly filter: () => ExportFilter | undefined;
}

export class Advertising {
  private readonly memberships: [Membership | undefined, Membership | undefined] = [undefined, undefined];
  private enhancedRefresh = false;

  constructor(
    private readonly host: AdvertisingHost,
    private readonly id: PeerId,
    private readonly session: AdvertisingSession,
  ) {}

  /** Joins the update groups of all negotiated families that it is not in yet. */
  join(negotiated: Negotiated, endpoints: SessionEndpoints, routing: PeerRouting): void {
    this.enhancedRefresh = negotiated.enhancedRouteRefresh;
    for (const family of FAMILY_INDICES) {
      if (negotiated.families[family] && this.memberships[family] === undefined)
        this.joinFamily(family, negotiated, endpoints, routing);
    }
  }

  /** Goes over to the group that fits now, where it is another; what only the old one told is taken back. */
  regroup(negotiated: Negotiated, endpoints: SessionEndpoints, routing: PeerRouting): void {
    for (const family of FAMILY_INDICES) {
      const membership = this.memberships[family];
      if (membership === undefined) continue;
      const wanted = this.wanted(family, negotiated, endpoints, routing);
      if (wanted.key === membership.key) continue;
      const former = this.host.rib.group(family, membership.key)?.formerOf(this.id);
      this.host.rib.leave(family, membership.key, this.id);
      this.enter(family, wanted, membership, former);
    }
  }

  leave(): void {
    for (const family of FAMILY_INDICES) {
      const membership = this.memberships[family];
      if (membership !== undefined) this.host.rib.leave(family, membership.key, this.id);
      this.memberships[family] = undefined;
    }
  }

  membership(family: FamilyIndex): Readonly<Membership> | undefined {
    return this.memberships[family];
  }

  /** Space has come free in the socket. */
  drained(): void {
    for (const family of FAMILY_INDICES) {
      const membership = this.memberships[family];
      if (membership !== undefined) this.host.rib.group(family, membership.key)?.drained(this.id);
    }
    this.host.wake();
  }

  /**
   * Sends everything again (RFC 2918), between the marks of RFC 7313 when the peer knows them; after what is being sent
   * just now, which may have to end with End-of-RIB.
   */
  resend(family: FamilyIndex): void {
    const membership = this.memberships[family];
    if (membership === undefined) return;
    if (membership.isWalking) {
      membership.again = true;
      return;
    }
    membership.isWalking = true;
    if (this.enhancedRefresh) {
      this.session.mark(family, 'begin');
      membership.endOfRefresh = true;
    }
    this.host.rib.group(family, membership.key)?.refresh(this.id);
    this.host.wake();
  }

  private joinFamily(
    family: FamilyIndex,
    negotiated: Negotiated,
    endpoints: SessionEndpoints,
    routing: PeerRouting,
  ): void {
    const marks = { endOfRib: true, endOfRefresh: false, again: false };
    this.enter(family, this.wanted(family, negotiated, endpoints, routing), marks, undefined);
  }

  private enter(
    family: FamilyIndex,
    { key, options, audience, filter }: Wanted,
    { endOfRib, endOfRefresh, again }: Owed,
    former: FormerGroup | undefined,
  ): void {
    const sink = {
      send: (octets: Uint8Array, messages: number, buffer: SharedBuffer): boolean =>
        this.session.send(octets, messages, buffer),
      walked: (): void => this.walked(family),
    };
    const framing = (): UpdateFraming => createUpdateFraming(options);
    const number = this.host.rib.join(family, key, audience, framing, this.id, sink, { filter, former });
    this.memberships[family] = { key, number, options, endOfRib, endOfRefresh, again, isWalking: true };
  }

  /** The update group for a session: peers with equal keys are told the same. */
  private wanted(
    family: FamilyIndex,
    negotiated: Negotiated,
    endpoints: SessionEndpoints,
    routing: PeerRouting,
  ): Wanted {
    const { policies } = this.host;
    const { kind, localAsn, remoteAsn } = negotiated;
    const choice = { names: routing.exportPolicy ?? [], isRequired: kind === 'ebgp' && routing.requirePolicy === true };
    const peerAddress = endpoints.remote;
    const chain = policies.chain(choice, {
      direction: 'export',
      family,
      ownAsn: localAsn,
      peerAsn: remoteAsn,
      peerAddress,
    });
    const draining = this.host.draining();
    const isFiltered = chain.length > 0 || draining;
    const rulesNextHops = speaksOfNextHops(chain);
    const options: FramingOptions = {
      ...this.framing(family, negotiated, endpoints, routing),
      ...(isFiltered ? { medSettled: true } : {}),
      ...(rulesNextHops ? { nextHopSelf: 'never' } : {}),
    };
    const audience = { kind, clients: routing.routeReflectorClient, ownOnly: routing.announce === 'own' };
    const rules = { chain, kind, nextHopSelf: routing.nextHopSelf, draining };
    const about = isFiltered
      ? [policies.keyOf(choice), draining, rulesNextHops ? [routing.nextHopSelf, formatAddress(peerAddress)] : []]
      : [];
    return {
      key: JSON.stringify([options, audience, ...about]),
      options,
      audience,
      filter: () => (isFiltered ? createExportFilter(rules, policies.columns(family)) : undefined),
    };
  }

  private walked(family: FamilyIndex): void {
    const membership = this.memberships[family];
    if (membership === undefined) return;
    if (membership.endOfRib) this.session.send(encodeEndOfRib(family), 1);
    if (membership.endOfRefresh) this.session.mark(family, 'end');
    const { again } = membership;
    membership.endOfRib = false;
    membership.endOfRefresh = false;
    membership.isWalking = false;
    membership.again = false;
    if (again) this.resend(family);
  }

  private framing(
    family: FamilyIndex,
    negotiated: Negotiated,
    { local }: SessionEndpoints,
    routing: PeerRouting,
  ): FramingOptions {
    const config = this.host.config();
    const own = ownAddresses(local);
    const given = config.nextHopAddresses;
    const onLink = isLinkLocal(local);
    return {
      family,
      kind: negotiated.kind,
      localAsn: negotiated.localAsn,
      clusterId: config.clusterId ?? config.routerId,
      fourOctetAs: negotiated.fourOctetAs,
      nextHopSelf: routing.nextHopSelf,
      self4: local.version === 4 ? local : (given?.v4 ?? own.v4),
      self6: local.version === 6 && !onLink ? own.v6 : (given?.v6 ?? own.v6),
      selfLinkLocal: onLink ? own.linkLocal : undefined,
      extendedNextHop: negotiated.extendedNextHop[family],
      addPath: negotiated.addPathSend[family],
      maxMessage: negotiated.maxMessage,
    };
  }
}
