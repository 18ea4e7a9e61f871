/** What one neighbour is told: its memberships in update groups, with the marks that end a first or a repeated telling. */

import { FAMILY_INDICES, type FamilyIndex } from '../bgp/families.js';
import type { Negotiated } from '../bgp/negotiated.js';
import type { SessionEndpoints } from '../bgp/session/sessionTypes.js';
import { createUpdateFraming, encodeEndOfRib, type FramingOptions } from '../bgp/wire/updateEncoder.js';
import type { SharedBuffer } from '../core/sharedBuffer.js';
import type { PeerId } from '../rib/peerTable.js';
import type { Rib } from '../rib/rib.js';
import type { EngineConfig, PeerRouting } from './engineTypes.js';
import { isLinkLocal, ownAddresses } from './ownAddresses.js';

export interface AdvertisingHost {
  readonly rib: Rib;
  config(): EngineConfig;
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

  /** Sends everything again (RFC 2918), between the marks of RFC 7313 when the peer knows them. */
  resend(family: FamilyIndex): void {
    const membership = this.memberships[family];
    if (membership === undefined) return;
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
    const { rib } = this.host;
    const options = this.framing(family, negotiated, endpoints, routing);
    const audience = {
      kind: negotiated.kind,
      clients: routing.routeReflectorClient,
      ownOnly: routing.announce === 'own',
    };
    const key = JSON.stringify([options, audience]);
    const sink = {
      send: (octets: Uint8Array, messages: number, buffer: SharedBuffer): boolean =>
        this.session.send(octets, messages, buffer),
      walked: (): void => this.walked(family),
    };
    const number = rib.join(family, key, audience, () => createUpdateFraming(options), this.id, sink);
    this.memberships[family] = { key, number, options, endOfRib: true, endOfRefresh: false };
  }

  private walked(family: FamilyIndex): void {
    const membership = this.memberships[family];
    if (membership === undefined) return;
    if (membership.endOfRib) this.session.send(encodeEndOfRib(family), 1);
    if (membership.endOfRefresh) this.session.mark(family, 'end');
    membership.endOfRib = false;
    membership.endOfRefresh = false;
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
