/** AF_NETLINK sockets through libc: open, send a batch, receive without waiting, be told when something can be read. */

import koffi, { type node } from 'koffi';
import { promisify } from 'node:util';
import { lastErrno, libc, SyscallError } from '../libc.js';
import { HOST_IS_LITTLE_ENDIAN } from './numbers.js';

const sysSocket = libc.func('int socket(int, int, int)');
const sysBind = libc.func('int bind(int, const void *, unsigned int)');
const sysGetsockname = libc.func('int getsockname(int, void *, void *)');
const sysSetsockopt = libc.func('int setsockopt(int, int, int, const void *, unsigned int)');
const sysSend = libc.func('long send(int, const void *, unsigned long, int)');
const sysRecv = libc.func('long recv(int, void *, unsigned long, int)');
const sysClose = libc.func('int close(int)');

const sendAsync = promisify<number, Uint8Array, number, number, number>(sysSend.async);

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_ATTACH_FILTER = 26;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const MSG_DONTWAIT_TRUNC = 0x40 | 0x20;
const SOCKADDR_NL = 12;

const { EINTR, EAGAIN, ENOBUFS, EBADF = 9 } = koffi.os.errno;

/** `empty`: nothing to read now; `overrun`: messages were lost for want of buffer space. */
export type Received = { readonly octets: number } | 'empty' | 'overrun';

export interface NetlinkSocket {
  /** Our address on this socket, as in `nlmsg_pid`. */
  readonly portId: number;
  /** Sends messages in one datagram. For rtnetlink the kernel has carried them out when this returns. @throws SyscallError */
  send(octets: Uint8Array): void;
  /**
   * The same on a thread of the pool, for batches: the kernel may take half a second over one when it has to resize a
   * large table, and the event loop shall not wait. The octets must not change before it resolves.
   */
  sendAside(octets: Uint8Array): Promise<void>;
  /** Reads one datagram, never waits. @throws SyscallError */
  receive(into: Uint8Array): Received;
  /** Calls `ready` from the event loop while there is something to read; one reader at a time. */
  onReadable(ready: () => void): void;
  /** Joins a multicast group (RTNLGRP_*). @throws SyscallError */
  join(group: number): void;
  /** From now on drops whatever the socket with this port id caused, before it is queued. @throws SyscallError */
  ignoreCausedBy(portId: number): void;
  close(): void;
}

/** @param protocol NETLINK_ROUTE and the like  @param buffer octets of socket buffer in either direction  @throws SyscallError */
export function openNetlink(protocol: number, buffer: number): NetlinkSocket {
  const fd = checked('socket(AF_NETLINK)', Number(sysSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol)));
  try {
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, buffer);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, buffer);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
      setOption(fd, SOL_NETLINK, option, 1);
    return new OpenSocket(fd, bindAny(fd));
  } catch (error) {
    sysClose(fd);
    throw error;
  }
}

class OpenSocket implements NetlinkSocket {
  private poll: node.PollHandle | undefined;
  private closed = false;

  constructor(
    private readonly fd: number,
    readonly portId: number,
  ) {}

  send(octets: Uint8Array): void {
    this.checkOpen();
    for (;;) {
      if (Number(sysSend(this.fd, octets, octets.length, 0)) >= 0) return;
      if (lastErrno() !== EINTR) throw new SyscallError(`send of ${octets.length} octets (AF_NETLINK)`, lastErrno());
    }
  }

  async sendAside(octets: Uint8Array): Promise<void> {
    this.checkOpen();
    const sent = await sendAsync(this.fd, octets, octets.length, 0);
    // errno belongs to the thread that made the call; nothing was sent, so asking again on this one tells it.
    if (sent < 0) this.send(octets);
  }

  receive(into: Uint8Array): Received {
    this.checkOpen();
    for (;;) {
      const octets = Number(sysRecv(this.fd, into, into.length, MSG_DONTWAIT_TRUNC));
      if (octets > into.length) return 'overrun';
      if (octets >= 0) return { octets };
      const errno = lastErrno();
      if (errno === EAGAIN) return 'empty';
      if (errno === ENOBUFS) return 'overrun';
      if (errno !== EINTR) throw new SyscallError('recv (AF_NETLINK)', errno);
    }
  }

  onReadable(ready: () => void): void {
    const options = { readable: true };
    const onEvent = (event: unknown): void => {
      // A callback may still be on its way when the socket is closed.
      if (this.closed) return;
      ready();
      // libuv stops polling a socket with a pending error, which is how an overrun shows, and passes a negative number.
      if (typeof event === 'number') this.poll?.start(options, onEvent);
    };
    this.poll = koffi.node.poll(this.fd, options, onEvent);
  }

  join(group: number): void {
    setOption(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  }

  ignoreCausedBy(portId: number): void {
    const { program, keepAlive } = portFilter(portId);
    checked(
      'setsockopt(SO_ATTACH_FILTER)',
      Number(sysSetsockopt(this.fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length)),
    );
    // The kernel copied the program; until here its memory had to live.
    keepAlive.fill(0);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poll?.stop();
    this.poll?.close();
    this.poll = undefined;
    sysClose(this.fd);
  }

  /** The number of a closed descriptor may belong to anybody by now. */
  private checkOpen(): void {
    if (this.closed) throw new SyscallError('use of a closed socket (AF_NETLINK)', EBADF);
  }
}

/**
 * A classic BPF program (linux/filter.h) as `struct sock_fprog`: drop messages whose nlmsg_pid is `portId`, take the rest.
 * Loads of BPF are in network order and the field is in host order, so the constant is turned round.
 */
function portFilter(portId: number): { readonly program: Uint8Array; readonly keepAlive: Uint8Array } {
  const [LOAD_WORD, JUMP_EQUAL, RETURN] = [0x20, 0x15, 0x06];
  const NLMSG_PID_OFFSET = 12;
  const asLoaded = new DataView(hostU32(portId).buffer).getUint32(0, false);
  const instructions: readonly (readonly [number, number, number, number])[] = [
    [LOAD_WORD, 0, 0, NLMSG_PID_OFFSET],
    [JUMP_EQUAL, 0, 1, asLoaded],
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, 0xffff_ffff],
  ];
  const code = new Uint8Array(instructions.length * 8);
  const view = new DataView(code.buffer);
  instructions.forEach(([operation, jumpTrue, jumpFalse, constant], i) => {
    view.setUint16(i * 8, operation, HOST_IS_LITTLE_ENDIAN);
    view.setUint8(i * 8 + 2, jumpTrue);
    view.setUint8(i * 8 + 3, jumpFalse);
    view.setUint32(i * 8 + 4, constant, HOST_IS_LITTLE_ENDIAN);
  });
  const program = new Uint8Array(16);
  const head = new DataView(program.buffer);
  head.setUint16(0, instructions.length, HOST_IS_LITTLE_ENDIAN);
  head.setBigUint64(8, koffi.address(code), HOST_IS_LITTLE_ENDIAN);
  return { program, keepAlive: code };
}

/** Binds to a port id of the kernel's choice and asks which one it was. */
function bindAny(fd: number): number {
  const address = new Uint8Array(SOCKADDR_NL);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_NETLINK, HOST_IS_LITTLE_ENDIAN);
  checked('bind(AF_NETLINK)', Number(sysBind(fd, address, SOCKADDR_NL)));
  checked('getsockname(AF_NETLINK)', Number(sysGetsockname(fd, address, hostU32(SOCKADDR_NL))));
  return view.getUint32(4, HOST_IS_LITTLE_ENDIAN);
}

/** The FORCE variants need CAP_NET_ADMIN, which whoever writes routes has; reading alone works without. */
function setBuffer(fd: number, force: number, plain: number, size: number): void {
  if (Number(sysSetsockopt(fd, SOL_SOCKET, force, hostU32(size), 4)) < 0) setOption(fd, SOL_SOCKET, plain, size);
}

function setOption(fd: number, level: number, option: number, value: number): void {
  checked(`setsockopt(${level}, ${option})`, Number(sysSetsockopt(fd, level, option, hostU32(value), 4)));
}

function hostU32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

function checked(call: string, result: number): number {
  if (result < 0) throw new SyscallError(call, lastErrno());
  return result;
}
