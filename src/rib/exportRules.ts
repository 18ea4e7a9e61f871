/** Which best paths an update group is told: RFC 4271 section 9.1.3, RFC 4456 section 6, RFC 1997. */

import { PeerKind } from '../bgp/peerKind.js';
import { AttrFlag } from '../bgp/updateRecord.js';
import type { AttributeStore, AttrId } from './attributeStore.js';
import type { PeerId, PeerTable } from './peerTable.js';

export interface ExportAudience {
  readonly kind: 'ebgp' | 'ibgp';
  /** The members are clients of this route reflector. */
  readonly clients: boolean;
  /** They are told networks of our own and nothing else. */
  readonly ownOnly?: boolean;
}

/** Communities that keep a route from all peers, and from peers outside the AS. */
const NOBODY = AttrFlag.noAdvertise;
const NOT_OUTSIDE = AttrFlag.noAdvertise | AttrFlag.noExport | AttrFlag.noExportSubconfed;

/**
 * True when a route with these attributes from this source may be told to the audience. That the source itself is left
 * out is the update group's part.
 */
export function mayExport(
  audience: ExportAudience,
  attributes: AttributeStore,
  attr: AttrId,
  peers: PeerTable,
  source: PeerId,
): boolean {
  if (audience.ownOnly === true && peers.kind[source] !== PeerKind.local) return false;
  const outside = audience.kind === 'ebgp';
  if (attributes.flags[attr]! & (outside ? NOT_OUTSIDE : NOBODY)) return false;
  // iBGP split horizon, and its exception for a route reflector.
  return outside || peers.kind[source] !== PeerKind.ibgp || audience.clients || peers.client[source] === 1;
}

/** Why {@link mayExport} says no, for people; undefined when it says yes. */
export function refusal(
  audience: ExportAudience,
  attributes: AttributeStore,
  attr: AttrId,
  peers: PeerTable,
  source: PeerId,
): string | undefined {
  if (mayExport(audience, attributes, attr, peers, source)) return undefined;
  if (audience.ownOnly === true && peers.kind[source] !== PeerKind.local)
    return 'it is not a network of our own, and the peer is told only those (announce: own)';
  const flags = attributes.flags[attr]!;
  const community = COMMUNITY_NAMES.find(([flag]) => flags & flag & (audience.kind === 'ebgp' ? NOT_OUTSIDE : NOBODY));
  if (community !== undefined) return `it has the community ${community[1]} (RFC 1997)`;
  return 'it came from an iBGP peer, and neither that nor this one is a client (RFC 4456)';
}

const COMMUNITY_NAMES: readonly (readonly [number, string])[] = [
  [AttrFlag.noAdvertise, 'no-advertise'],
  [AttrFlag.noExport, 'no-export'],
  [AttrFlag.noExportSubconfed, 'no-export-subconfed'],
];
