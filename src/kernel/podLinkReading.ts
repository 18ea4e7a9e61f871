/** Asks the kernel for what {@link mapPodLinks} goes by, in the network namespace of the channel. Impure. */

import { addressBits, formatAddress, parseAddress } from '../core/ip.js';
import { decodeInterfaceAddress, type InterfaceAddress } from './addresses.js';
import { decodeLink, writeLinkDump } from './links.js';
import { lladdrText } from './lladdr.js';
import { decodeNeighbour, writeForwardingDump, writeNeighbourDump } from './neighbours.js';
import { dumpAll, NetlinkError, type NetlinkChannel } from './netlink/channel.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import { NetlinkWriter } from './netlink/writer.js';
import { mapPodLinks, type BridgeEntry, type HostLink, type PodLinkFacts, type PodLinks } from './podLinks.js';
import { RouteScan } from './routeScan.js';
import { routeOf, writeRouteQuery } from './routes.js';
import * as rt from './rtnetlink.js';

/**
 * Looks up the links of pods' addresses. It costs one question for each namespace behind a link, and one more for each
 * address that is in none of them.
 * @param addresses canonical text  @param before what was known. @see mapPodLinks
 * @returns links of those that were found; rejects with NetlinkError or SyscallError when the kernel cannot be asked
 */
export async function readPodLinks(
  channel: NetlinkChannel,
  addresses: Iterable<string>,
  before?: PodLinks,
): Promise<PodLinks> {
  const wanted = new Set(addresses);
  const links = await readHostLinks(channel);
  const inside = await readInside(channel, links);
  const bare: PodLinkFacts = { links, inside, routes: [], neighbours: [], forwarding: [] };
  const known = mapPodLinks(bare, before);
  const missing = [...wanted].filter(address => !known.has(address));
  const all = missing.length === 0 ? known : mapPodLinks({ ...bare, ...(await readSeen(channel, missing)) }, before);
  return new Map([...all].filter(([address]) => wanted.has(address)));
}

/** All links, with what is at their other ends. */
export function readHostLinks(channel: NetlinkChannel): Promise<readonly HostLink[]> {
  return dumpAll(channel, request(writeLinkDump), decodeHostLink);
}

/** @returns undefined when the message is no link of the ordinary kind or is cut short */
export function decodeHostLink(message: MessageCursor): HostLink | undefined {
  const link = decodeLink(message);
  if (link === undefined) return undefined;
  const { view, start, end } = message;
  let [kind, index, namespace] = ['', 0, -1];
  const attributes = new AttributeCursor().over(view, start + rt.IFINFOMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.IFLA_LINK) index = attributes.u32();
    else if (attributes.type === rt.IFLA_LINK_NETNSID) namespace = attributes.u32() | 0;
    else if (attributes.type === rt.IFLA_LINKINFO) {
      const info = new AttributeCursor().over(view, attributes.start, attributes.end);
      while (info.next()) if (info.type === rt.IFLA_INFO_KIND) kind = info.text();
    }
  }
  const { name, mtu, master, flags } = link;
  const up = (flags & rt.IFF_UP) !== 0;
  return { index: link.index, name, mtu, up, kind, master, peer: namespace < 0 ? null : { namespace, index } };
}

async function readInside(
  channel: NetlinkChannel,
  links: readonly HostLink[],
): Promise<ReadonlyMap<number, readonly InterfaceAddress[]>> {
  const inside = new Map<number, readonly InterfaceAddress[]>();
  for (const { peer } of links) {
    if (peer === null || inside.has(peer.namespace)) continue;
    const asked = request(writer => writeAddressDumpOf(writer, peer.namespace));
    inside.set(peer.namespace, await orNothing(dumpAll(channel, asked, decodeInterfaceAddress)));
  }
  return inside;
}

/** A request for all addresses of both families in another namespace (Linux 4.20 and later). */
function writeAddressDumpOf(writer: NetlinkWriter, namespace: number): void {
  writer.begin(rt.RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP);
  writer.u32(0);
  writer.u32(0);
  writer.attributeU32(rt.IFA_TARGET_NETNSID, namespace);
  writer.end();
}

async function readSeen(
  channel: NetlinkChannel,
  addresses: readonly string[],
): Promise<Pick<PodLinkFacts, 'routes' | 'neighbours' | 'forwarding'>> {
  const routes = [];
  for (const text of addresses) routes.push(...(await readHostRoute(channel, text)));
  return {
    routes,
    neighbours: await dumpAll(channel, request(writeNeighbourDump), decodeNeighbour),
    forwarding: await dumpAll(channel, request(writeForwardingDump), decodeBridgeEntry),
  };
}

/** A route to this address alone: one to a whole network would name the uplink. */
async function readHostRoute(channel: NetlinkChannel, text: string): Promise<PodLinkFacts['routes']> {
  const parsed = parseAddress(text);
  if (!parsed.ok) return [];
  const address = parsed.value;
  const scan = new RouteScan();
  const asked = request(writer => writeRouteQuery(writer, address, rt.RTM_F_FIB_MATCH));
  const answers = await orNothing(
    dumpAll(channel, asked, reply => (scan.read(reply) && scan.type === rt.RTN_UNICAST ? routeOf(scan) : undefined)),
  );
  return answers.flatMap(({ destination, hops }) =>
    destination.length === addressBits(address) && formatAddress(destination.address) === text
      ? hops.flatMap(({ gateway, ifindex }) => (gateway === null ? [{ address, ifindex }] : []))
      : [],
  );
}

/** @returns undefined when the message is no entry of a bridge's port or is cut short */
export function decodeBridgeEntry(message: MessageCursor): BridgeEntry | undefined {
  const { view, start, end } = message;
  if (end - start < rt.NDMSG || view.getUint8(start) !== rt.AF_BRIDGE) return undefined;
  let lladdr: string | undefined;
  let bridge: number | undefined;
  const attributes = new AttributeCursor().over(view, start + rt.NDMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.NDA_MASTER) bridge = attributes.u32();
    else if (attributes.type === rt.NDA_LLADDR)
      lladdr = lladdrText(message.octets.subarray(attributes.start, attributes.end));
  }
  if (attributes.malformed || lladdr === undefined || bridge === undefined) return undefined;
  return { port: view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN), bridge, lladdr };
}

/** A namespace may be gone by now, or not ours to look into; an address may have no route. */
async function orNothing<T>(asked: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof NetlinkError) return [];
    throw error;
  }
}

function request(write: (writer: NetlinkWriter) => void): NetlinkWriter {
  const writer = new NetlinkWriter(256);
  write(writer);
  return writer;
}
