/** The ways to holders of egress addresses as kernel objects: one VXLAN device, and for each holder a table that leads there. Pure. */

import { formatAddress, ipv4, type IpAddress } from '../../core/ip.js';
import { linkLocalOf, overlayLladdr } from '../../fib/overlay/overlayNames.js';
import type { WantedTunnelDevice } from '../../kernel/tunnels.js';
import type { EgressHolder } from '../../policy/egress/egressModel.js';
import { EGRESS_DEVICE, EGRESS_PORT, EGRESS_VNI } from '../../policy/egress/egressTable.js';

export type EgressWay =
  | { readonly kind: 'device'; readonly device: WantedTunnelDevice }
  /** Named as ours, and no such tunnel: it is replaced or removed. */
  | { readonly kind: 'oddDevice'; readonly text: string }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'neighbour'; readonly address: IpAddress; readonly lladdr: string }
  | { readonly kind: 'forwarding'; readonly lladdr: string; readonly remote: IpAddress }
  /** The default route of a holder's table. */
  | { readonly kind: 'route'; readonly version: 4 | 6; readonly slot: number; readonly gateway: IpAddress }
  /** From the mark to the table. */
  | { readonly kind: 'rule'; readonly version: 4 | 6; readonly slot: number };

/** Tables of holders follow this one's number. */
const FIRST_TABLE = 47_870_000;
/** Tried before the main table's rule (32766). */
export const EGRESS_RULE_PRIORITY = 4787;

export function tableOf(slot: number): number {
  return FIRST_TABLE + slot;
}

export function slotOfTable(table: number): number {
  return table - FIRST_TABLE;
}

/** By what a way is told from others. */
export function wayKey(way: EgressWay): string {
  switch (way.kind) {
    case 'device':
    case 'oddDevice':
      return 'device';
    case 'address':
      return `address ${formatAddress(way.address)}`;
    case 'neighbour':
      return `neighbour ${formatAddress(way.address)}`;
    case 'forwarding':
      return `forwarding ${way.lladdr}`;
    case 'route':
    case 'rule':
      return `${way.kind} ${way.version} ${way.slot}`;
  }
}

export interface OwnEnd {
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  /** Octets of a packet on the way to other nodes. */
  readonly mtu: number;
}

/**
 * A link without any IPv4 address takes in nothing whose way back is another link, not even with a loose reverse path filter
 * (fib_validate_source): this one, link-local and the same everywhere, is never a source or a destination.
 */
const ADDRESS: EgressWay = { kind: 'address', address: ipv4(0xa9fe_2f57) };

/** Outer headers: Ethernet, VXLAN, UDP and IPv4 or IPv6. */
const OVERHEAD = { 4: 50, 6: 70 } as const;
/** RFC 8200 section 5: less, and the device could not carry IPv6. */
const LEAST_MTU = 1280;

/** @returns nothing for a node without an address: it reaches nobody */
export function egressWays(own: OwnEnd, holders: ReadonlyMap<string, EgressHolder>): ReadonlyMap<string, EgressWay> {
  const local = own.v4 ?? own.v6;
  if (local === undefined) return new Map();
  const device: WantedTunnelDevice = {
    name: EGRESS_DEVICE,
    alias: 'peerage: to holders of egress addresses',
    mtu: Math.max(own.mtu - OVERHEAD[local.version], LEAST_MTU),
    up: true,
    tunnel: { kind: 'vxlan', vni: EGRESS_VNI, port: EGRESS_PORT, local, lladdr: overlayLladdr(local) },
  };
  const ways: readonly EgressWay[] = [
    { kind: 'device', device },
    ADDRESS,
    ...[...holders.values()].flatMap(h => waysTo(local.version, h)),
  ];
  return new Map(ways.map(way => [wayKey(way), way]));
}

function waysTo(outer: 4 | 6, { slot, v4, v6 }: EgressHolder): readonly EgressWay[] {
  const remote = outer === 4 ? v4 : v6;
  if (remote === undefined) return [];
  const lladdr = overlayLladdr(remote);
  const gateway6 = linkLocalOf(lladdr);
  const inner4: readonly EgressWay[] =
    v4 === undefined
      ? []
      : [
          { kind: 'neighbour', address: v4, lladdr },
          { kind: 'route', version: 4, slot, gateway: v4 },
          { kind: 'rule', version: 4, slot },
        ];
  return [
    { kind: 'forwarding', lladdr, remote },
    ...inner4,
    { kind: 'neighbour', address: gateway6, lladdr },
    { kind: 'route', version: 6, slot, gateway: gateway6 },
    { kind: 'rule', version: 6, slot },
  ];
}
