/**
 * The table that keeps tenants apart, of one family: what depends on no pod. Pods are elements of its sets alone.
 *
 * It looks at every packet once, after its destination was translated (so a service is judged by the pod behind it) and
 * before its source is, on the node of the one who sends and on that of the one who receives. Between two pods it does
 * not ask whether the connection is established: being of one tenant has no direction, so answers are judged like
 * questions, and a change of networks ends what it forbids with the very transaction that makes it.
 */

import type { Expression, Register } from '../../kernel/nftables/expressions.js';
import { hostU32 } from '../../kernel/nftables/expressions.js';
import type { ChainShape, SetShape } from '../../kernel/nftables/messages.js';
import {
  fromThisHost,
  hook,
  loadDestination,
  loadSource,
  lookup,
  plain,
  to,
  zeros,
  type Family,
  type Rule,
} from '../../kernel/nftables/ruleParts.js';
import { elementKey, type ElementKey } from '../../kernel/nftables/elements.js';

export const TENANT_TABLE = 'peerage-tenants';

export const SETS = {
  /** address → 0 . number, of every pod there is. */
  tenants: 'tenants',
  /** number . address, of this node's pods. */
  members: 'members',
  /** 0 . address from, to: all pods' networks. Who is in them and no known pod is closed. */
  podNetworks: 'pod-networks',
  /** Addresses of this node's pods, each counting what it was not sent. */
  deniedTo: 'denied-to',
  /** The same, counting what it may not send. */
  deniedFrom: 'denied-from',
  /** Types of ICMPv6 by which neighbours find each other (RFC 4861). */
  discovery: 'discovery',
} as const;

export interface TenantLayout {
  readonly sets: readonly SetShape[];
  readonly chains: readonly ChainShape[];
  /** That are there for good. */
  readonly elements: readonly (readonly [ElementKey, string])[];
}

/** Before the firewall's −5 (policies), and before sources are translated (100). */
const PRIORITY = -6;

const [POD, UNKNOWN, PAIR, COMPARE, DENIED] = ['from-pod', 'from-unknown', 'pod-to-pod', 'compare', 'denied'] as const;

export function tenantLayout(family: Family): TenantLayout {
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const sets: readonly SetShape[] = [
    { name: SETS.tenants, key: [address], data: ['mark', 'mark'] },
    { name: SETS.members, key: ['mark', address] },
    { name: SETS.podNetworks, key: ['mark', address], interval: true },
    { name: SETS.deniedTo, key: [address], counted: true },
    { name: SETS.deniedFrom, key: [address], counted: true },
  ];
  const discovery: SetShape = { name: SETS.discovery, key: ['mark'] };
  return {
    sets: family === 4 ? sets : [...sets, discovery],
    chains: chainsOf(family),
    elements: family === 4 ? [] : DISCOVERY_TYPES.map(type => [elementKey(SETS.discovery, padded(type)), '']),
  };
}

/** Router and neighbour solicitation and advertisement, redirect (RFC 4861 section 4). */
const DISCOVERY_TYPES = [133, 134, 135, 136, 137];
const padded = (octet: number): string => String.fromCharCode(octet, 0, 0, 0);

function chainsOf(family: Family): readonly ChainShape[] {
  const parts = partsOf(family);
  const { source, destination } = parts;
  const isGlobal = (end: Load): Rule => [
    ...parts.number(end),
    { kind: 'compare', from: NUMBER, equal: true, octets: hostU32(0) },
  ];
  const accept = plain('accept');
  const compare = [
    [...parts.number(source), ...destination(ADDRESS), lookup(SETS.members, NUMBER), accept],
    [...parts.number(destination), ...source(ADDRESS), lookup(SETS.members, NUMBER), accept],
    [...isGlobal(source), accept],
    [...isGlobal(destination), accept],
  ];
  return [
    hook('postrouting', 'filter', 'postrouting', PRIORITY, [
      ...(family === 4 ? [] : [[...isDiscovery, accept]]),
      [...parts.number(source), to('goto', POD)],
      // Not from a pod: what was let through once needs no second look.
      [...isEstablished, accept],
      [...parts.inPodNetworks(source), to('goto', UNKNOWN)],
    ]),
    {
      name: POD,
      rules: [
        [...parts.number(destination), to('goto', PAIR)],
        [...isEstablished, accept],
        [...isGlobal(source), accept],
        [...parts.inPodNetworks(destination), to('goto', DENIED)],
      ],
    },
    {
      name: UNKNOWN,
      rules: [
        [...fromThisHost, accept],
        [...isGlobal(destination), accept],
        [...parts.number(destination), to('goto', DENIED)],
        [...parts.inPodNetworks(destination), to('goto', DENIED)],
      ],
    },
    // Twice: each lookup sees the sets of its own moment, so who was between two assignments is asked once more.
    { name: PAIR, rules: [[to('jump', COMPARE)], [to('jump', COMPARE)], [to('goto', DENIED)]] },
    { name: COMPARE, rules: compare },
    {
      name: DENIED,
      rules: [
        // Each element counts by itself.
        [...destination(ADDRESS), lookup(SETS.deniedTo, ADDRESS)],
        [...source(ADDRESS), lookup(SETS.deniedFrom, ADDRESS)],
        [plain('drop')],
      ],
    },
  ];
}

type Load = (register: Register) => Rule;

/**
 * Where the map's answer begins, where the number in it is, and the address behind it: the last two are a key of `members`.
 *
 * nft(8) takes a map's answer to be of no length, and up to 1.0.9 it aborts when it lists a key that begins with one. It
 * goes by what was last put into a register by number: so the answer begins one register before the key, where zeros were
 * put.
 */
const [ANSWER, NUMBER, ADDRESS] = [0, 1, 2] as const;
/** Of an address that is only looked up. */
const ASIDE = 8;

interface Parts {
  readonly source: Load;
  readonly destination: Load;
  /** Goes on if the end is a pod, whose number it leaves. */
  readonly number: (end: Load) => Rule;
  readonly inPodNetworks: (end: Load) => Rule;
}

function partsOf(family: Family): Parts {
  return {
    source: register => loadSource(family, register),
    destination: register => loadDestination(family, register),
    number: end => [...end(ASIDE), ...zeros(NUMBER, 1), { kind: 'lookup', set: SETS.tenants, from: ASIDE, to: ANSWER }],
    inPodNetworks: end => [...zeros(NUMBER, 1), ...end(ADDRESS), lookup(SETS.podNetworks, NUMBER)],
  };
}

/** NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED, in either direction. */
const KNOWN_STATES = 0x2 | 0x4;
const isEstablished: Rule = [
  { kind: 'ct', key: 'state', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: hostU32(KNOWN_STATES), xor: hostU32(0) },
  { kind: 'compare', from: 0, equal: false, octets: hostU32(0) },
];

const IPPROTO_ICMPV6 = 58;
const isDiscovery: readonly Expression[] = [
  { kind: 'meta', key: 'l4proto', to: 0 },
  { kind: 'compare', from: 0, equal: true, octets: [IPPROTO_ICMPV6] },
  { kind: 'payload', base: 'transport', offset: 0, length: 1, to: 0 },
  lookup(SETS.discovery, 0),
];
