/** What the own node's annotations say of its announcements and sessions. Only the own agent reads them. */

import type { Asn } from '../bgp/asn.js';
import { parseAddress, type IpAddress, type IpPrefix } from '../core/ip.js';
import { err, ok, type Result } from '../core/result.js';
import type { Node } from '../kube/objectTypes.js';
import { describe } from '../kube/objects.js';
import type { Problem } from '../kube/problems.js';
import {
  NO_COMMUNITIES,
  inForce,
  listItems,
  parseAsn,
  parseNumber,
  read,
  readCommunities,
  readList,
  readPrefixes,
  type Annotations,
  type Communities,
} from './annotations.js';
import { peersKey, readPeers } from './peerAnnotations.js';
import type { ExternalPeer } from './routingOptions.js';

export interface Prepend {
  readonly asn: Asn;
  readonly count: number;
}

export interface NodeSettings {
  /** Added to what external peers are told. */
  readonly communities: Communities;
  readonly prepend: Prepend | undefined;
  /** Refused from every peer, with what is more specific. */
  readonly importReject: readonly IpPrefix[];
  readonly peers: readonly ExternalPeer[];
  /** To listen on in place of the node's addresses; empty: those. */
  readonly listen: readonly IpAddress[];
}

export const NO_SETTINGS: NodeSettings = {
  communities: NO_COMMUNITIES,
  prepend: undefined,
  importReject: [],
  peers: [],
  listen: [],
};

const COMMUNITIES = 'kube-router.io/node.bgp.communities';
const REJECT = 'kube-router.io/node.bgp.customimportreject';
const PREPEND_AS = 'kube-router.io/path-prepend.as';
const PREPEND_COUNT = 'kube-router.io/path-prepend.repeat-n';
const LISTEN = 'kube-router.io/bgp-local-addresses';

/** @param former what was in force before, for annotations that cannot be read now */
export function nodeSettings(
  node: Node,
  former: NodeSettings,
): { readonly settings: NodeSettings; readonly problems: readonly Problem[] } {
  const { annotations } = node;
  const communities = inForce(COMMUNITIES, readCommunities(annotations[COMMUNITIES]), former.communities);
  const prepend = inForce(PREPEND_AS, read(prependOf(annotations)), former.prepend);
  const importReject = inForce(REJECT, readPrefixes(annotations[REJECT]), former.importReject);
  const peers = inForce(peersKey(annotations), readPeers(annotations), former.peers);
  const listen = inForce(LISTEN, readList(listItems(annotations[LISTEN]), parseAddress), former.listen);
  const parts = [communities, prepend, importReject, peers, listen];
  return {
    settings: {
      communities: communities.value,
      prepend: prepend.value,
      importReject: importReject.value,
      peers: peers.value,
      listen: listen.value,
    },
    problems: parts.flatMap(part => part.complaints).map(text => ({ subject: describe(node), text })),
  };
}

function prependOf(annotations: Annotations): Result<Prepend | undefined, string> {
  const [as, repeat] = [annotations[PREPEND_AS], annotations[PREPEND_COUNT]];
  if (as === undefined && repeat === undefined) return ok(undefined);
  if (as === undefined || repeat === undefined)
    return err(`${PREPEND_AS} and ${PREPEND_COUNT} mean something only together`);
  const asn = parseAsn(as);
  const count = parseNumber(repeat, 255);
  if (!asn.ok) return asn;
  if (!count.ok) return count;
  return ok(count.value === 0 ? undefined : { asn: asn.value, count: count.value });
}
