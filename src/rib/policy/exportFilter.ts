/** What stands between the Loc-RIB and an update group: its export policies, and what leaving the AS or draining asks. */

import { WELL_KNOWN_GRACEFUL_SHUTDOWN } from '../../bgp/policyTypes.js';
import { AttrFlag } from '../../bgp/updateRecord.js';
import type { AttrId } from '../attributeStore.js';
import type { PeerId } from '../peerTable.js';
import type { Chain } from './chain.js';
import { Evaluation, type PolicyColumns } from './evaluation.js';
import { changed, type Changes, type Route } from './route.js';

export interface ExportFilter {
  /**
   * What a best path is told with; REJECTED: it is not told. Valid until {@link clear}.
   * @param tag index into NETWORK_TAGS for networks of our own
   */
  apply(prefix: number, attr: AttrId, source: PeerId, tag: number): AttrId;
  /** Policy and term that keep a route from the group; undefined when it is told. */
  rejectedBy(prefix: number, attr: AttrId, source: PeerId, tag: number): string | undefined;
  /** To be called before ids of attributes and peers may change their meaning. */
  clear(): void;
}

export interface ExportRules {
  readonly chain: Chain;
  readonly kind: 'ebgp' | 'ibgp';
  /** Followed here, and not by the framing, when the chain speaks of next hops. */
  readonly nextHopSelf: 'auto' | 'always' | 'never';
  /** Say that this router is about to go (RFC 8326). */
  readonly draining: boolean;
}

/** True when the framing must leave the next hops as they are. */
export function speaksOfNextHops(chain: Chain): boolean {
  return chain.some(step => step.changes?.nextHop !== undefined);
}

/** Only where {@link ExportRules} have a chain or say draining; the framing must then leave MED alone. */
export function createExportFilter(rules: ExportRules, columns: PolicyColumns): ExportFilter {
  const ruleNextHops = speaksOfNextHops(rules.chain);
  const finish = (route: Route, original: AttrId): Route => {
    const last = lastChanges(route, rules, columns.attributes.flags[original]!, ruleNextHops);
    return Object.keys(last).length === 0 ? route : changed(route, last);
  };
  const evaluation = new Evaluation(rules.chain, columns, finish);
  return {
    apply: (prefix, attr, source, tag) => evaluation.apply(prefix, attr, source, tag),
    rejectedBy: (prefix, attr, source, tag) => evaluation.rejectedBy(prefix, attr, source, tag),
    clear: () => evaluation.clear(),
  };
}

/** @param flags of the route before any policy */
function lastChanges(route: Route, rules: ExportRules, flags: number, ruleNextHops: boolean): Changes {
  const outside = rules.kind === 'ebgp';
  const isOwn = route.source === 'own';
  // RFC 4271 section 5.1.4: what a neighbouring AS said goes no further; what we say ourselves does.
  const dropsMed = outside && !isOwn && !route.isMedSaid && (flags & AttrFlag.med) !== 0;
  const isSelf = rules.nextHopSelf === 'always' || (rules.nextHopSelf === 'auto' && outside && !isOwn);
  const takesOver = ruleNextHops && isSelf && !route.isNextHopSaid && route.nextHop !== 'self';
  // What is reflected does not pass through this router: it says nothing about it.
  const drains = rules.draining && (outside || route.source !== 'ibgp');
  return {
    ...(dropsMed ? { med: null } : {}),
    ...(takesOver ? { nextHop: 'self' as const } : {}),
    ...(drains ? { add: [WELL_KNOWN_GRACEFUL_SHUTDOWN], ...(outside ? {} : { localPref: 0 }) } : {}),
  };
}
