/** Tunnel devices as values: VXLAN (RFC 7348), IPIP (RFC 2003) and ip6tnl (RFC 2473), the latter two also in GUE over UDP. */

import type { IpAddress } from '../core/ip.js';
import { lladdrOctets, lladdrText } from './lladdr.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { readAddress } from './readAddress.js';
import { writeAddress } from './routes.js';
import * as rt from './rtnetlink.js';

/** What a device does with packets. */
export type Tunnel =
  /**
   * Finds other ends in its forwarding table and learns none. Routers may fragment the outer packet: the kernel forwards
   * without regard to what it has learned of the path, so that Don't Fragment would make holes where links are unequal.
   */
  | {
      readonly kind: 'vxlan';
      readonly vni: number;
      readonly port: number;
      readonly local: IpAddress;
      readonly lladdr: string;
    }
  /** IPv4 to whatever other end a route's gateway names. @see GuePort */
  | { readonly kind: 'ipip'; readonly local: IpAddress; readonly gue: GuePort }
  /** Any packet to one other end over IPv6. */
  | { readonly kind: 'ip6tnl'; readonly local: IpAddress; readonly remote: IpAddress; readonly gue: GuePort };

/** UDP port of Generic UDP Encapsulation; null: straight in IP. */
export type GuePort = number | null;

export interface TunnelDevice {
  readonly name: string;
  /** A line for people. */
  readonly alias: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Undefined: another kind of device. */
  readonly tunnel: Tunnel | undefined;
}

export type FoundTunnelDevice = TunnelDevice & { readonly ifindex: number };

/** Hops of the outer packet. */
const TTL = 64;

/** A device to be made or changed. */
export type WantedTunnelDevice = TunnelDevice & { readonly tunnel: Tunnel };

/**
 * A new device, down whatever `up` says, so that it can be prepared (EEXIST when there is one of the name, or one that
 * would get the same packets).
 */
export function writeNewTunnel(writer: NetlinkWriter, device: WantedTunnelDevice): void {
  begin(writer, rt.RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, false);
  writeFields(writer, device);
  writeTunnel(writer, device.tunnel, writeNewVxlan);
  writer.end();
}

/**
 * Tells the kernel to give the link no IPv6 address by itself: a tunnel is no place to ask for neighbours or routers.
 * Refused (EAFNOSUPPORT) where the link has no IPv6, and while it is being made.
 */
export function writeNoAutomaticAddresses(writer: NetlinkWriter, name: string): void {
  writer.begin(rt.RTM_NEWLINK, NLM_F_REQUEST);
  for (let i = 0; i < rt.IFINFOMSG; i += 4) writer.u32(0);
  writer.attributeText(rt.IFLA_IFNAME, name);
  const spec = writer.beginNested(rt.IFLA_AF_SPEC, true);
  const inet6 = writer.beginNested(rt.AF_INET6, true);
  writer.attributeOctets(rt.IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(1));
  writer.endNested(inet6);
  writer.endNested(spec);
  writer.end();
}

/** Sets what every link has: MTU, alias, link-layer address, up or down. */
export function writeTunnelLink(writer: NetlinkWriter, device: WantedTunnelDevice): void {
  begin(writer, rt.RTM_NEWLINK, NLM_F_REQUEST, device.up);
  writeFields(writer, device);
  writer.end();
}

/**
 * Sets an MTU that no packet needs, so that the next one is news. With new parameters ip6tnl takes an MTU by itself and tells
 * nobody; the same MTU set again would pass for no change, and IPv6 routes would keep the one from before.
 */
export function writePassingMtu(writer: NetlinkWriter, { name, mtu }: WantedTunnelDevice): void {
  writer.begin(rt.RTM_NEWLINK, NLM_F_REQUEST);
  for (let i = 0; i < rt.IFINFOMSG; i += 4) writer.u32(0);
  writer.attributeText(rt.IFLA_IFNAME, name);
  // One less might be less than IPv6 needs to live (1280).
  writer.attributeU32(rt.IFLA_MTU, mtu + 1);
  writer.end();
}

/** Changes what the tunnel does, in place, as far as {@link isChangeable}. A message of its own: VXLAN takes no MTU with it. */
export function writeTunnelParameters(writer: NetlinkWriter, { name, tunnel }: WantedTunnelDevice): void {
  writer.begin(rt.RTM_NEWLINK, NLM_F_REQUEST);
  for (let i = 0; i < rt.IFINFOMSG; i += 4) writer.u32(0);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writeTunnel(writer, tunnel, writeVxlanChange);
  writer.end();
}

/** Deletes the device of this name (ENODEV when there is none), and with it all neighbours and routes through it. */
export function writeLinkDelete(writer: NetlinkWriter, name: string): void {
  writer.begin(rt.RTM_DELLINK, NLM_F_REQUEST);
  for (let i = 0; i < rt.IFINFOMSG; i += 4) writer.u32(0);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.end();
}

/** Whether `writeTunnelParameters` can make the one into the other. */
export function isChangeable(from: Tunnel | undefined, to: Tunnel): boolean {
  if (from?.kind !== to.kind) return false;
  if (from.kind !== 'vxlan' || to.kind !== 'vxlan') return true;
  return from.vni === to.vni && from.port === to.port && from.local.version === to.local.version;
}

function begin(writer: NetlinkWriter, type: number, flags: number, up: boolean): void {
  writer.begin(type, flags);
  writer.u32(0);
  writer.u32(0);
  writer.u32(up ? rt.IFF_UP : 0);
  writer.u32(rt.IFF_UP);
}

function writeFields(writer: NetlinkWriter, { name, alias, mtu, tunnel }: TunnelDevice): void {
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.attributeText(rt.IFLA_IFALIAS, alias);
  writer.attributeU32(rt.IFLA_MTU, mtu);
  if (tunnel?.kind === 'vxlan') writer.attributeOctets(rt.IFLA_ADDRESS, lladdrOctets(tunnel.lladdr));
}

type Vxlan = Extract<Tunnel, { kind: 'vxlan' }>;

function writeTunnel(
  writer: NetlinkWriter,
  tunnel: Tunnel,
  writeVxlan: (writer: NetlinkWriter, tunnel: Vxlan) => void,
): void {
  const info = writer.beginNested(rt.IFLA_LINKINFO, true);
  writer.attributeText(rt.IFLA_INFO_KIND, tunnel.kind);
  const data = writer.beginNested(rt.IFLA_INFO_DATA, true);
  if (tunnel.kind === 'vxlan') writeVxlan(writer, tunnel);
  else writeIpTunnel(writer, tunnel);
  writer.endNested(data);
  writer.endNested(info);
}

function writeNewVxlan(writer: NetlinkWriter, tunnel: Vxlan): void {
  writeVxlanChange(writer, tunnel);
  writer.attributeOctets(rt.IFLA_VXLAN_PORT, networkU16(tunnel.port));
  writer.attributeOctets(rt.IFLA_VXLAN_LEARNING, Uint8Array.of(0));
}

/** The kernel refuses to be told again what cannot change. */
function writeVxlanChange(writer: NetlinkWriter, { vni, local }: Vxlan): void {
  writer.attributeU32(rt.IFLA_VXLAN_ID, vni);
  writeAddress(writer, local.version === 4 ? rt.IFLA_VXLAN_LOCAL : rt.IFLA_VXLAN_LOCAL6, local);
}

function writeIpTunnel(writer: NetlinkWriter, tunnel: Extract<Tunnel, { kind: 'ipip' | 'ip6tnl' }>): void {
  writeAddress(writer, rt.IFLA_IPTUN_LOCAL, tunnel.local);
  if (tunnel.kind === 'ip6tnl') {
    writeAddress(writer, rt.IFLA_IPTUN_REMOTE, tunnel.remote);
    writer.attributeU32(rt.IFLA_IPTUN_FLAGS, rt.IP6_TNL_F_IGN_ENCAP_LIMIT);
    // 0: IPv4 packets as well as IPv6 ones.
    writer.attributeOctets(rt.IFLA_IPTUN_PROTO, Uint8Array.of(0));
  } else {
    writer.attributeOctets(rt.IFLA_IPTUN_PMTUDISC, Uint8Array.of(1));
  }
  writer.attributeOctets(rt.IFLA_IPTUN_TTL, Uint8Array.of(TTL));
  // Also where there is none: the device may have had one.
  writer.attributeOctets(
    rt.IFLA_IPTUN_ENCAP_TYPE,
    hostU16(tunnel.gue === null ? rt.TUNNEL_ENCAP_NONE : rt.TUNNEL_ENCAP_GUE),
  );
  // Over IPv6 a UDP checksum of zero is refused by default (RFC 6936).
  writer.attributeOctets(
    rt.IFLA_IPTUN_ENCAP_FLAGS,
    hostU16(tunnel.gue === null || tunnel.kind === 'ipip' ? 0 : rt.TUNNEL_ENCAP_FLAG_CSUM6),
  );
  writer.attributeOctets(rt.IFLA_IPTUN_ENCAP_SPORT, networkU16(0));
  writer.attributeOctets(rt.IFLA_IPTUN_ENCAP_DPORT, networkU16(tunnel.gue ?? 0));
}

/** @returns undefined when the message is no link or is cut short */
export function decodeTunnelDevice(message: MessageCursor): FoundTunnelDevice | undefined {
  const { view, start, end, octets } = message;
  if (end - start < rt.IFINFOMSG || view.getUint8(start) !== rt.AF_UNSPEC) return undefined;
  const up = (view.getUint32(start + 8, HOST_IS_LITTLE_ENDIAN) & rt.IFF_UP) !== 0;
  let [name, alias, mtu, lladdr] = ['', '', 0, ''];
  let tunnel: TunnelFields | undefined;
  const attributes = new AttributeCursor().over(view, start + rt.IFINFOMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.IFLA_IFNAME) name = attributes.text();
    else if (attributes.type === rt.IFLA_IFALIAS) alias = attributes.text();
    else if (attributes.type === rt.IFLA_MTU) mtu = attributes.u32();
    else if (attributes.type === rt.IFLA_ADDRESS)
      lladdr = lladdrText(octets.subarray(attributes.start, attributes.end));
    else if (attributes.type === rt.IFLA_LINKINFO) tunnel = readLinkInfo(view, attributes.start, attributes.end);
  }
  if (attributes.malformed) return undefined;
  const ifindex = view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN);
  return { ifindex, name, alias, mtu, up, tunnel: tunnel && tunnelOf(tunnel, lladdr) };
}

interface TunnelFields {
  kind: string;
  local: IpAddress | undefined;
  remote: IpAddress | undefined;
  vni: number;
  port: number;
  encapsulation: number;
  encapsulationPort: number;
}

function readLinkInfo(view: DataView, start: number, end: number): TunnelFields {
  const fields: TunnelFields = {
    kind: '',
    local: undefined,
    remote: undefined,
    vni: 0,
    port: 0,
    encapsulation: rt.TUNNEL_ENCAP_NONE,
    encapsulationPort: 0,
  };
  const attributes = new AttributeCursor().over(view, start, end);
  while (attributes.next()) {
    if (attributes.type === rt.IFLA_INFO_KIND) fields.kind = attributes.text();
    else if (attributes.type === rt.IFLA_INFO_DATA) {
      const data = new AttributeCursor().over(view, attributes.start, attributes.end);
      // The kind comes first: without it the numbers mean nothing.
      while (data.next()) (fields.kind === 'vxlan' ? readVxlan : readIpTunnel)(data, fields);
    }
  }
  return fields;
}

function readVxlan(attribute: AttributeCursor, fields: TunnelFields): void {
  if (attribute.type === rt.IFLA_VXLAN_ID) fields.vni = attribute.u32();
  else if (attribute.type === rt.IFLA_VXLAN_PORT) fields.port = attribute.port();
  else if (attribute.type === rt.IFLA_VXLAN_LOCAL) fields.local = readAddress(attribute, rt.AF_INET);
  else if (attribute.type === rt.IFLA_VXLAN_LOCAL6) fields.local = readAddress(attribute, rt.AF_INET6);
}

function readIpTunnel(attribute: AttributeCursor, fields: TunnelFields): void {
  const family = fields.kind === 'ipip' ? rt.AF_INET : rt.AF_INET6;
  if (attribute.type === rt.IFLA_IPTUN_LOCAL) fields.local = readAddress(attribute, family);
  else if (attribute.type === rt.IFLA_IPTUN_REMOTE) fields.remote = readAddress(attribute, family);
  else if (attribute.type === rt.IFLA_IPTUN_ENCAP_TYPE) fields.encapsulation = attribute.u8();
  else if (attribute.type === rt.IFLA_IPTUN_ENCAP_DPORT) fields.encapsulationPort = attribute.port();
}

function tunnelOf(fields: TunnelFields, lladdr: string): Tunnel | undefined {
  const { kind, local, remote, vni, port } = fields;
  if (local === undefined) return undefined;
  const gue = fields.encapsulation === rt.TUNNEL_ENCAP_GUE ? fields.encapsulationPort : null;
  if (kind === 'vxlan') return { kind, vni, port, local, lladdr };
  if (kind === 'ipip' && isAnybody(remote)) return { kind, local, gue };
  return kind === 'ip6tnl' && remote !== undefined ? { kind, local, remote, gue } : undefined;
}

function isAnybody(remote: IpAddress | undefined): boolean {
  return remote === undefined || (remote.version === 4 && remote.value === 0);
}

function networkU16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 255);
}

function hostU16(value: number): Uint8Array {
  return new Uint8Array(new Uint16Array([value]).buffer);
}
