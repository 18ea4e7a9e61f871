/** What one node means for this one: how packets get there, and what the kernel needs for it. Pure. */

import {
  addressBits,
  formatAddress,
  formatPrefix,
  prefixContains,
  sameAddress,
  type IpAddress,
} from '../../core/ip.js';
import type { WantedTunnelDevice } from '../../kernel/tunnels.js';
import { ip6TunnelName, IPIP_NAME, linkLocalOf, overlayAlias, overlayLladdr, vxlanName } from './overlayNames.js';
import { overlayOverhead, overlayPort } from './overlayOptions.js';
import type { ObjectKey, OverlayContext, OverlayNode, OverlayObject, PlannedWay, TunnelTerms } from './overlayTypes.js';

/** What one address of a node comes down to. */
export interface EndPlan {
  readonly address: IpAddress;
  readonly way: PlannedWay;
  /** Only for this node. */
  readonly objects: ReadonlyMap<ObjectKey, OverlayObject>;
}

const NOTHING: ReadonlyMap<ObjectKey, OverlayObject> = new Map();

/** The key of an object: its kind, and what the kernel tells it apart by. */
export function objectKey(object: OverlayObject): ObjectKey {
  switch (object.kind) {
    case 'fou':
      return `fou ${object.version} ${object.port}`;
    case 'device':
    case 'oddDevice':
      return deviceKey(object.device.name);
    case 'neighbour':
      return `neighbour ${object.device} ${formatAddress(object.address)}`;
    case 'forwarding':
      return `forwarding ${object.device} ${object.lladdr}`;
    case 'route':
      return `route ${formatPrefix(object.destination)}`;
    case 'rule':
      return `rule ${formatPrefix(object.source)}`;
  }
}

function deviceKey(name: string): ObjectKey {
  return `device ${name}`;
}

/** Both addresses of a node; none for this node itself, and none where we have no address of the family to send from. */
export function planNode(context: OverlayContext, node: OverlayNode): readonly EndPlan[] {
  if (node.name === context.own.name) return [];
  return [node.v4, node.v6].flatMap(address => {
    const local = address?.version === 4 ? context.own.v4 : context.own.v6;
    if (address === undefined || (local !== undefined && sameAddress(address, local))) return [];
    return [planEnd(context, node, address, local)];
  });
}

function planEnd(
  context: OverlayContext,
  node: OverlayNode,
  address: IpAddress,
  local: IpAddress | undefined,
): EndPlan {
  const { options, subnets } = context;
  const isNear = subnets.some(subnet => prefixContains(subnet, address));
  if (isNear && !(options.enabled && options.type === 'full'))
    return { address, way: { kind: 'direct' }, objects: NOTHING };
  if (!options.enabled || local === undefined) return { address, way: { kind: 'fabric' }, objects: NOTHING };
  const device = deviceTo(context, node, address, local);
  const lladdr = options.encapsulation === 'vxlan' ? overlayLladdr(address) : undefined;
  const gateway = gatewayOf(address, lladdr);
  const behind = keyed(lladdr === undefined ? [] : vxlanEntries(device.name, address, gateway, lladdr));
  const own = keyed(device.tunnel.kind === 'ip6tnl' ? [{ kind: 'device', device }] : []);
  const needs = [deviceKey(device.name), ...behind.map(([key]) => key)];
  const terms = termsFor(context, node, address.version);
  const way: PlannedWay = { kind: 'tunnel', device: device.name, gateway, terms, needs };
  const route = keyed([hostRoute(address, device.name, gateway, local)]);
  return { address, way, objects: new Map([...own, ...behind, ...route]) };
}

function keyed(objects: readonly OverlayObject[]): readonly (readonly [ObjectKey, OverlayObject])[] {
  return objects.map(object => [objectKey(object), object]);
}

/** The device that leads to the address, which it shares with others unless its kind has one other end only. */
function deviceTo(
  context: OverlayContext,
  node: OverlayNode,
  address: IpAddress,
  local: IpAddress,
): WantedTunnelDevice {
  const shared = sharedDevice(context, local);
  if (shared !== undefined) return shared;
  const gue = guePort(context);
  return {
    name: ip6TunnelName(address),
    alias: overlayAlias(`node ${node.name} (${formatAddress(address)})`),
    mtu: tunnelMtu(context, 6),
    up: true,
    tunnel: { kind: 'ip6tnl', local, remote: address, gue },
  };
}

/**
 * One device serves all nodes with VXLAN, whose forwarding table names the other ends, and with IPIP over IPv4, which takes
 * the gateway of the route for the other end. ip6tnl could do as IPIP does, but the kernel refuses IPv6 gateways through a
 * device that is not the one their address is routed through otherwise.
 * @returns undefined for encapsulations that need a device for each node
 */
function sharedDevice(context: OverlayContext, local: IpAddress): WantedTunnelDevice | undefined {
  const { options } = context;
  const { version } = local;
  const link = { alias: overlayAlias('all nodes'), mtu: tunnelMtu(context, version), up: true };
  if (options.encapsulation === 'vxlan') {
    const [vni, port] = [options.vni, overlayPort(options)];
    const lladdr = overlayLladdr(local);
    return { name: vxlanName(version, vni, port), ...link, tunnel: { kind: 'vxlan', vni, port, local, lladdr } };
  }
  if (version === 6) return undefined;
  return { name: IPIP_NAME, ...link, tunnel: { kind: 'ipip', local, gue: guePort(context) } };
}

/** Objects that serve all tunnels over one IP version, needed as long as there is one. */
export function sharedObjects(context: OverlayContext, version: 4 | 6): readonly OverlayObject[] {
  const { options, own } = context;
  const local = version === 4 ? own.v4 : own.v6;
  if (local === undefined) return [];
  const device = sharedDevice(context, local);
  const rules = own.podCidrs.filter(({ address }) => address.version === version);
  return [
    ...(options.encapsulation === 'fou' ? [{ kind: 'fou', version, port: overlayPort(options) } as const] : []),
    ...(device === undefined ? [] : [{ kind: 'device', device } as const]),
    ...rules.map(source => ({ kind: 'rule', source }) as const),
  ];
}

/** The tunnel's overhead is off; links with IPv6 have at least 1280 octets (RFC 8200). */
function tunnelMtu({ options, underlayMtu }: OverlayContext, version: 4 | 6): number {
  return (options.underlayMtu ?? underlayMtu[version]) - overlayOverhead(options.encapsulation, version);
}

/** A node that can take less than we can send makes itself felt in its routes. */
function termsFor(context: OverlayContext, { mtu }: OverlayNode, version: 4 | 6): TunnelTerms {
  const { own, options } = context;
  const theirs = mtu === undefined ? Infinity : mtu - overlayOverhead(options.encapsulation, version);
  return {
    source: { v4: own.v4, v6: own.v6 },
    mtu: theirs < tunnelMtu(context, version) ? theirs : null,
  };
}

/**
 * IPv4 routes name the node itself. Over IPv6 a link-local address stands for it in VXLAN: link-local gateways need no
 * route of their own, and may serve IPv4 routes too (RFC 8950).
 */
function gatewayOf(address: IpAddress, lladdr: string | undefined): IpAddress | null {
  if (address.version === 4) return address;
  return lladdr === undefined ? null : linkLocalOf(lladdr);
}

function vxlanEntries(
  device: string,
  remote: IpAddress,
  gateway: IpAddress | null,
  lladdr: string,
): readonly OverlayObject[] {
  return [
    { kind: 'forwarding', device, lladdr, remote },
    ...(gateway === null ? [] : [{ kind: 'neighbour', device, address: gateway, lladdr } as const]),
  ];
}

/** Pods reach the node's own address through the tunnel too: the network between may know nothing of pods. */
function hostRoute(
  address: IpAddress,
  device: string,
  gateway: IpAddress | null,
  source: IpAddress | undefined,
): OverlayObject {
  const bare: IpAddress = address.version === 4 ? address : { version: 6, words: address.words };
  return { kind: 'route', destination: { address: bare, length: addressBits(bare) }, device, gateway, source };
}

function guePort({ options }: OverlayContext): number | null {
  return options.encapsulation === 'fou' ? overlayPort(options) : null;
}
