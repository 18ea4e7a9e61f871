/** Virtual servers and destinations of IPVS as values, to and from generic netlink (linux/ip_vs.h). Pure. */

import { ipv4, type IpAddress } from '../../core/ip.js';
import { GENERIC_HEADER } from '../netlink/generic.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.js';
import type { NetlinkWriter } from '../netlink/writer.js';
import { AF_INET, AF_INET6 } from '../rtnetlink.js';
import * as vs from './numbers.js';

/** What a virtual server is known by. The protocol is its IP number: 6, 17, 132. */
export interface ServerId {
  readonly address: IpAddress;
  readonly protocol: number;
  readonly port: number;
}

export interface Server extends ServerId {
  readonly scheduler: string;
  /** IP_VS_SVC_F_*, of those that a caller sets. */
  readonly flags: number;
  /** Seconds that a client stays with its destination, with IP_VS_SVC_F_PERSISTENT. */
  readonly timeout: number;
}

export interface Destination {
  /** Of the server's family. */
  readonly address: IpAddress;
  readonly port: number;
  /** 0: no new connections. */
  readonly weight: number;
  /** IP_VS_CONN_F_MASQ or IP_VS_CONN_F_TUNNEL. */
  readonly method: number;
}

/** Seconds; 0 leaves a timeout as it is. */
export interface Timeouts {
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
}

export interface Counters {
  readonly connections: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
}

export type FoundServer = Server & { readonly counters: Counters };

export interface FoundDestination extends Destination {
  readonly active: number;
  readonly inactive: number;
  /** Records of session affinity. */
  readonly persistent: number;
  readonly counters: Counters;
}

/** `union nf_inet_addr`. */
const ADDRESS_SIZE = 16;

const SERVER_COMMANDS = {
  add: vs.IPVS_CMD_NEW_SERVICE,
  change: vs.IPVS_CMD_SET_SERVICE,
} as const;
const DESTINATION_COMMANDS = {
  add: vs.IPVS_CMD_NEW_DEST,
  change: vs.IPVS_CMD_SET_DEST,
} as const;

/** @param family number of the family `IPVS` of generic netlink, here and below */
export function writeServer(writer: NetlinkWriter, family: number, command: 'add' | 'change', server: Server): void {
  begin(writer, family, SERVER_COMMANDS[command]);
  const nest = writer.beginNested(vs.IPVS_CMD_ATTR_SERVICE, true);
  writeServerId(writer, server);
  writer.attributeText(vs.IPVS_SVC_ATTR_SCHED_NAME, server.scheduler);
  // struct ip_vs_flags: values, and which of them count.
  writer.attributeHead(vs.IPVS_SVC_ATTR_FLAGS, 8);
  writer.u32(server.flags);
  writer.u32(0xffff_ffff);
  writer.attributeU32(vs.IPVS_SVC_ATTR_TIMEOUT, server.timeout);
  // Which part of a client's address makes it the same client: all of it. IPv4 has a mask here, IPv6 a length.
  writer.attributeU32(vs.IPVS_SVC_ATTR_NETMASK, server.address.version === 4 ? 0xffff_ffff : 128);
  writer.endNested(nest);
  writer.end();
}

/** Takes its destinations with it. */
export function writeServerRemoval(writer: NetlinkWriter, family: number, server: ServerId): void {
  begin(writer, family, vs.IPVS_CMD_DEL_SERVICE);
  writeServerNest(writer, server);
  writer.end();
}

export function writeDestination(
  writer: NetlinkWriter,
  family: number,
  command: 'add' | 'change',
  server: ServerId,
  destination: Destination,
): void {
  begin(writer, family, DESTINATION_COMMANDS[command]);
  writeServerNest(writer, server);
  const nest = writer.beginNested(vs.IPVS_CMD_ATTR_DEST, true);
  writeDestinationId(writer, destination);
  writer.attributeU32(vs.IPVS_DEST_ATTR_FWD_METHOD, destination.method);
  writer.attributeU32(vs.IPVS_DEST_ATTR_WEIGHT, destination.weight);
  // No limits of connections; the kernel wants them said.
  writer.attributeU32(vs.IPVS_DEST_ATTR_U_THRESH, 0);
  writer.attributeU32(vs.IPVS_DEST_ATTR_L_THRESH, 0);
  writer.endNested(nest);
  writer.end();
}

export function writeDestinationRemoval(
  writer: NetlinkWriter,
  family: number,
  server: ServerId,
  destination: Pick<Destination, 'address' | 'port'>,
): void {
  begin(writer, family, vs.IPVS_CMD_DEL_DEST);
  writeServerNest(writer, server);
  const nest = writer.beginNested(vs.IPVS_CMD_ATTR_DEST, true);
  writeDestinationId(writer, destination);
  writer.endNested(nest);
  writer.end();
}

/** Timeouts of connections, of the whole namespace. */
export function writeTimeouts(writer: NetlinkWriter, family: number, { tcp, tcpFin, udp }: Timeouts): void {
  begin(writer, family, vs.IPVS_CMD_SET_CONFIG);
  // The kernel wants all three, and takes 0 for: as it is.
  writer.attributeU32(vs.IPVS_CMD_ATTR_TIMEOUT_TCP, tcp);
  writer.attributeU32(vs.IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, tcpFin);
  writer.attributeU32(vs.IPVS_CMD_ATTR_TIMEOUT_UDP, udp);
  writer.end();
}

/** A request for the timeouts of the namespace. */
export function writeTimeoutsRequest(writer: NetlinkWriter, family: number): void {
  begin(writer, family, vs.IPVS_CMD_GET_CONFIG);
  writer.end();
}

/** @returns undefined for messages cut short */
export function decodeTimeouts({ view, start, end }: MessageCursor): Timeouts | undefined {
  const attributes = new AttributeCursor().over(view, start + GENERIC_HEADER, end);
  let [tcp, tcpFin, udp] = [0, 0, 0];
  while (attributes.next()) {
    if (attributes.type === vs.IPVS_CMD_ATTR_TIMEOUT_TCP) tcp = attributes.u32();
    else if (attributes.type === vs.IPVS_CMD_ATTR_TIMEOUT_TCP_FIN) tcpFin = attributes.u32();
    else if (attributes.type === vs.IPVS_CMD_ATTR_TIMEOUT_UDP) udp = attributes.u32();
  }
  return attributes.malformed ? undefined : { tcp, tcpFin, udp };
}

/** A request for all virtual servers of the namespace. */
export function writeServerDump(writer: NetlinkWriter, family: number): void {
  begin(writer, family, vs.IPVS_CMD_GET_SERVICE, NLM_F_DUMP);
  writer.end();
}

/** A request for one virtual server; ESRCH when there is none. */
export function writeServerRequest(writer: NetlinkWriter, family: number, server: ServerId): void {
  begin(writer, family, vs.IPVS_CMD_GET_SERVICE);
  writeServerNest(writer, server);
  writer.end();
}

/** A request for the destinations of one server; answers nothing when there is no such server. */
export function writeDestinationDump(writer: NetlinkWriter, family: number, server: ServerId): void {
  begin(writer, family, vs.IPVS_CMD_GET_DEST, NLM_F_DUMP);
  writeServerNest(writer, server);
  writer.end();
}

/** @returns undefined for servers known by a firewall mark, and for messages cut short */
export function decodeServer({ view, start, end }: MessageCursor): FoundServer | undefined {
  const nest = nested(view, start, end, vs.IPVS_CMD_ATTR_SERVICE);
  if (nest === undefined) return undefined;
  let [family, protocol, port, mark, scheduler, flags, timeout] = [0, 0, 0, 0, '', 0, 0];
  let [addressAt, counters]: [number | undefined, Counters] = [undefined, NOTHING];
  while (nest.next()) {
    if (nest.type === vs.IPVS_SVC_ATTR_AF) family = u16(view, nest);
    else if (nest.type === vs.IPVS_SVC_ATTR_PROTOCOL) protocol = u16(view, nest);
    else if (nest.type === vs.IPVS_SVC_ATTR_ADDR && nest.size === ADDRESS_SIZE) addressAt = nest.start;
    else if (nest.type === vs.IPVS_SVC_ATTR_PORT) port = nest.port();
    else if (nest.type === vs.IPVS_SVC_ATTR_FWMARK) mark = nest.u32();
    else if (nest.type === vs.IPVS_SVC_ATTR_SCHED_NAME) scheduler = nest.text();
    else if (nest.type === vs.IPVS_SVC_ATTR_FLAGS) flags = nest.u32() & vs.SETTABLE_FLAGS;
    else if (nest.type === vs.IPVS_SVC_ATTR_TIMEOUT) timeout = nest.u32();
    else if (nest.type === vs.IPVS_SVC_ATTR_STATS64) counters = countersOf(view, nest);
  }
  const address = addressOf(view, addressAt, family);
  if (nest.malformed || mark !== 0 || address === undefined) return undefined;
  return { address, protocol, port, scheduler, flags, timeout, counters };
}

/** @returns undefined for destinations of another family than the server's, and for messages cut short */
export function decodeDestination(message: MessageCursor, version: 4 | 6): FoundDestination | undefined {
  const { view, start, end } = message;
  const nest = nested(view, start, end, vs.IPVS_CMD_ATTR_DEST);
  if (nest === undefined) return undefined;
  let [port, method, weight, active, inactive, persistent] = [0, 0, 0, 0, 0, 0];
  let family: number = version === 4 ? AF_INET : AF_INET6;
  let [addressAt, counters]: [number | undefined, Counters] = [undefined, NOTHING];
  while (nest.next()) {
    if (nest.type === vs.IPVS_DEST_ATTR_ADDR && nest.size === ADDRESS_SIZE) addressAt = nest.start;
    else if (nest.type === vs.IPVS_DEST_ATTR_ADDR_FAMILY) family = u16(view, nest);
    else if (nest.type === vs.IPVS_DEST_ATTR_PORT) port = nest.port();
    else if (nest.type === vs.IPVS_DEST_ATTR_FWD_METHOD) method = nest.u32() & vs.IP_VS_CONN_F_FWD_MASK;
    else if (nest.type === vs.IPVS_DEST_ATTR_WEIGHT) weight = nest.u32();
    else if (nest.type === vs.IPVS_DEST_ATTR_ACTIVE_CONNS) active = nest.u32();
    else if (nest.type === vs.IPVS_DEST_ATTR_INACT_CONNS) inactive = nest.u32();
    else if (nest.type === vs.IPVS_DEST_ATTR_PERSIST_CONNS) persistent = nest.u32();
    else if (nest.type === vs.IPVS_DEST_ATTR_STATS64) counters = countersOf(view, nest);
  }
  const address = addressOf(view, addressAt, family);
  if (nest.malformed || address?.version !== version) return undefined;
  return { address, port, weight, method, active, inactive, persistent, counters };
}

function begin(writer: NetlinkWriter, family: number, command: number, flags = 0): void {
  writer.begin(family, NLM_F_REQUEST | flags);
  writer.u8x4(command, vs.IPVS_VERSION, 0, 0);
}

function writeServerNest(writer: NetlinkWriter, server: ServerId): void {
  const nest = writer.beginNested(vs.IPVS_CMD_ATTR_SERVICE, true);
  writeServerId(writer, server);
  writer.endNested(nest);
}

function writeServerId(writer: NetlinkWriter, { address, protocol, port }: ServerId): void {
  writer.attributeOctets(vs.IPVS_SVC_ATTR_AF, hostU16(familyOf(address)));
  writer.attributeOctets(vs.IPVS_SVC_ATTR_PROTOCOL, hostU16(protocol));
  writeAddress(writer, vs.IPVS_SVC_ATTR_ADDR, address);
  writer.attributeOctets(vs.IPVS_SVC_ATTR_PORT, networkU16(port));
}

function writeDestinationId(writer: NetlinkWriter, { address, port }: Pick<Destination, 'address' | 'port'>): void {
  writeAddress(writer, vs.IPVS_DEST_ATTR_ADDR, address);
  writer.attributeOctets(vs.IPVS_DEST_ATTR_PORT, networkU16(port));
  writer.attributeOctets(vs.IPVS_DEST_ATTR_ADDR_FAMILY, hostU16(familyOf(address)));
}

/** An IPv4 address stands in front of twelve zeros. */
function writeAddress(writer: NetlinkWriter, type: number, address: IpAddress): void {
  writer.attributeHead(type, ADDRESS_SIZE);
  const words = address.version === 4 ? [address.value, 0, 0, 0] : address.words;
  for (const word of words) writer.addressWord(word);
}

function familyOf({ version }: IpAddress): number {
  return version === 4 ? AF_INET : AF_INET6;
}

function hostU16(value: number): Uint8Array {
  return new Uint8Array(new Uint16Array([value]).buffer);
}

function networkU16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 255);
}

function nested(view: DataView, start: number, end: number, type: number): AttributeCursor | undefined {
  const outer = new AttributeCursor().over(view, start + GENERIC_HEADER, end);
  while (outer.next()) if (outer.type === type) return new AttributeCursor().over(view, outer.start, outer.end);
  return undefined;
}

function u16(view: DataView, { start, size }: AttributeCursor): number {
  return size >= 2 ? view.getUint16(start, HOST_IS_LITTLE_ENDIAN) : 0;
}

function addressOf(view: DataView, at: number | undefined, family: number): IpAddress | undefined {
  if (at === undefined) return undefined;
  const word = (i: number): number => view.getUint32(at + i * 4, false);
  if (family === AF_INET) return ipv4(word(0));
  return family === AF_INET6 ? { version: 6, words: [word(0), word(1), word(2), word(3)] } : undefined;
}

const NOTHING: Counters = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };

function countersOf(view: DataView, { start, end }: AttributeCursor): Counters {
  const values = new Map<number, bigint>();
  const nest = new AttributeCursor().over(view, start, end);
  while (nest.next()) if (nest.size === 8) values.set(nest.type, view.getBigUint64(nest.start, HOST_IS_LITTLE_ENDIAN));
  return {
    connections: values.get(vs.IPVS_STATS_ATTR_CONNS) ?? 0n,
    packetsIn: values.get(vs.IPVS_STATS_ATTR_INPKTS) ?? 0n,
    packetsOut: values.get(vs.IPVS_STATS_ATTR_OUTPKTS) ?? 0n,
    bytesIn: values.get(vs.IPVS_STATS_ATTR_INBYTES) ?? 0n,
    bytesOut: values.get(vs.IPVS_STATS_ATTR_OUTBYTES) ?? 0n,
  };
}
