/** When a rule holds, in words of nf_tables: one of its conditions on the peer, and one of those on the port. Pure. */

import { PROTOCOL_NUMBERS } from '../../kernel/nftables/elements.js';
import * as part from '../../kernel/nftables/ruleParts.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { LAST_PORT } from '../compileNetworkPolicy.js';
import {
  portSetKey,
  type Direction,
  type GroupKey,
  type PortMatch,
  type PortSetKey,
  type Rule,
} from '../policyTypes.js';
import { isFirst, isLast, rangesOf, type AddressRange } from './addressRanges.js';
import { digestOf } from './contentNames.js';
import { blockSet, mergedPorts, portSet, type ContentSet, type PortRange } from './contentSets.js';

export interface Condition {
  readonly expressions: part.Rule;
  /** What it looks up that never changes. */
  readonly sets: readonly ContentSet[];
  /** Names of sets that it looks up and that follow the model: of groups and of named ports. */
  readonly followed: readonly string[];
}

const ALWAYS: Condition = { expressions: [], sets: [], followed: [] };

export function groupSetName(key: GroupKey): string {
  return `group-${digestOf(key)}`;
}
export function namedPortSetName(key: PortSetKey): string {
  return `named-${digestOf(key)}`;
}

/** One of each has to hold; none: the rule can never hold in this family. */
export interface Conditions {
  readonly peers: readonly Condition[];
  readonly ports: readonly Condition[];
}

export function conditionsOf(rule: Rule, direction: Direction, family: Family): Conditions {
  return { peers: peerConditions(rule, direction, family), ports: portConditions(rule.ports, direction, family) };
}

/** Each peer with each port: each of these suffices. */
export function pairsOf({ peers, ports }: Conditions): readonly Condition[] {
  return peers.flatMap(peer =>
    ports.map(port => ({
      expressions: [...peer.expressions, ...port.expressions],
      sets: [...peer.sets, ...port.sets],
      followed: [...peer.followed, ...port.followed],
    })),
  );
}

/** What is sent to whom: the other end's address. */
function loadPeer(direction: Direction, family: Family): part.Rule {
  return direction === 'ingress' ? part.loadSource(family, 0) : part.loadDestination(family, 0);
}

function peerConditions({ peers, action }: Rule, direction: Direction, family: Family): readonly Condition[] {
  if (peers === undefined) return [ALWAYS];
  const blocks = peers.flatMap(peer => (peer.kind === 'block' && peer.cidr.address.version === family ? [peer] : []));
  const ranges = rangesOf(blocks);
  if (isEverywhere(ranges)) return [ALWAYS];
  const load = loadPeer(direction, family);
  const groups = new Set(peers.flatMap(peer => (peer.kind === 'group' ? [groupSetName(peer.key)] : [])));
  const byGroup = [...groups].map(set => ({
    expressions: [...load, part.lookup(set, 0)],
    sets: [],
    followed: [set],
  }));
  return [...byGroup, ...inRanges(load, ranges, action, family)];
}

function isEverywhere([range, ...others]: readonly AddressRange[]): boolean {
  return range !== undefined && others.length === 0 && isFirst(range.first) && isLast(range.last);
}

/**
 * A set of ranges may be empty for a moment after the kernel has taken the transaction that brings it (some kernels put it in place last): what
 * accepts by it lets through too little then, so only what accepts has one.
 */
function inRanges(
  load: part.Rule,
  ranges: readonly AddressRange[],
  action: Rule['action'],
  family: Family,
): readonly Condition[] {
  if (ranges.length < 2 || action !== 'accept')
    return ranges.map(({ first, last }) => ({
      expressions: [...load, between(0, first, last)],
      sets: [],
      followed: [],
    }));
  const set = blockSet(ranges, family);
  return [{ expressions: [...load, part.lookup(set.shape.name, 0)], sets: [set], followed: [] }];
}

function between(from: number, first: string, last: string): part.Rule[number] {
  const octets = (text: string): readonly number[] => [...Buffer.from(text, 'latin1')];
  if (first === last) return { kind: 'compare', from, equal: true, octets: octets(first) };
  return { kind: 'range', from, first: octets(first), last: octets(last) };
}

function portConditions(
  ports: readonly PortMatch[] | undefined,
  direction: Direction,
  family: Family,
): readonly Condition[] {
  if (ports === undefined) return [ALWAYS];
  const scope = direction === 'ingress' ? 'local' : 'all';
  const named = ports.flatMap(match =>
    match.kind === 'named' ? [namedPortSetName(portSetKey(scope, match.protocol, match.name))] : [],
  );
  // A named port is the receiving pod's, at either end.
  const byName = [...new Set(named)].map(set => ({
    expressions: [...part.loadEndpoint(family, 0), part.lookup(set, 0)],
    sets: [],
    followed: [set],
  }));
  return [...byName, ...onPorts(mergedPorts(ports.flatMap(match => (match.kind === 'range' ? [match] : []))))];
}

/** Single ports together, each range by itself: a set of intervals has its elements only a moment after the rest is in force. */
function onPorts(ranges: readonly PortRange[]): readonly Condition[] {
  const single = ranges.filter(({ first, last }) => first === last);
  const inline = single.length === 1 ? ranges : ranges.filter(({ first, last }) => first < last);
  const conditions = inline.map(range => ({ expressions: onRange(range), sets: [], followed: [] }));
  if (single.length < 2) return conditions;
  const set = portSet(single);
  const expressions = [...part.loadPort(0), part.lookup(set.shape.name, 0)];
  return [{ expressions, sets: [set], followed: [] }, ...conditions];
}

function onRange({ protocol, first, last }: PortRange): part.Rule {
  const isProtocol: part.Rule = [
    { kind: 'meta', key: 'l4proto', to: 0 },
    { kind: 'compare', from: 0, equal: true, octets: [PROTOCOL_NUMBERS[protocol]] },
  ];
  if (first === 0 && last === LAST_PORT) return isProtocol;
  const port = (number: number): string => String.fromCharCode(number >>> 8, number & 255);
  return [
    ...isProtocol,
    { kind: 'payload', base: 'transport', offset: 2, length: 2, to: 0 },
    between(0, port(first), port(last)),
  ];
}
