/**
 * Why a path is or is not the best: the rules of RFC 4271 section 9.1.2.2 as named eliminations over plain values.
 *
 * The readable twin of decision.ts, for people and as its oracle in tests.
 */

import { AttrFlag } from '../bgp/updateRecord.js';
import { PeerKind } from '../bgp/peerKind.js';
import type { IpAddress } from '../core/ip.js';
import { compareAddresses } from './addressOrder.js';
import type { AttributeStore } from './attributeStore.js';
import type { DecisionOptions } from './decision.js';
import type { LocRib } from './locRib.js';
import type { NextHops } from './nextHops.js';
import { PathFlag } from './pathTable.js';
import type { PeerId, PeerTable } from './peerTable.js';

/** What the rules look at. */
export interface Candidate {
  readonly row: number;
  readonly loop: boolean;
  /** Import policy refuses it. */
  readonly rejected: boolean;
  readonly reachable: boolean;
  readonly own: boolean;
  readonly localPref: number;
  readonly asPathLength: number;
  readonly origin: number;
  readonly neighborAs: number;
  readonly med: number;
  readonly ibgp: boolean;
  readonly metric: number;
  readonly identifier: number;
  readonly clusterListLength: number;
  readonly address: IpAddress;
  readonly pathId: number;
}

/** Why a path is not chosen that no rule of BGP speaks against; {@link candidatesOf}'s caller may know which policy. */
export const REJECTED_REASON = 'rejected by import policy';

/** Removes what is not tied for best. Never empties a list, never looks at its order. */
type Rule = (candidates: readonly Candidate[]) => readonly Candidate[];

const least =
  (value: (c: Candidate) => number): Rule =>
  candidates => {
    const best = Math.min(...candidates.map(value));
    return candidates.filter(c => value(c) === best);
  };

/** MED compares only within a neighbouring AS, so it eliminates; it is not an ordering. */
const leastMed =
  (always: boolean): Rule =>
  candidates =>
    candidates.filter(c => !candidates.some(d => (always || d.neighborAs === c.neighborAs) && d.med < c.med));

const leastAddress: Rule = candidates =>
  candidates.filter(c => !candidates.some(d => compareAddresses(d.address, c.address) < 0));

/** The rules in order, each with what to tell the loser. Source: RFC 4271 section 9.1.1 and 9.1.2.2, RFC 4456 section 9. */
function rules(options: DecisionOptions): readonly (readonly [string, Rule])[] {
  return [
    ['a network of our own is preferred', least(c => (c.own ? 0 : 1))],
    ['lower local preference', least(c => -c.localPref)],
    ['longer AS path', least(c => c.asPathLength)],
    ['worse origin', least(c => c.origin)],
    ['higher MED', leastMed(options.alwaysCompareMed)],
    ['eBGP is preferred over iBGP', least(c => (c.ibgp ? 1 : 0))],
    ['higher metric to the next hop', least(c => c.metric)],
    ['higher router id', least(c => c.identifier)],
    ['longer cluster list', least(c => c.clusterListLength)],
    ['higher peer address', leastAddress],
    ['higher path id', least(c => c.pathId)],
  ];
}

/**
 * The best of the candidates and, for every other, the reason it is not.
 * @returns `best` undefined when no candidate is eligible; `reasons` by row
 */
export function explain(
  candidates: readonly Candidate[],
  options: DecisionOptions,
): { readonly best: Candidate | undefined; readonly reasons: ReadonlyMap<number, string> } {
  const reasons = new Map<number, string>();
  for (const c of candidates) {
    if (c.loop) reasons.set(c.row, 'loop: our AS, cluster or router id is in the path');
    else if (c.rejected) reasons.set(c.row, REJECTED_REASON);
    else if (!c.reachable) reasons.set(c.row, 'next hop unreachable');
  }
  let left: readonly Candidate[] = candidates.filter(c => !reasons.has(c.row));
  for (const [reason, rule] of rules(options)) {
    if (left.length < 2) break;
    const kept = rule(left);
    for (const c of left) if (!kept.includes(c)) reasons.set(c.row, reason);
    left = kept;
  }
  return { best: left[0], reasons };
}

/** Everything that would be looked at if the paths of a prefix were decided now. */
export function candidatesOf(
  rib: LocRib,
  prefix: number,
  attributes: AttributeStore,
  nextHops: NextHops,
  peers: PeerTable,
  options: DecisionOptions,
): Candidate[] {
  const candidates: Candidate[] = [];
  for (let row = rib.head[prefix]!; row !== 0; row = rib.paths.next[row]!) {
    const attr = rib.paths.attr[row]!;
    const peer = rib.paths.peer[row]! as PeerId;
    const flags = attributes.flags[attr]!;
    const facts = peers.get(peer);
    candidates.push({
      row,
      rejected: (rib.paths.flags[row]! & PathFlag.rejected) !== 0,
      loop: (rib.paths.flags[row]! & PathFlag.loop) !== 0,
      reachable: nextHops.reachable[attributes.nextHop[attr]!] === 1,
      own: facts.kind === PeerKind.local,
      localPref: attributes.localPref[attr]!,
      asPathLength: attributes.asPathLength[attr]!,
      origin: attributes.origin[attr]!,
      neighborAs: attributes.neighborAs[attr]!,
      med: flags & AttrFlag.med ? attributes.med[attr]! : options.missingMedWorst ? 0xffff_ffff : 0,
      ibgp: facts.kind === PeerKind.ibgp,
      metric: nextHops.metric[attributes.nextHop[attr]!]!,
      identifier: flags & AttrFlag.originatorId ? attributes.originatorId[attr]! : facts.routerId,
      clusterListLength: attributes.clusterListLength[attr]!,
      address: facts.address,
      pathId: rib.paths.pathIdOf(row),
    });
  }
  return candidates;
}
