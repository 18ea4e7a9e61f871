/**
 * Asks which pods reach which, with real packets, all at once: every question is a connection of its own from a source port
 * that was not used before, so that no connection tracked earlier answers for it. Impure.
 */

import type { IpAddress } from '../../../src/core/ip.js';
import { parseAddress } from '../../../src/core/ip.js';
import { closeDescriptor } from '../../../src/kernel/socketOptions.js';
import type { Namespace } from '../../../test/kernel/namespace.js';
import { decodeGreeting, encodeGreeting, type Greeting } from './sctp.js';
import {
  bindPort,
  connectionState,
  dismissCallers,
  listenAt,
  openSocket,
  receiveAll,
  sendTo,
  sockaddrOf,
  startConnecting,
  waitForAny,
  type Datagram,
} from './sockets.js';

export interface Host {
  readonly name: string;
  readonly namespace: Namespace;
  readonly ips: readonly string[];
}

export interface Probe {
  /** Names of hosts. */
  readonly from: string;
  readonly to: string;
  /** Which of the receiver's addresses. */
  readonly address: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
}

/** `open`, `silence`, or the name of an error. */
export type Answer = string;

export interface Prober {
  /** @param patience milliseconds of silence after which nothing more is expected */
  ask(probes: readonly Probe[], patience: number): Promise<readonly Answer[]>;
  close(): void;
}

/** Nobody listens there. */
const SOURCE_PORTS = { first: 20_000, count: 40_000 };
/** Milliseconds that the event loop waits for a round of poll(2). */
const TURN = 10;
/** In which nothing at all happened, before silence is believed. */
const QUIET_TURNS = 3;

interface End {
  readonly host: Host;
  readonly addresses: readonly IpAddress[];
  /** Sees every SCTP packet, of both roles, by version. */
  readonly sctp: ReadonlyMap<4 | 6, number>;
}

/** Serves ports of all protocols at every host, until it is closed. */
export function openProber(hosts: readonly Host[], ports: readonly number[]): Prober {
  return new OpenProber(hosts, ports);
}

type Ready = () => void;

/** One round of questions. */
interface Round {
  readonly port: number;
  readonly answers: Answer[];
  readonly sockets: number[];
  left: number;
}

class OpenProber implements Prober {
  private readonly ends = new Map<string, End>();
  private readonly watched = new Map<number, 'read' | 'write'>();
  private readonly handlers = new Map<number, Ready>();
  private readonly served: ReadonlySet<number>;
  private rounds = 0;
  /** Tells answers to questions of this round from those to older ones. */
  private ids = 1;
  private firstId = 1;
  private round: Round | undefined;

  constructor(hosts: readonly Host[], ports: readonly number[]) {
    this.served = new Set(ports);
    for (const host of hosts) host.namespace.inside(() => this.serve(host));
  }

  async ask(probes: readonly Probe[], patience: number): Promise<readonly Answer[]> {
    const port = SOURCE_PORTS.first + (this.rounds++ % SOURCE_PORTS.count);
    const round: Round = { port, answers: probes.map(() => 'silence'), sockets: [], left: probes.length };
    this.round = round;
    this.firstId = this.ids;
    this.ids += probes.length;
    try {
      for (const end of this.ends.values()) {
        const asked = [...probes.entries()].filter(([, { from }]) => from === end.host.name);
        if (asked.length > 0) end.host.namespace.inside(() => this.send(round, end, asked));
      }
      await this.listen(round, patience);
      return round.answers;
    } finally {
      for (const fd of round.sockets) this.drop(fd);
      this.round = undefined;
    }
  }

  close(): void {
    for (const fd of [...this.watched.keys()]) this.drop(fd);
  }

  private serve(host: Host): void {
    const addresses = host.ips.map(addressOf);
    const sctp = new Map<4 | 6, number>();
    for (const { version } of addresses) {
      for (const port of this.served) {
        const listener = openSocket(version, 'tcp');
        bindPort(listener, version, port);
        listenAt(listener);
        this.watch(listener, 'read', () => dismissCallers(listener));
        const echo = openSocket(version, 'udp');
        bindPort(echo, version, port);
        this.watch(echo, 'read', () => {
          for (const { octets, sender } of receiveAll(echo)) sendTo(echo, octets, sender);
        });
      }
      const raw = openSocket(version, 'sctp');
      this.watch(raw, 'read', () => {
        for (const datagram of receiveAll(raw)) this.takeSctp(raw, version, datagram);
      });
      sctp.set(version, raw);
    }
    this.ends.set(host.name, { host, addresses, sctp });
  }

  /** Greets back whoever opens an association. */
  private takeSctp(raw: number, version: 4 | 6, { octets, sender }: Datagram): void {
    // Raw sockets of IPv4 see the header.
    const greeting = decodeGreeting(version === 4 ? octets.subarray(((octets[0] ?? 0) & 0xf) * 4) : octets);
    if (greeting === undefined) return;
    if (greeting.kind === 'initAck') this.note(greeting.verificationTag, 'open');
    else if (this.served.has(greeting.destinationPort)) greetBack(raw, greeting, sender);
  }

  /** In the sender's namespace. */
  private send(round: Round, from: End, asked: readonly (readonly [number, Probe])[]): void {
    const udp = new Map<4 | 6, number>();
    for (const [index, { to, address: which, protocol, port }] of asked) {
      const address = this.endOf(to).addresses[which];
      if (address === undefined) throw new Error(`${to} has no address ${which}`);
      const id = this.firstId + index;
      if (protocol === 'TCP') this.connect(round, index, address, port);
      else if (protocol === 'UDP')
        sendTo(this.udpSocket(round, udp, address.version), idOctets(id), sockaddrOf(address, port));
      else sendTo(from.sctp.get(address.version) ?? -1, greetingOf(round.port, port, id), sockaddrOf(address, 0));
    }
  }

  private connect(round: Round, index: number, address: IpAddress, port: number): void {
    const fd = openSocket(address.version, 'tcp');
    round.sockets.push(fd);
    bindPort(fd, address.version, round.port);
    startConnecting(fd, address, port);
    this.watch(fd, 'write', () => {
      this.note(this.firstId + index, connectionState(fd));
      this.forget(fd);
    });
  }

  private udpSocket(round: Round, sockets: Map<4 | 6, number>, version: 4 | 6): number {
    const known = sockets.get(version);
    if (known !== undefined) return known;
    const fd = openSocket(version, 'udp');
    round.sockets.push(fd);
    sockets.set(version, fd);
    bindPort(fd, version, round.port);
    this.watch(fd, 'read', () => {
      for (const { octets } of receiveAll(fd)) this.note(octets.readUInt32BE(0), 'open');
    });
    return fd;
  }

  private async listen(round: Round, patience: number): Promise<void> {
    let [left, heard, quiet] = [round.left, Date.now(), 0];
    // Time alone says little: this thread may have stood still while answers came.
    while (round.left > 0 && (quiet < QUIET_TURNS || Date.now() - heard < patience)) {
      const ready = waitForAny(this.watched, TURN);
      for (const fd of ready) this.handlers.get(fd)?.();
      quiet = ready.length === 0 ? quiet + 1 : 0;
      if (round.left < left) [left, heard] = [round.left, Date.now()];
      // Others of this thread have their turn.
      await new Promise(resolve => setImmediate(resolve));
    }
  }

  private note(id: number, answer: Answer): void {
    const { round } = this;
    const index = id - this.firstId;
    if (round?.answers[index] !== 'silence') return;
    round.answers[index] = answer;
    round.left -= 1;
  }

  private endOf(name: string): End {
    const end = this.ends.get(name);
    if (end === undefined) throw new Error(`no host is called ${name}`);
    return end;
  }

  private watch(fd: number, how: 'read' | 'write', ready: Ready): void {
    this.watched.set(fd, how);
    this.handlers.set(fd, ready);
  }

  private forget(fd: number): void {
    this.watched.delete(fd);
    this.handlers.delete(fd);
  }

  private drop(fd: number): void {
    this.forget(fd);
    closeDescriptor(fd);
  }
}

function greetBack(raw: number, { sourcePort, destinationPort, initiateTag }: Greeting, sender: Uint8Array): void {
  const answer = encodeGreeting({
    kind: 'initAck',
    sourcePort: destinationPort,
    destinationPort: sourcePort,
    verificationTag: initiateTag,
    initiateTag,
  });
  sendTo(raw, answer, sender);
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

function idOctets(id: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(id);
  return octets;
}

function greetingOf(sourcePort: number, destinationPort: number, initiateTag: number): Buffer {
  return encodeGreeting({ kind: 'init', sourcePort, destinationPort, verificationTag: 0, initiateTag });
}
