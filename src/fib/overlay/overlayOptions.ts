/** What can be said of the overlay: which nodes are reached through tunnels, and what those are made of. */

export type Encapsulation = 'ipip' | 'fou' | 'vxlan';

export interface OverlayOptions {
  /** False: routes only to nodes in subnets of our own; how packets get to others is left to the network. */
  readonly enabled: boolean;
  /** `subnet`: tunnels only to nodes that are in none of our own subnets; `full`: to all. */
  readonly type: 'subnet' | 'full';
  /** `fou` is IPIP in GUE (Generic UDP Encapsulation) in UDP, as in kube-router. */
  readonly encapsulation: Encapsulation;
  /** UDP port of `fou` and `vxlan`; null: 5555 and 4789 (RFC 7348). */
  readonly port: number | null;
  /** VXLAN network identifier, 0 to 2^24-1. */
  readonly vni: number;
  /** Most octets of a packet on the network between the nodes; null: what the link with the node's address can. */
  readonly underlayMtu: number | null;
}

export const DEFAULT_OVERLAY: OverlayOptions = {
  enabled: true,
  type: 'subnet',
  encapsulation: 'ipip',
  port: null,
  vni: 186,
  underlayMtu: null,
};

/** Routing table of routes to other nodes' own addresses, for packets of pods. */
export const OVERLAY_TABLE = 186;
/** Of the rules that send packets of pods to that table: before the main table's 32766. */
export const OVERLAY_RULE_PRIORITY = 32_186;

const DEFAULT_PORT: Readonly<Record<Encapsulation, number>> = { ipip: 0, fou: 5555, vxlan: 4789 };

/** UDP port in use; 0 where there is none. */
export function overlayPort({ encapsulation, port }: Pick<OverlayOptions, 'encapsulation' | 'port'>): number {
  return encapsulation === 'ipip' ? 0 : (port ?? DEFAULT_PORT[encapsulation]);
}

const IP_HEADER: Readonly<Record<4 | 6, number>> = { 4: 20, 6: 40 };
/**
 * Octets behind the outer IP header: UDP 8 and GUE 4 (draft-ietf-intarea-gue, no options), or UDP 8, VXLAN 8 and the inner
 * Ethernet header 14 (RFC 7348).
 */
const BEHIND_IP: Readonly<Record<Encapsulation, number>> = { ipip: 0, fou: 8 + 4, vxlan: 8 + 8 + 14 };

/** Octets that the tunnel adds to each packet. @param version of the outer packet */
export function overlayOverhead(encapsulation: Encapsulation, version: 4 | 6): number {
  return IP_HEADER[version] + BEHIND_IP[encapsulation];
}

/**
 * Octets that pods' links must leave free for tunnels: the most that any of them adds; 0 without an overlay.
 * @param versions IP versions of the node's own addresses
 */
export function reservedForOverlay(options: OverlayOptions, versions: readonly (4 | 6)[]): number {
  if (!options.enabled) return 0;
  return Math.max(0, ...versions.map(version => overlayOverhead(options.encapsulation, version)));
}
