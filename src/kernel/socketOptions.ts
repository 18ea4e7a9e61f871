/** TCP sockets made by hand, with options that Node cannot set: TTL, GTSM (RFC 5082), TCP-MD5 (RFC 2385). Linux headers. */

import { formatAddress, formatPrefix, type IpAddress, type IpPrefix } from '../core/ip.js';
import { lastErrno, libc, SyscallError } from './libc.js';

// bits/socket.h, bits/socket_type.h
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BINDTOIFINDEX = 62;
// linux/in.h, linux/in6.h
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_IPV6 = 41;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_MINTTL = 21;
const IPV6_UNICAST_HOPS = 16;
const IPV6_V6ONLY = 26;
const IPV6_TCLASS = 67;
const IPV6_MINHOPCOUNT = 73;
// linux/tcp.h
const TCP_NODELAY = 1;
const TCP_MD5SIG = 14;
const TCP_SAVE_SYN = 27;
const TCP_SAVED_SYN = 28;
const TCP_MD5SIG_EXT = 32;
const TCP_MD5SIG_FLAG_PREFIX = 1;
const TCP_MD5SIG_MAXKEYLEN = 80;
const SOCKADDR_STORAGE = 128;
// linux/fcntl.h
const F_DUPFD_CLOEXEC = 1030;
const ENOENT = 2;

/** Class selector 6, network control (RFC 4594 section 3.1), as the whole octet. */
const DSCP_CS6 = 0xc0;
/** Asks the kernel for its default TTL (net/ipv4/ip_sockglue.c). */
const DEFAULT_TTL = -1;

const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const uint8_t *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)');
const getsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
);
const close = libc.func('int close(int fd)');
const fcntl = libc.func('int fcntl(int fd, int command, int argument)');
const ifNameToIndex = libc.func('uint32_t if_nametoindex(const char *name)');

/** Another descriptor of the same socket, which outlives this one. @throws SyscallError */
export function duplicateDescriptor(fd: number): number {
  return checked('fcntl', fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/** A new TCP socket of the address's version: non-blocking, close-on-exec, no Nagle, network control class, IPv6 only. */
export function openTcpSocket(version: 4 | 6): number {
  const family = version === 4 ? AF_INET : AF_INET6;
  const fd = checked('socket', socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  try {
    setNumber(fd, IPPROTO_TCP, TCP_NODELAY, 1, 'TCP_NODELAY');
    if (version === 4) {
      setNumber(fd, IPPROTO_IP, IP_TOS, DSCP_CS6, 'IP_TOS');
    } else {
      setNumber(fd, IPPROTO_IPV6, IPV6_TCLASS, DSCP_CS6, 'IPV6_TCLASS');
      setNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, 'IPV6_V6ONLY');
    }
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

export function closeDescriptor(fd: number): void {
  close(fd);
}

/** @throws SyscallError with EADDRINUSE, EADDRNOTAVAIL and the like */
export function bindTo(fd: number, address: IpAddress, port: number): void {
  const sockaddr = encodeSockaddr(address, port);
  checked('bind', bind(fd, sockaddr, sockaddr.length));
}

/** Keeps a socket to the link that a link-local address names (RFC 4007). @throws Error when there is no such link */
export function bindToLink(fd: number, zone: string): void {
  setNumber(fd, SOL_SOCKET, SO_BINDTOIFINDEX, linkIndex(zone), 'SO_BINDTOIFINDEX');
}

/** Lets a restarted process listen while connections of the old one linger. */
export function allowReuse(fd: number): void {
  setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1, 'SO_REUSEADDR');
}

/** Keeps the headers of each connection's first packet for {@link firstTtl}. */
export function keepFirstHeaders(listener: number): void {
  setNumber(listener, IPPROTO_TCP, TCP_SAVE_SYN, 1, 'TCP_SAVE_SYN');
}

/**
 * TTL or hop limit with which the SYN of an accepted connection came. The kernel gives it once; undefined afterwards,
 * and on connections of our own making.
 */
export function firstTtl(fd: number, version: 4 | 6): number | undefined {
  const headers = Buffer.alloc(128);
  const length = [headers.length];
  if (Number(getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, headers, length)) < 0) return undefined;
  return (length[0] ?? 0) < 20 ? undefined : headers[version === 4 ? 8 : 7];
}

/** Sets both limits; an absent one goes back to the system's default. */
export function setHopLimits(fd: number, version: 4 | 6, ttl: number | undefined, minTtl: number | undefined): void {
  if (version === 4) {
    setNumber(fd, IPPROTO_IP, IP_TTL, ttl ?? DEFAULT_TTL, 'IP_TTL');
    setNumber(fd, IPPROTO_IP, IP_MINTTL, minTtl ?? 0, 'IP_MINTTL');
  } else {
    setNumber(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl ?? DEFAULT_TTL, 'IPV6_UNICAST_HOPS');
    setNumber(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, minTtl ?? 0, 'IPV6_MINHOPCOUNT');
  }
}

/**
 * Demands TCP-MD5 of a peer (struct tcp_md5sig), or of a prefix; undefined removes the demand.
 * @throws Error that names the peer and never the key
 */
export function setMd5Key(fd: number, peer: IpAddress | IpPrefix, key: string | undefined): void {
  const prefix = 'length' in peer ? peer : undefined;
  const address = 'length' in peer ? peer.address : peer;
  const name = 'length' in peer ? formatPrefix(peer) : formatAddress(peer);
  const octets = key === undefined ? new Uint8Array() : new TextEncoder().encode(key);
  if (key !== undefined && (octets.length === 0 || octets.length > TCP_MD5SIG_MAXKEYLEN)) {
    throw new Error(
      `TCP-MD5 password for ${name}: ${octets.length} octets, where 1 to ${TCP_MD5SIG_MAXKEYLEN} are possible`,
    );
  }
  const value = Buffer.alloc(SOCKADDR_STORAGE + 8 + TCP_MD5SIG_MAXKEYLEN);
  value.set(encodeSockaddr(address, 0));
  if (prefix !== undefined) {
    value.writeUInt8(TCP_MD5SIG_FLAG_PREFIX, SOCKADDR_STORAGE);
    value.writeUInt8(prefix.length, SOCKADDR_STORAGE + 1);
  }
  writeNative16(value, SOCKADDR_STORAGE + 2, octets.length);
  value.set(octets, SOCKADDR_STORAGE + 8);
  const option = prefix === undefined ? TCP_MD5SIG : TCP_MD5SIG_EXT;
  const result = Number(setsockopt(fd, IPPROTO_TCP, option, value, value.length));
  const errno = lastErrno();
  // Removing a key that is not there is what was wanted.
  if (result < 0 && !(key === undefined && errno === ENOENT)) {
    throw new SyscallError(`TCP-MD5 password for ${name}: setsockopt TCP_MD5SIG`, errno);
  }
}

/** struct sockaddr_in or sockaddr_in6. @throws Error when the zone of a link-local address names no link */
export function encodeSockaddr(address: IpAddress, port: number): Buffer {
  const sockaddr = Buffer.alloc(address.version === 4 ? 16 : 28);
  sockaddr.writeUInt16BE(port, 2);
  if (address.version === 4) {
    writeNative16(sockaddr, 0, AF_INET);
    sockaddr.writeUInt32BE(address.value, 4);
  } else {
    writeNative16(sockaddr, 0, AF_INET6);
    address.words.forEach((word, i) => sockaddr.writeUInt32BE(word, 8 + 4 * i));
    if (address.zone !== undefined) writeNative32(sockaddr, 24, linkIndex(address.zone));
  }
  return sockaddr;
}

function linkIndex(zone: string): number {
  const index = Number(/^\d+$/.test(zone) ? zone : ifNameToIndex(zone));
  if (index === 0) throw new Error(`no link named ${zone}`);
  return index;
}

function setNumber(fd: number, level: number, name: number, value: number, label: string): void {
  const octets = Buffer.alloc(4);
  writeNative32(octets, 0, value);
  checked(`setsockopt ${label}`, setsockopt(fd, level, name, octets, octets.length));
}

/** Host byte order: every platform Node runs Linux on but s390x is little-endian, so it is asked for. */
function writeNative32(buffer: Buffer, offset: number, value: number): void {
  new DataView(buffer.buffer, buffer.byteOffset).setInt32(offset, value, LITTLE_ENDIAN);
}

function writeNative16(buffer: Buffer, offset: number, value: number): void {
  new DataView(buffer.buffer, buffer.byteOffset).setUint16(offset, value, LITTLE_ENDIAN);
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function checked(call: string, result: unknown): number {
  if (typeof result === 'number' && result >= 0) return result;
  throw new SyscallError(call, lastErrno());
}
