/** The virtual servers of one network namespace: read whole, and changed in batches. Impure: generic netlink, and a file. */

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { errnoName } from '../libc.js';
import { describeErrno, dumpAll, NetlinkError, openChannel, type NetlinkChannel } from '../netlink/channel.js';
import { familyIdOf } from '../netlink/generic.js';
import { NETLINK_GENERIC } from '../netlink/numbers.js';
import { NetlinkWriter } from '../netlink/writer.js';
import { loadModules } from '../modules.js';
import { createListing, type ListedServer } from './listing.js';
import * as message from './messages.js';
import { IPVS_FAMILY } from './numbers.js';

export type IpvsCommand =
  | { readonly kind: 'server'; readonly command: 'add' | 'change'; readonly server: message.Server }
  | { readonly kind: 'removeServer'; readonly server: message.ServerId }
  | {
      readonly kind: 'destination';
      readonly command: 'add' | 'change';
      readonly server: message.ServerId;
      readonly destination: message.Destination;
    }
  | {
      readonly kind: 'removeDestination';
      readonly server: message.ServerId;
      readonly destination: Pick<message.Destination, 'address' | 'port'>;
    }
  | { readonly kind: 'timeouts'; readonly timeouts: message.Timeouts };

export interface Ipvs {
  servers(): Promise<readonly message.FoundServer[]>;
  /** Undefined: there is none. */
  server(id: message.ServerId): Promise<message.FoundServer | undefined>;
  destinations(server: message.ServerId): Promise<readonly message.FoundDestination[]>;
  /**
   * All servers with their destinations at once. One that others make or delete meanwhile may cost another its place in it.
   * Undefined where there is no such list.
   */
  listing(): Promise<readonly ListedServer[] | undefined>;
  /** Undefined where the kernel tells none. */
  timeouts(): Promise<message.Timeouts | undefined>;
  /**
   * Carries the commands out in order, and goes on after a refusal.
   * @returns the reasons of refusals, by index of the command
   */
  run(commands: readonly IpvsCommand[]): Promise<ReadonlyMap<number, string>>;
  close(): void;
}

/**
 * Works in the network namespace of the calling thread, and loads the module when the kernel has it as one.
 * @returns the reason when the kernel has no IPVS
 * @throws SyscallError
 */
export async function openIpvs(load: typeof loadModules = loadModules): Promise<Ipvs | string> {
  const channel = openChannel(NETLINK_GENERIC);
  // Of this namespace, as the channel is, whatever becomes of the thread.
  const namespace = namespaceOfThread();
  let list = openList();
  try {
    const known = await familyIdOf(channel, IPVS_FAMILY);
    const problem = known === undefined ? await load('ip_vs') : undefined;
    const family = known ?? (await familyIdOf(channel, IPVS_FAMILY));
    if (list === undefined && namespaceOfThread() === namespace) list = openList();
    if (family !== undefined) return new OpenIpvs(channel, family, list);
    channel.close();
    if (list !== undefined) closeSync(list);
    return `the kernel has no IPVS${problem === undefined ? '' : `: ${problem}`}`;
  } catch (error) {
    channel.close();
    if (list !== undefined) closeSync(list);
    throw error;
  }
}

/** @returns undefined before the module is loaded, and where the kernel was built without such files */
function openList(): number | undefined {
  try {
    return openSync('/proc/thread-self/net/ip_vs', 'r');
  } catch {
    return undefined;
  }
}

function namespaceOfThread(): number {
  return statSync('/proc/thread-self/ns/net').ino;
}

/** The kernel gives a page at a time, or a server whole if it is larger. */
const READ_SIZE = 1 << 18;
/** Pages that are read without giving the event loop a turn. */
const READS_PER_TURN = 32;

/** Commands of one datagram: some 700 KiB, well inside the socket's buffer. */
const BATCH = 5000;

class OpenIpvs implements Ipvs {
  constructor(
    private readonly channel: NetlinkChannel,
    private readonly family: number,
    private list: number | undefined,
  ) {}

  servers(): Promise<readonly message.FoundServer[]> {
    const request = new NetlinkWriter(64);
    message.writeServerDump(request, this.family);
    return dumpAll(this.channel, request, message.decodeServer);
  }

  async server(id: message.ServerId): Promise<message.FoundServer | undefined> {
    const request = new NetlinkWriter(128);
    message.writeServerRequest(request, this.family, id);
    try {
      const [server] = await dumpAll(this.channel, request, message.decodeServer);
      return server;
    } catch (error) {
      if (error instanceof NetlinkError && errnoName(error.errno) === 'ESRCH') return undefined;
      throw error;
    }
  }

  destinations(server: message.ServerId): Promise<readonly message.FoundDestination[]> {
    const request = new NetlinkWriter(128);
    message.writeDestinationDump(request, this.family, server);
    return dumpAll(this.channel, request, found => message.decodeDestination(found, server.address.version));
  }

  async listing(): Promise<readonly ListedServer[] | undefined> {
    if (this.list === undefined) return undefined;
    const listing = createListing();
    const buffer = Buffer.allocUnsafe(READ_SIZE);
    try {
      for (let at = 0, reads = 1; ; reads++) {
        const size = readSync(this.list, buffer, 0, READ_SIZE, at);
        if (size === 0) return listing.finish();
        at += size;
        listing.add(buffer.subarray(0, size));
        if (reads % READS_PER_TURN === 0) await setImmediate();
      }
    } catch {
      // The module was unloaded, say.
      this.closeList();
      return undefined;
    }
  }

  async timeouts(): Promise<message.Timeouts | undefined> {
    const request = new NetlinkWriter(64);
    message.writeTimeoutsRequest(request, this.family);
    const [timeouts] = await dumpAll(this.channel, request, message.decodeTimeouts);
    return timeouts;
  }

  async run(commands: readonly IpvsCommand[]): Promise<ReadonlyMap<number, string>> {
    const refusals = new Map<number, string>();
    for (let at = 0; at < commands.length; at += BATCH)
      for (const [i, text] of await this.runPart(commands.slice(at, at + BATCH))) refusals.set(at + i, text);
    return refusals;
  }

  private async runPart(commands: readonly IpvsCommand[]): Promise<ReadonlyMap<number, string>> {
    const writer = new NetlinkWriter(Math.min(1 << 20, 160 * commands.length));
    for (const command of commands) writeCommand(writer, this.family, command);
    const { errnos, texts } = await this.channel.transact(writer);
    const refusals = new Map<number, string>();
    errnos.forEach((errno, i) => {
      if (errno !== 0) refusals.set(i, describeErrno(errno, texts.get(i)));
    });
    return refusals;
  }

  close(): void {
    this.channel.close();
    this.closeList();
  }

  private closeList(): void {
    if (this.list !== undefined) closeSync(this.list);
    this.list = undefined;
  }
}

function writeCommand(writer: NetlinkWriter, family: number, command: IpvsCommand): void {
  switch (command.kind) {
    case 'server':
      message.writeServer(writer, family, command.command, command.server);
      return;
    case 'removeServer':
      message.writeServerRemoval(writer, family, command.server);
      return;
    case 'destination':
      message.writeDestination(writer, family, command.command, command.server, command.destination);
      return;
    case 'removeDestination':
      message.writeDestinationRemoval(writer, family, command.server, command.destination);
      return;
    case 'timeouts':
      message.writeTimeouts(writer, family, command.timeouts);
      return;
  }
}
