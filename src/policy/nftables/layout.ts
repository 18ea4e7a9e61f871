/**
 * What of the policy table depends on no policy. A packet is judged after its destination was translated and before its
 * source is, where forwarded packets, those of IPVS and the node's own all come by: first at the pod that sends, in one
 * chain of the hook, then at the pod that receives, in the next, since `accept` ends the chain of one hook only. What pods
 * send to the node itself is judged where it comes in, after IPVS has taken what is for a service of it.
 *
 * `pods` says which profiles an address of this node has, and two maps of profiles which chain each is: elements that change
 * with every pod name no chains, since the kernel walks all rules again whenever an element that does is added.
 */

import type { ChainShape, SetShape } from '../../kernel/nftables/messages.js';
import type { UserType } from '../../kernel/nftables/numbers.js';
import * as part from '../../kernel/nftables/ruleParts.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { hostU32, type Expression } from '../../kernel/nftables/expressions.js';
import { elementKey, type ElementKey } from '../../kernel/nftables/elements.js';
import type { DenialCause, FirewallSettings } from '../policyFirewall.js';
import type { Direction } from '../policyTypes.js';
import { denialChain, DENIALS, hasConnectionMark, type Decision, type PolicyChain } from './chains.js';
import { digestOf } from './contentNames.js';

export const TABLE = 'peerage-policy';

export const SETS = {
  /** Address of a pod of this node → 0 . profile as sender . profile as receiver. */
  pods: 'pods',
  /** Profile as sender → goto its chain. Two maps, since the kernel walks from each hook to all that its maps lead to. */
  senders: 'senders',
  /** Profile as receiver → goto its chain. */
  receivers: 'receivers',
  /** pod . pod: nothing stands between a pod and itself. */
  loops: 'loops',
  /** Pod . decision, made by packets, which it counts. */
  denials: DENIALS,
} as const;

/** Before source NAT, which is at 100; in the hook `input` IPVS ends at 99. */
const [SENDING, RECEIVING, TO_NODE] = [95, 96, 101] as const;
/** After services' addresses have become endpoints' (-100). */
const ARRIVING = -90;

/** Of addresses and reasons; beyond that denied packets are not counted. */
const MOST_DENIALS = 1 << 16;

/** Where profiles lead to their chains. */
export const PROFILE_SETS: Readonly<Record<Direction, string>> = { egress: SETS.senders, ingress: SETS.receivers };

/** What governs nothing. */
export const OPEN = '\0'.repeat(8);
const CLOSED: Readonly<Record<Direction, string>> = {
  egress: `${'\xff'.repeat(7)}\x01`,
  ingress: `${'\xff'.repeat(7)}\x02`,
};
/** Value of a pod in `pods` whose policies could not be written. */
export const CLOSED_POD = podValue(CLOSED.egress, CLOSED.ingress);

/** Value of an element of `pods`. */
export function podValue(egress: string, ingress: string): string {
  return `\0\0\0\0${egress}${ingress}`;
}

export interface Layout {
  readonly sets: readonly SetShape[];
  readonly chains: readonly ChainShape[];
  /** Elements that depend on no policy. */
  readonly elements: ReadonlyMap<ElementKey, string>;
  /** Reasons to drop that no policy gives. */
  readonly decisions: readonly Decision[];
}

export type LayoutSettings = Pick<FirewallSettings, 'defaultDeny' | 'podCidrs' | 'cutBit' | 'log'>;

/** Differs when anything that is written for a policy would differ; a table of another fingerprint is replaced whole. */
export function fingerprintOf(layout: Layout, { log }: LayoutSettings): string {
  return digestOf([layout.sets, layout.chains, [...layout.elements], log ?? null]);
}

export function layoutOf(family: Family, settings: LayoutSettings): Layout {
  const address: UserType = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const [closed, unknown] = (['closed', 'unknown'] as const).map(kind => drops({ kind }, family, settings));
  return {
    sets: [
      { name: SETS.pods, key: [address], data: ['mark', 'mark', 'mark', 'mark', 'mark'] },
      { name: SETS.senders, key: ['mark', 'mark'], data: 'verdict' },
      { name: SETS.receivers, key: ['mark', 'mark'], data: 'verdict' },
      { name: SETS.loops, key: [address, address] },
      { name: SETS.denials, key: [address, 'mark', 'mark'], dynamic: MOST_DENIALS, counted: true },
    ],
    chains: [
      ...[...Object.values(closed!), ...Object.values(unknown!)].map(({ name, rules }) => ({ name, rules })),
      closedChain('egress', closed!.egress),
      closedChain('ingress', closed!.ingress),
      ...hookChains(family, settings, unknown!),
    ],
    elements: new Map([
      [elementKey(SETS.senders, CLOSED.egress), 'goto closed-egress'],
      [elementKey(SETS.receivers, CLOSED.ingress), 'goto closed-ingress'],
    ]),
    decisions: [closed!, unknown!].flatMap(({ egress, ingress }) => [egress.decision!, ingress.decision!]),
  };
}

type Drops = Readonly<Record<Direction, PolicyChain>>;

function drops(cause: DenialCause, family: Family, { log }: LayoutSettings): Drops {
  const chain = (direction: Direction): PolicyChain =>
    denialChain({ digest: digestOf([direction, cause]), direction, cause }, family, log);
  return { egress: chain('egress'), ingress: chain('ingress') };
}

/** The node's probes go on: a pod that cannot be reached by its node is restarted. */
function closedChain(direction: Direction, { name }: PolicyChain): ChainShape {
  const probes = direction === 'ingress' ? [[...part.isLocal('saddr'), part.plain('accept')]] : [];
  return { name: `closed-${direction}`, rules: [...probes, [part.to('goto', name)]] };
}

function hookChains(family: Family, settings: LayoutSettings, unknown: Drops): readonly ChainShape[] {
  const { cutBit } = settings;
  const cut = cutBit === undefined ? [] : [[...hasConnectionMark(cutBit), part.plain('drop')]];
  const known = [
    [...isEstablished, part.plain('accept')],
    ...(family === 6 ? [[...isNeighborDiscovery, part.plain('accept')]] : []),
  ];
  const self = [[...loadBoth(family), part.lookup(SETS.loops, 0), part.plain('accept')]];
  const egress = judged('egress', family, settings, unknown);
  const ingress = judged('ingress', family, settings, unknown);
  return [
    part.hook('sending', 'filter', 'postrouting', SENDING, [...cut, ...known, ...self, ...egress]),
    part.hook('receiving', 'filter', 'postrouting', RECEIVING, [...known, ...self, ...ingress]),
    part.hook('to-node', 'filter', 'input', TO_NODE, [...cut, ...known, ...egress]),
    ...(family === 6
      ? [part.hook('arriving', 'filter', 'prerouting', ARRIVING, [...known, ...imposture(settings)])]
      : []),
  ];
}

/**
 * Rules trust a source address that is the node's: what comes in by a link cannot have it. IPv4 sees to that by itself
 * (martians), IPv6 does not. What is for the node may be for a service that IPVS has there.
 */
function imposture({ defaultDeny, podCidrs }: LayoutSettings): readonly part.Rule[] {
  const isForPod: part.Rule = [...part.loadDestination(6, 0), { kind: 'lookup', set: SETS.pods, from: 0, to: ANSWER }];
  const forUnknown = defaultDeny ? part.ofFamily(podCidrs, 6).map(cidr => part.inPrefix('daddr', cidr)) : [];
  return [isForPod, part.isLocal('daddr'), ...forUnknown].map(isOurs => [
    ...part.notLooped,
    ...isOurs,
    ...part.isLocal('saddr'),
    part.plain('drop'),
  ]);
}

function loadBoth(family: Family): part.Rule {
  return [...part.loadSource(family, 0), ...part.loadDestination(family, part.addressSize(family))];
}

/**
 * Registers of what `pods` says of an address. nft(8) up to 1.0.9 aborts when it lists a key that begins where a map's answer
 * does, and goes by what was last put into a register by number: hence the answer's first word that nobody reads, and zeros
 * where the key will be.
 */
const ANSWER = 4;
const PROFILES: Readonly<Record<Direction, number>> = { egress: ANSWER + 1, ingress: ANSWER + 3 };
const PROFILE_REGISTERS = 2;

function judged(
  direction: Direction,
  family: Family,
  { defaultDeny, podCidrs }: LayoutSettings,
  unknown: Drops,
): readonly part.Rule[] {
  const which = direction === 'egress' ? 'saddr' : 'daddr';
  const load = direction === 'egress' ? part.loadSource(family, 0) : part.loadDestination(family, 0);
  const findProfile: part.Rule = [
    ...load,
    ...part.zeros(PROFILES[direction], PROFILE_REGISTERS),
    { kind: 'lookup', set: SETS.pods, from: 0, to: ANSWER },
    part.vmap(PROFILE_SETS[direction], PROFILES[direction]),
  ];
  if (!defaultDeny) return [findProfile];
  // The chain ends for who is known: kernels before Linux 6.5 cannot ask a map whether a key is missing. nft(8), which shows no
  // lookup whose answer nobody reads, lists a bare `return`.
  const known: part.Rule = [...load, { kind: 'lookup', set: SETS.pods, from: 0, to: ANSWER }, part.plain('return')];
  // The node itself has an address among its pods', and reaches whoever has one of the others.
  const exempt = direction === 'egress' ? [] : notLocal('saddr');
  const deny = part
    .ofFamily(podCidrs, family)
    .map(cidr => [
      ...part.inPrefix(which, cidr),
      ...notLocal(which),
      ...exempt,
      part.to('goto', unknown[direction].name),
    ]);
  return [findProfile, known, ...deny];
}

const RTN_LOCAL = 2;
const notLocal = (of: 'saddr' | 'daddr'): part.Rule => [
  { kind: 'fibType', of, to: 0 },
  { kind: 'compare', from: 0, equal: false, octets: hostU32(RTN_LOCAL) },
];

/** NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED. */
const isEstablished: part.Rule = [{ kind: 'ct', key: 'state', to: 0 }, ...part.hasBit(0, 0x2 | 0x4)];

/** RFC 4861: router and neighbour solicitations and advertisements, redirects. Without them there is no IPv6 at all. */
const isNeighborDiscovery: readonly Expression[] = [
  { kind: 'meta', key: 'l4proto', to: 0 },
  { kind: 'compare', from: 0, equal: true, octets: [58] },
  { kind: 'payload', base: 'transport', offset: 0, length: 1, to: 0 },
  { kind: 'range', from: 0, first: [133], last: [137] },
];
