/** Tells when somebody else changes one of our nf_tables tables. Impure: a socket that joins the kernel's notifications. */

import { MessageCursor, AttributeCursor } from '../netlink/reader.js';
import { openNetlink, type NetlinkSocket } from '../netlink/socket.js';
import { FAMILY_NUMBERS, type TableName } from './messages.js';
import { NETLINK_NETFILTER, NFGENMSG, NFNLGRP_NFTABLES, NFT_MSG_NEWGEN, NFTA_ANY_TABLE } from './numbers.js';

export interface TableMonitor {
  /**
   * @param changed called once for all that one turn of the event loop reads, however much was changed; after more was
   *   changed anywhere than the socket could hold it is called too, since nobody knows what that was
   */
  watch(table: TableName, changed: () => void): void;
  close(): void;
}

/** Notifications repeat what was changed, an element about 200 octets; a flood of them is as good as one. */
const BUFFER = 1 << 20;
const DATAGRAM = 64 << 10;
/** Datagrams handled before the event loop gets a turn. */
const DATAGRAMS_PER_TURN = 256;

/**
 * Subscribes in the network namespace of the calling thread. Elements that rules make from packets are not told of.
 * @param ignoreCausedBy port id of the socket whose own changes shall not be told
 * @throws SyscallError
 */
export function openTableMonitor(ignoreCausedBy: number): TableMonitor {
  const socket = openNetlink(NETLINK_NETFILTER, BUFFER);
  try {
    // The filter first: between joining and filtering our own changes could slip in.
    socket.ignoreCausedBy(ignoreCausedBy);
    socket.join(NFNLGRP_NFTABLES);
    return new SocketMonitor(socket);
  } catch (error) {
    socket.close();
    throw error;
  }
}

interface Watch {
  readonly table: TableName;
  readonly changed: () => void;
}

class SocketMonitor implements TableMonitor {
  private readonly watches: Watch[] = [];
  private readonly messages = new MessageCursor(new Uint8Array(DATAGRAM));
  private readonly attribute = new AttributeCursor();

  constructor(private readonly socket: NetlinkSocket) {
    socket.onReadable(() => this.drain());
  }

  watch(table: TableName, changed: () => void): void {
    this.watches.push({ table, changed });
  }

  close(): void {
    this.watches.length = 0;
    this.socket.close();
  }

  private drain(): void {
    const touched = new Set<Watch>();
    for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
      const received = this.socket.receive(this.messages.octets);
      if (received === 'empty') break;
      if (received === 'overrun') {
        for (const watch of this.watches) touched.add(watch);
        continue;
      }
      const messages = this.messages.over(received.octets);
      while (messages.next()) for (const watch of this.watches) if (this.isOf(messages, watch)) touched.add(watch);
    }
    for (const { changed } of touched) changed();
  }

  private isOf(message: MessageCursor, { table }: Watch): boolean {
    if (message.type === NFT_MSG_NEWGEN || message.view.getUint8(message.start) !== FAMILY_NUMBERS[table.family])
      return false;
    const { attribute } = this;
    attribute.over(message.view, message.start + NFGENMSG, message.end);
    while (attribute.next()) if (attribute.type === NFTA_ANY_TABLE) return attribute.text() === table.name;
    return false;
  }
}
