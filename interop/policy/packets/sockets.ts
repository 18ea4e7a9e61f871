/** Sockets by hand, thousands of them made and gone in a second: TCP, UDP, and SCTP's packets raw. Linux headers. Impure. */

import { ipv4, type IpAddress } from '../../../src/core/ip.js';
import { errnoName, lastErrno, libc, SyscallError } from '../../../src/kernel/libc.js';
import { allowReuse, bindTo, closeDescriptor, encodeSockaddr } from '../../../src/kernel/socketOptions.js';

export type Transport = 'tcp' | 'udp' | 'sctp' | 'icmp';

// bits/socket.h, bits/socket_type.h, linux/in.h
const FAMILIES = { 4: 2, 6: 10 } as const;
const TYPES = { tcp: 1, udp: 2, sctp: 3, icmp: 3 } as const;
const IPPROTO_SCTP = 132;
const IPPROTO_ICMP = { 4: 1, 6: 58 } as const;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_RCVBUF = 8;
const SO_LINGER = 13;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const BACKLOG = 4096;
/** For what a whole round sends at once. */
const RECEIVE_BUFFER = 1 << 20;

const socket = libc.func('int socket(int, int, int)');
const connect = libc.func('int connect(int, const void *, unsigned int)');
const listen = libc.func('int listen(int, int)');
const accept4 = libc.func('int accept4(int, void *, void *, int)');
const sendto = libc.func('long sendto(int, const void *, unsigned long, int, const void *, unsigned int)');
const recvfrom = libc.func('long recvfrom(int, void *, unsigned long, int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const setsockopt = libc.func('int setsockopt(int, int, int, const void *, unsigned int)');
const getsockopt = libc.func('int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const poll = libc.func('int poll(void *, unsigned long, int)');

export const ANY: Readonly<Record<4 | 6, IpAddress>> = {
  4: ipv4(0),
  6: { version: 6, words: [0, 0, 0, 0] },
};

/** Never waits. SCTP and ICMP: every packet of that protocol that comes to this network namespace. @throws SyscallError */
export function openSocket(version: 4 | 6, transport: Transport): number {
  const protocol = transport === 'sctp' ? IPPROTO_SCTP : transport === 'icmp' ? IPPROTO_ICMP[version] : 0;
  const fd = checked('socket', Number(socket(FAMILIES[version], TYPES[transport] | SOCK_NONBLOCK_CLOEXEC, protocol)));
  if (version === 6 && TYPES[transport] !== TYPES.sctp) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, [1]);
  if (transport !== 'tcp') setOption(fd, SOL_SOCKET, SO_RCVBUF, [RECEIVE_BUFFER]);
  return fd;
}

/** Of a port that others may have too. */
export function bindPort(fd: number, version: 4 | 6, port: number): void {
  allowReuse(fd);
  bindTo(fd, ANY[version], port);
}

export function listenAt(fd: number): void {
  checked('listen', Number(listen(fd, BACKLOG)));
}

/** Ends in a reset, which leaves nothing behind. */
export function startConnecting(fd: number, address: IpAddress, port: number): void {
  setOption(fd, SOL_SOCKET, SO_LINGER, [1, 0]);
  const sockaddr = encodeSockaddr(address, port);
  if (Number(connect(fd, sockaddr, sockaddr.length)) < 0 && errnoName(lastErrno()) !== 'EINPROGRESS')
    throw new SyscallError('connect', lastErrno());
}

/** What became of a connection: `open`, or the error's name. */
export function connectionState(fd: number): string {
  const value = Buffer.alloc(4);
  const length = [value.length];
  checked('getsockopt', Number(getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length)));
  const [errno = 0] = new Int32Array(Uint8Array.from(value).buffer);
  return errno === 0 ? 'open' : errnoName(errno);
}

/** Takes whoever has connected, and lets go of them. */
export function dismissCallers(listener: number): void {
  for (;;) {
    const fd = Number(accept4(listener, null, null, SOCK_NONBLOCK_CLOEXEC));
    if (fd < 0) return;
    closeDescriptor(fd);
  }
}

/** A packet that finds no room or no way is lost, as packets are. */
export function sendTo(fd: number, octets: Uint8Array, sockaddr: Uint8Array): void {
  sendto(fd, octets, octets.length, 0, sockaddr, sockaddr.length);
}

export function sockaddrOf(address: IpAddress, port: number): Uint8Array {
  return encodeSockaddr(address, port);
}

export interface Datagram {
  readonly octets: Buffer;
  readonly sender: Uint8Array;
}

const buffer = Buffer.alloc(2048);
const sender = Buffer.alloc(28);

/** All there are. */
export function* receiveAll(fd: number): Generator<Datagram> {
  for (;;) {
    const length = [sender.length];
    const octets = Number(recvfrom(fd, buffer, buffer.length, 0, sender, length));
    if (octets < 0) return;
    yield { octets: Buffer.from(buffer.subarray(0, octets)), sender: Uint8Array.from(sender.subarray(0, length[0])) };
  }
}

const POLLIN = 1;
const POLLOUT = 4;
const POLLFD = 8;

/** @param fds with whether they are waited for to be written to @param milliseconds at most @returns those that are ready */
export function waitForAny(fds: ReadonlyMap<number, 'read' | 'write'>, milliseconds: number): readonly number[] {
  const octets = new ArrayBuffer(fds.size * POLLFD);
  const [words, halves] = [new Int32Array(octets), new Int16Array(octets)];
  let i = 0;
  for (const [fd, how] of fds) {
    words[2 * i] = fd;
    halves[4 * i + 2] = how === 'read' ? POLLIN : POLLOUT;
    i += 1;
  }
  poll(new Uint8Array(octets), fds.size, milliseconds);
  return [...fds.keys()].filter((_, at) => halves[4 * at + 3] !== 0);
}

function setOption(fd: number, level: number, name: number, values: readonly number[]): void {
  const octets = new Uint8Array(Int32Array.from(values).buffer);
  checked('setsockopt', Number(setsockopt(fd, level, name, octets, octets.length)));
}

function checked(call: string, result: number): number {
  if (result < 0) throw new SyscallError(call, lastErrno());
  return result;
}
