/**
 * The short way of established connections as one nftables table: a flowtable, and a chain that puts connections into it
 * after everything else has seen their packet. What is in it is seen by no rule any more; hence what is left out:
 *
 * - connections that policies have cut, since what is cut must meet the rule that drops it;
 * - packets with a mark, which somebody routes otherwise (egress addresses), and the answers of connections, which are all
 *   that this hook sees of IPVS;
 * - UDP whose destination was translated: the proxy deletes such connections when an endpoint goes, which does not end at once
 *   what is in a flowtable.
 *
 * Pure.
 */

import { hostU32 } from '../../kernel/nftables/expressions.js';
import type { FlowtableShape } from '../../kernel/nftables/flowtables.js';
import { FAMILY_NUMBERS, type ChainShape, type SetShape, type TableName } from '../../kernel/nftables/messages.js';
import * as part from '../../kernel/nftables/ruleParts.js';
import type { OffloadLink, OffloadLinks } from './offloadLinks.js';

export const OFFLOAD_TABLE: TableName = { family: 'inet', name: 'peerage-offload' };

export interface OffloadSettings {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Bit of connections' marks that says: cut. Undefined: no connection is ever cut. */
  readonly cutBit: number | undefined;
}

export interface OffloadShape {
  readonly sets: readonly SetShape[];
  /** Members of each set, as octets. */
  readonly elements: ReadonlyMap<string, readonly string[]>;
  readonly flowtable: FlowtableShape;
  readonly chain: ChainShape;
}

const FLOWTABLE = 'established';
const SETS = { routed: 'routed', bridges: 'bridges' } as const;

/** After the chains of all others in the hook: those that drop have dropped. */
const LATE = 200;
/** Before chains of others at the device would see what those of another kind do not. */
const INGRESS_PRIORITY = 0;

/** @returns undefined where there is nothing to put on a short way */
export function offloadShape(settings: OffloadSettings, { routed, bridges }: OffloadLinks): OffloadShape | undefined {
  if (routed.length === 0 || !(settings.ipv4 || settings.ipv6)) return undefined;
  const octets = (links: readonly OffloadLink[]): readonly string[] =>
    links.map(({ index }) => String.fromCharCode(...hostU32(index)));
  return {
    sets: Object.values(SETS).map(name => ({ name, key: ['mark'] })),
    elements: new Map([
      [SETS.routed, octets(routed)],
      [SETS.bridges, octets(bridges)],
    ]),
    flowtable: {
      name: FLOWTABLE,
      priority: INGRESS_PRIORITY,
      devices: [...routed, ...bridges].map(({ name }) => name),
    },
    chain: part.hook('forward', 'filter', 'forward', LATE, [...exceptions(settings), ...ways()]),
  };
}

/** NF_CT_STATE_BIT(IP_CT_ESTABLISHED); IP_CT_DIR_ORIGINAL; IPS_DST_NAT. */
const [ESTABLISHED, ORIGINAL, DST_NAT] = [0x2, 0, 0x20];
const [TCP, UDP] = [6, 17];
const accept = part.plain('accept');

function exceptions({ ipv4, ipv6, cutBit }: OffloadSettings): readonly part.Rule[] {
  return [
    ...(ipv4 && ipv6 ? [] : [[...isOfFamily(ipv4 ? 'ip6' : 'ip'), accept]]),
    [
      { kind: 'ct', key: 'state', to: 0 },
      { kind: 'bitwise', from: 0, to: 0, mask: hostU32(ESTABLISHED), xor: hostU32(0) },
      { kind: 'compare', from: 0, equal: true, octets: hostU32(0) },
      accept,
    ],
    [{ kind: 'ct', key: 'direction', to: 0 }, { kind: 'compare', from: 0, equal: false, octets: [ORIGINAL] }, accept],
    ...(cutBit === undefined
      ? []
      : [[{ kind: 'ct' as const, key: 'mark' as const, to: 0 }, ...part.hasBit(0, (2 ** cutBit) >>> 0), accept]]),
    [{ kind: 'meta', key: 'mark', to: 0 }, { kind: 'compare', from: 0, equal: false, octets: hostU32(0) }, accept],
    [...isProtocol(UDP, true), { kind: 'ct', key: 'status', to: 0 }, ...part.hasBit(0, DST_NAT), accept],
    [...isProtocol(UDP, false), { kind: 'compare', from: 0, equal: false, octets: [TCP] }, accept],
  ];
}

function isOfFamily(family: 'ip' | 'ip6'): part.Rule {
  return [
    { kind: 'meta', key: 'nfproto', to: 0 },
    { kind: 'compare', from: 0, equal: true, octets: [FAMILY_NUMBERS[family]] },
  ];
}

function isProtocol(number: number, equal: boolean): part.Rule {
  return [
    { kind: 'meta', key: 'l4proto', to: 0 },
    { kind: 'compare', from: 0, equal, octets: [number] },
  ];
}

function ways(): readonly part.Rule[] {
  const between = (from: string, to: string): part.Rule => [
    { kind: 'meta', key: 'iif', to: 0 },
    part.lookup(from, 0),
    { kind: 'meta', key: 'oif', to: 0 },
    part.lookup(to, 0),
    { kind: 'offload', flowtable: FLOWTABLE },
  ];
  return [between(SETS.routed, SETS.routed), between(SETS.routed, SETS.bridges), between(SETS.bridges, SETS.routed)];
}
