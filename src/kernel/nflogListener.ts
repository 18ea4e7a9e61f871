/** Listens to a group of logged packets (nfnetlink_log), a batch for each turn of the event loop. Impure: a netlink socket. */

import { describeErrno } from './netlink/channel.js';
import { NLMSG_ERROR } from './netlink/numbers.js';
import { errnoOf, MessageCursor } from './netlink/reader.js';
import { openNetlink, type NetlinkSocket } from './netlink/socket.js';
import { NetlinkWriter } from './netlink/writer.js';
import { decodeLoggedPacket, writeLogBinding, type LoggedPacket } from './nflog.js';
import { NETLINK_NETFILTER } from './nftables/numbers.js';

export interface LoggedPackets {
  readonly packets: readonly LoggedPacket[];
  /** More came than the socket could hold: some are not told. */
  readonly hasOverrun: boolean;
}

export interface LogListener {
  close(): void;
}

const BUFFER = 1 << 20;
const DATAGRAM = 64 << 10;
/** Datagrams handled before the event loop gets a turn; each holds as many packets as fit. */
const DATAGRAMS_PER_TURN = 16;
const [EPERM, EBUSY] = [1, 16];

/**
 * Binds a group in the network namespace of the calling thread. A group has one listener in a namespace.
 * @throws Error when another listens to the group; SyscallError
 */
export function listenToLog(group: number, take: (logged: LoggedPackets) => void): LogListener {
  const socket = openNetlink(NETLINK_NETFILTER, BUFFER);
  try {
    bind(socket, group);
    const messages = new MessageCursor(new Uint8Array(DATAGRAM));
    socket.onReadable(() => {
      const logged = drain(socket, messages);
      if (logged.packets.length > 0 || logged.hasOverrun) take(logged);
    });
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** The kernel answers before send() returns. */
function bind(socket: NetlinkSocket, group: number): void {
  const writer = new NetlinkWriter(256);
  writeLogBinding(writer, group);
  socket.send(writer.finished());
  const answers = new MessageCursor(new Uint8Array(DATAGRAM));
  for (;;) {
    const received = socket.receive(answers.octets);
    if (received === 'empty') return;
    if (received === 'overrun') continue;
    const messages = answers.over(received.octets);
    while (messages.next()) if (messages.type === NLMSG_ERROR) refuse(group, errnoOf(messages));
  }
}

function refuse(group: number, errno: number): void {
  if (errno === 0) return;
  const why = errno === EPERM || errno === EBUSY ? 'another program listens to it' : describeErrno(errno, undefined);
  throw new Error(`nfnetlink_log group ${group}: ${why}`);
}

function drain(socket: NetlinkSocket, messages: MessageCursor): LoggedPackets {
  const packets: LoggedPacket[] = [];
  let hasOverrun = false;
  for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
    const received = socket.receive(messages.octets);
    if (received === 'empty') break;
    if (received === 'overrun') {
      hasOverrun = true;
      continue;
    }
    const found = messages.over(received.octets);
    while (found.next()) {
      const packet = decodeLoggedPacket(found);
      if (packet !== undefined) packets.push(packet);
    }
  }
  return { packets, hasOverrun };
}
