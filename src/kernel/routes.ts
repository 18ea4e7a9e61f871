/** Kernel routes as values, and how they are written to and asked of rtnetlink. */

import { addressBits, ipv4, type IpAddress, type IpPrefix } from '../core/ip.js';
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST } from './netlink/numbers.js';
import type { NetlinkWriter } from './netlink/writer.js';
import type { RouteScan } from './routeScan.js';
import * as rt from './rtnetlink.js';

/** One way out. Without a gateway the destination itself is on the link. */
export interface RouteHop {
  readonly gateway: IpAddress | null;
  readonly ifindex: number;
  /** The gateway is taken to be on the link although no address of ours says so. */
  readonly onlink: boolean;
  /** Share of the traffic among several hops, 1 to 256. */
  readonly weight: number;
}

export type RouteType = 'unicast' | 'local' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';

export interface Route {
  readonly destination: IpPrefix;
  readonly table: number;
  /** RTPROT_*: who put it there. */
  readonly protocol: number;
  readonly type: RouteType;
  /** RTA_PRIORITY. The kernel reads 0 for IPv6 as 1024. */
  readonly metric: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  readonly hops: readonly RouteHop[];
  /** Source address for packets of this machine's own. */
  readonly source?: IpAddress;
  /** Most octets of a packet; absent: as many as the link takes. */
  readonly mtu?: number;
}

/**
 * `create` fails with EEXIST when the destination has a route of the same metric, whoever's it is; `replace` puts this
 * route in the place of that one in a single step and fails with ENOENT when there is none.
 */
export type RouteCommand = 'create' | 'replace' | 'delete';

const FLAGS: Readonly<Record<RouteCommand, number>> = {
  create: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL,
  replace: NLM_F_REQUEST | NLM_F_REPLACE,
  delete: NLM_F_REQUEST,
};

const TYPES: Readonly<Record<Exclude<RouteType, 'other'>, number>> = {
  unicast: rt.RTN_UNICAST,
  local: rt.RTN_LOCAL,
  blackhole: rt.RTN_BLACKHOLE,
  unreachable: rt.RTN_UNREACHABLE,
  prohibit: rt.RTN_PROHIBIT,
};
const TYPE_NAMES = new Map<number, RouteType>(
  Object.entries(TYPES).flatMap(([name, number]) => (isRouteType(name) ? [[number, name]] : [])),
);

function isRouteType(name: string): name is keyof typeof TYPES {
  return name in TYPES;
}

/** Starts a route message: everything before RTA_DST. `flags` are RTNH_F_* of a route with a single hop. */
export function beginRoute(
  writer: NetlinkWriter,
  command: RouteCommand,
  family: rt.AddressFamily,
  length: number,
  table: number,
  protocol: number,
  type: number,
  flags: number,
): void {
  const deleting = command === 'delete';
  writer.begin(deleting ? rt.RTM_DELROUTE : rt.RTM_NEWROUTE, FLAGS[command]);
  writer.u8x4(family, length, 0, 0);
  // A delete names no scope and no type: it shall find the route whatever they are.
  const widest = type === rt.RTN_LOCAL ? rt.RT_SCOPE_HOST : rt.RT_SCOPE_UNIVERSE;
  const scope = deleting ? rt.RT_SCOPE_NOWHERE : widest;
  writer.u8x4(table < 256 ? table : 0, protocol, scope, deleting ? rt.RTN_UNSPEC : type);
  writer.u32(flags);
  if (table >= 256) writer.attributeU32(rt.RTA_TABLE, table);
}

/** Writes where a route leads: RTA_GATEWAY or RTA_VIA with RTA_OIF for one hop, RTA_MULTIPATH for several. */
export function writeHops(writer: NetlinkWriter, family: rt.AddressFamily, hops: readonly RouteHop[]): void {
  const [only] = hops;
  if (hops.length === 1 && only !== undefined) {
    writeGateway(writer, family, only.gateway);
    writer.attributeU32(rt.RTA_OIF, only.ifindex);
    return;
  }
  const multipath = writer.beginNested(rt.RTA_MULTIPATH, false);
  for (const hop of hops) {
    const at = writer.length;
    writer.u8x4(0, 0, hop.onlink ? rt.RTNH_F_ONLINK : 0, hop.weight - 1);
    writer.u32(hop.ifindex);
    writeGateway(writer, family, hop.gateway);
    writer.endNested(at);
  }
  writer.endNested(multipath);
}

/** RTNH_F_* that belong into `rtm_flags` rather than into a hop of RTA_MULTIPATH. */
export function singleHopFlags(hops: readonly RouteHop[]): number {
  return hops.length === 1 && hops[0]?.onlink === true ? rt.RTNH_F_ONLINK : 0;
}

/** Writes a whole route message. A `delete` goes by destination, table, protocol and metric, and for local routes by link. */
export function writeRoute(writer: NetlinkWriter, command: RouteCommand, route: Route): void {
  const { address, length } = route.destination;
  const family = address.version === 4 ? rt.AF_INET : rt.AF_INET6;
  const type = route.type === 'other' ? rt.RTN_UNSPEC : TYPES[route.type];
  beginRoute(writer, command, family, length, route.table, route.protocol, type, singleHopFlags(route.hops));
  writeAddress(writer, rt.RTA_DST, address);
  if (route.metric !== 0) writer.attributeU32(rt.RTA_PRIORITY, route.metric);
  if (command !== 'delete') {
    if (route.source !== undefined) writeAddress(writer, rt.RTA_PREFSRC, route.source);
    if (route.mtu !== undefined) writeMtu(writer, family, route.mtu);
    if (route.hops.length > 0) writeHops(writer, family, route.hops);
  } else if (route.type === 'local' && route.hops.length > 0) {
    // The same address may be on another link too, with a route of the kernel's own.
    writeHops(writer, family, route.hops);
  }
  writer.end();
}

/**
 * The only metric that routes of ours may have. For IPv6 it is locked, since the kernel forwards by locked ones only; for
 * IPv4 it is not, since then packets of the machine's own would go without Don't Fragment.
 */
export function writeMtu(writer: NetlinkWriter, family: rt.AddressFamily, mtu: number): void {
  const metrics = writer.beginNested(rt.RTA_METRICS, false);
  if (family === rt.AF_INET6) writer.attributeU32(rt.RTAX_LOCK, 1 << rt.RTAX_MTU);
  writer.attributeU32(rt.RTAX_MTU, mtu);
  writer.endNested(metrics);
}

/**
 * A request for all routes of a family.
 * @param table only this one (the kernel filters); absent: all tables
 * @param protocol only routes of this one, where the kernel can tell (Linux 4.20 and later); absent: everybody's
 */
export function writeRouteDump(
  writer: NetlinkWriter,
  family: rt.AddressFamily,
  table?: number,
  protocol: number = rt.RTPROT_UNSPEC,
): void {
  writer.begin(rt.RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP);
  writer.u8x4(family, 0, 0, 0);
  writer.u8x4(0, protocol, 0, 0);
  writer.u32(0);
  if (table !== undefined) writer.attributeU32(rt.RTA_TABLE, table);
  writer.end();
}

/**
 * Asks by which route a packet of this machine's to the address would go; the answer is one route, marked as cloned.
 * @param flags RTM_F_FIB_MATCH: the answer is the very route of the table instead, with the prefix it is for
 */
export function writeRouteQuery(writer: NetlinkWriter, address: IpAddress, flags = 0): void {
  writer.begin(rt.RTM_GETROUTE, NLM_F_REQUEST);
  writer.u8x4(address.version === 4 ? rt.AF_INET : rt.AF_INET6, addressBits(address), 0, 0);
  writer.u8x4(0, rt.RTPROT_UNSPEC, 0, 0);
  writer.u32(flags);
  writeAddress(writer, rt.RTA_DST, address);
  writer.end();
}

/** The scanned message as a value of its own. */
export function routeOf(scan: RouteScan): Route {
  const hops: RouteHop[] = [];
  for (let i = 0; i < scan.hopCount; i++) {
    hops.push({
      gateway: scan.hopFamily[i] === 0 ? null : addressOf(scan.hopFamily[i]!, scan.hopGateway, i * 4),
      ifindex: scan.hopIfindex[i]!,
      onlink: (scan.hopFlags[i]! & rt.RTNH_F_ONLINK) !== 0,
      weight: scan.hopWeight[i]!,
    });
  }
  return {
    destination: { address: addressOf(scan.family, scan.destination, 0), length: scan.length },
    table: scan.table,
    protocol: scan.protocol,
    type: TYPE_NAMES.get(scan.type) ?? 'other',
    metric: scan.metric,
    scope: scan.scope,
    hops,
    ...(scan.hasSource ? { source: addressOf(scan.family, scan.source, 0) } : {}),
    ...(scan.mtu === 0 ? {} : { mtu: scan.mtu }),
  };
}

/** One or four words of a column as an address. */
export function addressOf(family: number, words: Uint32Array, at: number): IpAddress {
  if (family === rt.AF_INET) return ipv4(words[at]!);
  return { version: 6, words: [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!] };
}

/** An attribute that holds an address in network order. */
export function writeAddress(writer: NetlinkWriter, type: number, address: IpAddress): void {
  writer.attributeHead(type, address.version === 4 ? 4 : 16);
  appendAddress(writer, address);
}

function appendAddress(writer: NetlinkWriter, address: IpAddress): void {
  if (address.version === 4) writer.addressWord(address.value);
  else for (const word of address.words) writer.addressWord(word);
}

function writeGateway(writer: NetlinkWriter, family: rt.AddressFamily, gateway: IpAddress | null): void {
  if (gateway === null) return;
  const sameFamily = (gateway.version === 4) === (family === rt.AF_INET);
  if (sameFamily) writeAddress(writer, rt.RTA_GATEWAY, gateway);
  else writer.attributeOctets(rt.RTA_VIA, viaOctets(gateway));
}

/** `struct rtvia`: the family in host order, then the address. */
function viaOctets(gateway: IpAddress): Uint8Array {
  const words = gateway.version === 4 ? [gateway.value] : gateway.words;
  const octets = new Uint8Array(2 + words.length * 4);
  octets.set(new Uint8Array(new Uint16Array([gateway.version === 4 ? rt.AF_INET : rt.AF_INET6]).buffer));
  const view = new DataView(octets.buffer);
  words.forEach((word, i) => view.setUint32(2 + i * 4, word, false));
  return octets;
}
