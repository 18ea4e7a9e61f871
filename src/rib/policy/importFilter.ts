/** What stands between a peer's Adj-RIB-In and the decision: its import policies, and RFC 8326's graceful shutdown. */

import { AttrFlag } from '../../bgp/updateRecord.js';
import type { AttrId } from '../attributeStore.js';
import type { PeerId } from '../peerTable.js';
import type { Chain } from './chain.js';
import { Evaluation, type PolicyColumns } from './evaluation.js';
import { changed, type Route } from './route.js';

export interface ImportFilter {
  /** Bits of AttrFlag of which a route must have one for the filter to mean anything to it; 0: it is for all routes. */
  readonly concerns: number;
  /** What a received route enters the decision with; REJECTED: not at all. Valid until {@link clear}. */
  apply(prefix: number, attr: AttrId): AttrId;
  /** Policy and term that reject a route; undefined when it is accepted. */
  rejectedBy(prefix: number, attr: AttrId): string | undefined;
  /** To be called before attribute ids may change their meaning. */
  clear(): void;
}

export interface ImportRules {
  readonly chain: Chain;
  /** Give routes with the community GRACEFUL_SHUTDOWN the lowest LOCAL_PREF (RFC 8326 section 4.2). */
  readonly honorGracefulShutdown: boolean;
}

/** @param peer whose routes are filtered @returns undefined when the rules leave every route as it is */
export function createImportFilter(rules: ImportRules, peer: PeerId, columns: PolicyColumns): ImportFilter | undefined {
  const { chain, honorGracefulShutdown } = rules;
  if (chain.length === 0 && !honorGracefulShutdown) return undefined;
  const finish = (route: Route, original: AttrId): Route =>
    honorGracefulShutdown && (columns.attributes.flags[original]! & AttrFlag.gracefulShutdown) !== 0
      ? changed(route, { localPref: 0 })
      : route;
  const evaluation = new Evaluation(chain, columns, finish);
  return {
    concerns: chain.length === 0 ? AttrFlag.gracefulShutdown : 0,
    apply: (prefix, attr) => evaluation.apply(prefix, attr, peer, 0),
    rejectedBy: (prefix, attr) => evaluation.rejectedBy(prefix, attr, peer, 0),
    clear: () => evaluation.clear(),
  };
}
