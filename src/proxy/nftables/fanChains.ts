/**
 * Fan chains: for a number of backends, the rules that choose one at random, or the one that a record of session affinity
 * names. There is one for each combination in use, not for each service.
 */

import type { Expression } from '../../kernel/nftables/expressions.js';
import type { ChainShape } from '../../kernel/nftables/messages.js';
import type { Family } from '../proxyTypes.js';
import { FRONTEND, loadFrontend } from './frontendRegisters.js';
import { backendsSet, SETS } from './layout.js';
import * as rule from './ruleParts.js';
import { SHARDS } from './serviceIdentity.js';

export interface Fan {
  /** How the frontend is found: by what the packet is sent to, or as a node port. */
  readonly by: 'address' | 'node';
  readonly list: 'cluster' | 'local';
  /** Slots in the list: at least one. */
  readonly slots: number;
  /** Which of the maps of backends. */
  readonly shard: number;
  /** Seconds of session affinity. */
  readonly affinity: number | undefined;
}

/** Slots of local lists begin here; the others at 0. */
export const LOCAL_SLOTS = 1 << 16;
export const MOST_SLOTS_OF_LIST = LOCAL_SLOTS - 1;

/** `address-cluster-3-of-12`, `node-local-1-of-0-for-10800s`: slots, map of backends, seconds. */
export function fanName({ by, list, slots, shard, affinity }: Fan): string {
  return `${by}-${list}-${slots}-of-${shard}${affinity === undefined ? '' : `-for-${affinity}s`}`;
}

/** @returns undefined for a chain that is no fan chain */
export function parseFan(name: string): Fan | undefined {
  const match = /^(address|node)-(cluster|local)-([1-9]\d{0,4})-of-(\d{1,2})(?:-for-([1-9]\d{0,9})s)?$/.exec(name);
  if (match === null || Number(match[4]) >= SHARDS) return undefined;
  const [, by, list, slots, shard, affinity] = match;
  return {
    by: by === 'address' ? by : 'node',
    list: list === 'cluster' ? 'cluster' : 'local',
    slots: Number(slots),
    shard: Number(shard),
    affinity: affinity === undefined ? undefined : Number(affinity),
  };
}

/** The key of a fan chain in the map of them: eight octets that say all of it. Eight zeros are none. */
export function fanOctets({ by, list, slots, shard, affinity = 0 }: Fan): string {
  const kind = 1 + (by === 'node' ? 1 : 0) + (list === 'local' ? 2 : 0);
  return String.fromCharCode(shard, kind, slots >>> 8, slots & 255).concat(
    String.fromCharCode(affinity >>> 24, (affinity >>> 16) & 255, (affinity >>> 8) & 255, affinity & 255),
  );
}
export const NO_FAN = '\0'.repeat(8);

/** The fan chain behind the octets; undefined for those that are none's. */
export function fanOfOctets(octets: string): Fan | undefined {
  const at = (index: number): number => octets.charCodeAt(index);
  if (octets.length !== NO_FAN.length || at(1) === 0) return undefined;
  const affinity = at(4) * 2 ** 24 + at(5) * 2 ** 16 + at(6) * 256 + at(7);
  return {
    by: at(1) === 2 || at(1) === 4 ? 'node' : 'address',
    list: at(1) > 2 ? 'local' : 'cluster',
    slots: at(2) * 256 + at(3),
    shard: at(0),
    affinity: affinity === 0 ? undefined : affinity,
  };
}

/**
 * The first rule counts. Registers (see `frontendRegisters.ts`): the slot stands before the identity, so that both are the
 * key of `backends`; later the source does, for `affinity`, and an address and port, for `members`.
 */
export function fanChain(fan: Fan, family: Family): ChainShape {
  const size = rule.addressSize(family);
  const { identity, spare, target } = FRONTEND;
  const port = target + size;
  const load = loadFrontend(fan.by, family, 'identity');
  const slot = identity - 1;
  const choose: readonly Expression[] = [
    ...load,
    { kind: 'random', modulus: fan.slots, offset: fan.list === 'local' ? LOCAL_SLOTS : 0, to: slot },
  ];
  const backend: Expression = { kind: 'lookup', set: backendsSet(fan.shard), from: slot, to: target };
  const dnat: Expression = { kind: 'dnat', family, address: target, port };
  const name = fanName(fan);
  const count: readonly Expression[] = [
    ...rule.loadEndpoint(family, 0),
    { kind: 'dynamic', operation: 'add', set: SETS.connections, key: 0 },
  ];
  const plain = [...choose, backend, dnat];
  if (fan.affinity === undefined) return { name, rules: [count, plain] };
  const source = identity - size;
  const loadSource = rule.loadSource(family, source);
  const record = (operation: 'update' | 'delete'): Expression => ({
    kind: 'dynamic',
    operation,
    set: SETS.affinity,
    key: source,
    data: spare,
    ...(operation === 'update' ? { timeout: fan.affinity! * 1000 } : {}),
  });
  const member = identity - 1 - size;
  const known: readonly Expression[] = [
    ...load,
    ...rule.zeros(target, size),
    ...rule.zeros(port, 1),
    ...loadSource,
    { kind: 'lookup', set: SETS.affinity, from: source, to: spare },
    ...rule.zeros(spare, 1),
    rule.copy(target, member, size),
    rule.copy(port, member + size, 1),
    { kind: 'lookup', set: fan.list === 'local' ? SETS.localMembers : SETS.members, from: member },
    ...loadSource,
    record('update'),
    dnat,
  ];
  // An update leaves the backend of a record as it is, so a record of a backend that went is taken out first.
  const anew: readonly Expression[] = [
    ...choose,
    ...rule.zeros(spare, 1 + size),
    ...rule.zeros(port, 1),
    backend,
    ...loadSource,
    record('delete'),
    record('update'),
    dnat,
  ];
  // The last is only reached when the map of records is full.
  return { name, rules: [count, known, anew, plain] };
}
