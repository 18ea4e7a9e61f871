/**
 * Fan chains: for a number of backends, the rules that choose one at random, or the one that a record of session affinity
 * names. There is one for each combination in use, not for each service.
 */

import type { Expression } from '../../kernel/nftables/expressions.js';
import type { ChainShape } from '../../kernel/nftables/messages.js';
import type { Family } from '../proxyTypes.js';
import { LOCAL_SLOTS, SETS } from './layout.js';
import * as rule from './ruleParts.js';

export interface Fan {
  /** How the service port's identity is found: it is what the packet is sent to, or that has one, or the node port has. */
  readonly by: 'own' | 'alias' | 'node';
  readonly list: 'cluster' | 'local';
  /** Slots in the list: at least one. */
  readonly slots: number;
  /** Seconds of session affinity. */
  readonly affinity: number | undefined;
}

/** `own-cluster-3`, `node-local-1-for-10800s` */
export function fanName({ by, list, slots, affinity }: Fan): string {
  return `${by}-${list}-${slots}${affinity === undefined ? '' : `-for-${affinity}s`}`;
}

/** @returns undefined for a chain that is no fan chain */
export function parseFan(name: string): Fan | undefined {
  const match = /^(own|alias|node)-(cluster|local)-([1-9]\d{0,4})(?:-for-([1-9]\d{0,9})s)?$/.exec(name);
  if (match === null) return undefined;
  const [, by, list, slots, affinity] = match;
  return {
    by: by === 'own' || by === 'alias' ? by : 'node',
    list: list === 'cluster' ? 'cluster' : 'local',
    slots: Number(slots),
    affinity: affinity === undefined ? undefined : Number(affinity),
  };
}

/**
 * Registers, each an address wide or one: source, pad, identity (address, protocol, port), backend (address, port). The
 * slot goes where the backend will be, so that every key lies in one piece; in IPv6 this fills all 16. The pad is always 0
 * (see `coverKey`).
 */
export function fanChain(fan: Fan, family: Family): ChainShape {
  const source = 0;
  const pad = rule.addressSize(family);
  const identity = pad + 1;
  const backend = identity + rule.endpointSize(family);
  const load: readonly Expression[] = [...rule.coverKey(family, pad), ...loadIdentity(fan.by, family, identity)];
  const offset = fan.list === 'local' ? LOCAL_SLOTS : 0;
  const choose: readonly Expression[] = [
    ...load,
    { kind: 'random', modulus: fan.slots, offset, to: backend },
    { kind: 'lookup', set: SETS.backends, from: pad, to: backend },
  ];
  const port = backend + rule.addressSize(family);
  const dnat: Expression = { kind: 'dnat', family, address: backend, port };
  const name = fanName(fan);
  if (fan.affinity === undefined) return { name, rules: [[...choose, dnat]] };
  const record = (operation: 'update' | 'delete'): Expression => ({
    kind: 'dynamic',
    operation,
    set: SETS.affinity,
    key: source,
    data: backend,
    ...(operation === 'update' ? { timeout: fan.affinity! * 1000 } : {}),
  });
  const members = fan.list === 'local' ? SETS.localMembers : SETS.members;
  const known: readonly Expression[] = [
    ...load,
    ...rule.loadSource(family, source),
    { kind: 'lookup', set: SETS.affinity, from: source, to: backend },
    { kind: 'lookup', set: members, from: pad },
    record('update'),
    dnat,
  ];
  // An update leaves the backend of a record as it is, so a record of a backend that went is taken out first.
  const anew = [...choose, ...rule.loadSource(family, source), record('delete'), record('update'), dnat];
  // Only reached when the map of records is full.
  return { name, rules: [known, anew, [...choose, dnat]] };
}

function loadIdentity(by: Fan['by'], family: Family, to: number): readonly Expression[] {
  if (by === 'own') return rule.loadEndpoint(family, to);
  const load = by === 'alias' ? rule.loadEndpoint(family, to) : rule.loadNodePort(family, to);
  return [...load, { kind: 'lookup', set: SETS.aliases, from: to, to }];
}
