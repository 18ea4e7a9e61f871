/** What the overlay is told, what it wants of the kernel, and what it answers about a next hop. */

import type { IpAddress, IpPrefix } from '../../core/ip.js';
import type { WantedTunnelDevice, TunnelDevice } from '../../kernel/tunnels.js';
import type { OverlayOptions } from './overlayOptions.js';

/** A node of the cluster, as far as packets to it go. */
export interface OverlayNode {
  readonly name: string;
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  /** Most octets of a packet on its link to the network, where it says so. */
  readonly mtu?: number | undefined;
}

/** This machine. */
export interface OverlayOwnNode extends OverlayNode {
  readonly podCidrs: readonly IpPrefix[];
}

/** Everything that decides over ways and devices, apart from the nodes themselves. */
export interface OverlayContext {
  readonly options: OverlayOptions;
  readonly own: OverlayOwnNode;
  /** Networks that links of ours are on. */
  readonly subnets: readonly IpPrefix[];
  /** Octets of a packet on the network between the nodes, by IP version of our own address. */
  readonly underlayMtu: Readonly<Record<4 | 6, number>>;
}

/** A thing of ours in the kernel. Devices go by name: their numbers are the kernel's affair. */
export type OverlayObject =
  | { readonly kind: 'fou'; readonly version: 4 | 6; readonly port: number }
  | { readonly kind: 'device'; readonly device: WantedTunnelDevice }
  /** Named as one of ours, and nothing that we would make: it is replaced or removed. */
  | { readonly kind: 'oddDevice'; readonly device: TunnelDevice }
  | { readonly kind: 'neighbour'; readonly device: string; readonly address: IpAddress; readonly lladdr: string }
  | { readonly kind: 'forwarding'; readonly device: string; readonly lladdr: string; readonly remote: IpAddress }
  /** In the overlay's own table. */
  | {
      readonly kind: 'route';
      readonly destination: IpPrefix;
      readonly device: string;
      readonly gateway: IpAddress | null;
      readonly source: IpAddress | undefined;
    }
  | { readonly kind: 'rule'; readonly source: IpPrefix };

/** By what an object is told from others; one object takes the place of another with the same key. */
export type ObjectKey = string;

/** What routes through a tunnel say besides where they lead. */
export interface TunnelTerms {
  /** Source of packets of this machine's own, by IP version of the route. */
  readonly source: { readonly v4: IpAddress | undefined; readonly v6: IpAddress | undefined };
  /** Most octets of a packet; null: as many as the device takes. */
  readonly mtu: number | null;
}

/** How packets get to a node. */
export type PlannedWay =
  | { readonly kind: 'direct' }
  /** We have no say in it. */
  | { readonly kind: 'fabric' }
  | {
      readonly kind: 'tunnel';
      readonly device: string;
      /** Null: the device has one other end only. */
      readonly gateway: IpAddress | null;
      readonly terms: TunnelTerms;
      /** Must stand in the kernel before packets go this way. */
      readonly needs: readonly ObjectKey[];
    };
