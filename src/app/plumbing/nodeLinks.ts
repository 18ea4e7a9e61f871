/** Reads what links and addresses the node has, as far as its plumbing depends on them. Impure. */

import { formatAddress, sameAddress, type IpAddress } from '../../core/ip.js';
import { reservedForOverlay } from '../../fib/overlay/overlayOptions.js';
import { isOverlayDevice } from '../../fib/overlay/overlayNames.js';
import { UnderlayReader } from '../../fib/overlay/underlay.js';
import { decodeInterfaceAddress, writeAddressDump, type InterfaceAddress } from '../../kernel/addresses.js';
import { decodeBridge, type FoundBridge } from '../../kernel/bridge.js';
import { decodeLink, writeLinkDump, type Link } from '../../kernel/links.js';
import { dumpAll, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { writeRouteDump } from '../../kernel/routes.js';
import { AF_INET, AF_INET6, IFF_LOOPBACK, RT_TABLE_MAIN, RTPROT_BGP } from '../../kernel/rtnetlink.js';
import { decodeTunnelDevice } from '../../kernel/tunnels.js';
import type { NodePlumbingOptions } from './plumbingOptions.js';

export interface NodeLinks {
  readonly links: readonly Link[];
  readonly bridges: readonly FoundBridge[];
  /** Names of the overlay's devices. */
  readonly tunnels: readonly string[];
  readonly addresses: readonly InterfaceAddress[];
  /** Most octets of a packet from this address of the node to other nodes. */
  mtuFor(own: IpAddress): number;
}

/** @returns rejects with NetlinkError or SyscallError when the kernel cannot be asked */
export async function readNodeLinks(channel: NetlinkChannel, own: readonly IpAddress[]): Promise<NodeLinks> {
  const found = await dumpAll(channel, request(writeLinkDump), message => {
    const link = decodeLink(message);
    return link && { link, bridge: decodeBridge(message), tunnel: decodeTunnelDevice(message) };
  });
  const addresses = await dumpAll(channel, request(writeAddressDump), decodeInterfaceAddress);
  const links = found.map(({ link }) => link);
  const underlay = new UnderlayReader(RTPROT_BGP);
  underlay.interfaces(links, addresses);
  if (own.some(address => isOnLoopback(address, links, addresses))) await readGateways(channel, underlay);
  const known = underlay.changed();
  return {
    links,
    bridges: found.flatMap(({ bridge }) => bridge ?? []),
    tunnels: found.flatMap(({ tunnel }) => (tunnel !== undefined && isOverlayDevice(tunnel) ? [tunnel.name] : [])),
    addresses,
    mtuFor: address => known?.mtuFor(address) ?? 0,
  };
}

function isOnLoopback(own: IpAddress, links: readonly Link[], addresses: readonly InterfaceAddress[]): boolean {
  const loopbacks = links.filter(({ flags }) => (flags & IFF_LOOPBACK) !== 0).map(({ index }) => index);
  return addresses.some(({ ifindex, address }) => loopbacks.includes(ifindex) && sameAddress(address, own));
}

/** A node whose address is on its loopback reaches others through links with gateways, and only routes tell which. */
async function readGateways(channel: NetlinkChannel, underlay: UnderlayReader): Promise<void> {
  const scan = new RouteScan();
  for (const family of [AF_INET, AF_INET6] as const) {
    await channel.dump(
      request(writer => writeRouteDump(writer, family, RT_TABLE_MAIN)),
      message => {
        if (scan.read(message) && !scan.cloned) underlay.readRoute(scan);
      },
    );
  }
}

function request(write: (writer: NetlinkWriter) => void): NetlinkWriter {
  const writer = new NetlinkWriter(256);
  write(writer);
  return writer;
}

/** Octets of a packet between pods of different nodes; null: not for us to say. */
export function podMtu(
  { mtu, overlay }: Pick<NodePlumbingOptions, 'mtu' | 'overlay'>,
  own: readonly IpAddress[],
  mtuFor: (own: IpAddress) => number,
): number | null {
  if (mtu === 'keep') return null;
  if (mtu !== 'auto') return mtu;
  const reserved = reservedForOverlay(
    overlay,
    own.map(({ version }) => version),
  );
  return own.length === 0 ? null : (overlay.underlayMtu ?? Math.min(...own.map(mtuFor))) - reserved;
}

/** Names of links that have one of these addresses. */
export function linksWith({ links, addresses }: NodeLinks, own: readonly IpAddress[]): readonly string[] {
  const texts = new Set(own.map(formatAddress));
  const indices = addresses.filter(({ address }) => texts.has(formatAddress(address))).map(({ ifindex }) => ifindex);
  return links
    .filter(({ index, flags }) => indices.includes(index) && (flags & IFF_LOOPBACK) === 0)
    .map(({ name }) => name);
}

/** IFA_F_PERMANENT (linux/if_addr.h): the address does not expire. */
const PERMANENT = 0x80;

/** Names of links with an IPv6 address that expires: a router told it. */
export function linksWithExpiringAddresses({ links, addresses }: NodeLinks): readonly string[] {
  const indices = addresses
    .filter(({ address, flags, scope }) => address.version === 6 && scope === 0 && (flags & PERMANENT) === 0)
    .map(({ ifindex }) => ifindex);
  return links.filter(({ index }) => indices.includes(index)).map(({ name }) => name);
}
