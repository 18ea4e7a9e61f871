/** TCP without a kernel: hosts that connect to each other over a virtual clock, with links a test can cut or clog. */

import { formatAddress, parseAddress, type IpAddress } from '../../../../src/core/ip.js';
import type { SessionEndpoints } from '../../../../src/bgp/session/sessionTypes.js';
import type {
  ConnectOptions,
  ListeningEvents,
  SocketEvents,
  SocketFactory,
  SocketHops,
  StreamSocket,
} from '../../../../src/bgp/session/socketTypes.js';
import type { VirtualClock } from '../../core/virtualClock.js';

interface ListenerEntry {
  readonly events: ListeningEvents;
  readonly passwords: Map<string, string>;
}

export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export class MemoryNetwork {
  readonly #listeners = new Map<string, ListenerEntry>();
  readonly sockets: MemorySocket[] = [];
  #port = 40000;
  /** Chunks are cut into pieces of so many octets on their way. */
  segment = Infinity;
  /** Milliseconds for a segment to arrive; those of one direction never overtake each other. */
  latency: () => number = () => 1;

  constructor(readonly clock: VirtualClock) {}

  /** The sockets that a host at this address has. */
  host(at: string): SocketFactory {
    return {
      connect: (options, events) => this.#connect(at, options, events),
      listen: ({ address: on, port }, events) => {
        const key = `${formatAddress(on)}:${port}`;
        const passwords = new Map<string, string>();
        this.#listeners.set(key, { events, passwords });
        this.clock.setTimeout(() => events.listening(), 0);
        return {
          setPassword: (peer, password) => {
            if ('length' in peer) throw new Error('prefixes are for the kernel tests');
            if (password === undefined) passwords.delete(formatAddress(peer));
            else passwords.set(formatAddress(peer), password);
          },
          close: () => this.#listeners.delete(key),
        };
      },
    };
  }

  #connect(from: string, options: ConnectOptions, events: SocketEvents): StreamSocket {
    const remote = formatAddress(options.remote);
    const local = { at: from, port: this.#port++ };
    const socket = new MemorySocket(this, local, { at: remote, port: options.remotePort });
    this.sockets.push(socket);
    socket.hops = { ...(options.ttl === undefined ? {} : { ttl: options.ttl }) };
    socket.attach(events);
    this.clock.setTimeout(() => this.#handshake(socket, options.password, events), this.latency());
    return socket;
  }

  #handshake(socket: MemorySocket, password: string | undefined, events: SocketEvents): void {
    const listener = this.#listeners.get(`${socket.remote.at}:${socket.remote.port}`);
    if (socket.destroyed) return;
    if (listener === undefined) {
      socket.fail('connection refused');
      return;
    }
    // A SYN with the wrong signature, or none, is not answered.
    if (listener.passwords.get(socket.local.at) !== password) return;
    const accepted = new MemorySocket(this, socket.remote, socket.local);
    this.sockets.push(accepted);
    socket.peer = accepted;
    accepted.peer = socket;
    accepted.arrive(() => {
      if (!socket.destroyed) events.connected();
    });
    listener.events.accepted(accepted);
  }
}

interface End {
  readonly at: string;
  readonly port: number;
}

export class MemorySocket implements StreamSocket {
  peer: MemorySocket | undefined;
  hops: SocketHops = {};
  destroyed = false;
  /** The link loses everything that is sent from here. */
  cut = false;
  /** The peer does not read: nothing written is taken. */
  clogged = false;
  readonly written: Uint8Array[] = [];
  paused = 0;
  #events: SocketEvents | undefined;
  #arrived: Uint8Array[] = [];
  #reading = true;
  #ended = false;
  #lastArrival = 0;

  constructor(
    readonly network: MemoryNetwork,
    readonly local: End,
    readonly remote: End,
  ) {}

  endpoints(): SessionEndpoints {
    const { local, remote } = this;
    return {
      local: address(local.at),
      localPort: local.port,
      remote: address(remote.at),
      remotePort: remote.port,
    };
  }

  attach(events: SocketEvents): void {
    this.#events = events;
    this.network.clock.setTimeout(() => this.#deliver(), 0);
  }

  write(chunks: readonly Uint8Array[], flushed: () => void): void {
    if (this.clogged) return;
    const copy = Buffer.concat(chunks);
    this.written.push(copy);
    this.network.clock.setTimeout(() => {
      if (!this.destroyed) flushed();
    }, 0);
    if (this.cut) return;
    for (let at = 0; at < copy.length; at += this.network.segment) {
      const piece = copy.subarray(at, Math.min(copy.length, at + this.network.segment));
      this.arrive(() => this.peer?.receive(piece));
    }
  }

  /** Lets something of this direction happen at the other end, after all that went before. */
  arrive(effect: () => void): void {
    const { clock, latency } = this.network;
    this.#lastArrival = Math.max(this.#lastArrival, clock.now() + latency());
    clock.setTimeout(effect, this.#lastArrival - clock.now());
  }

  receive(octets: Uint8Array): void {
    this.#arrived.push(octets);
    this.#deliver();
  }

  pauseReading(): void {
    this.paused++;
    this.#reading = false;
  }

  resumeReading(): void {
    this.#reading = true;
    this.network.clock.setTimeout(() => this.#deliver(), 0);
  }

  setHops(hops: SocketHops): void {
    this.hops = hops;
  }

  end(): void {
    this.#ended = true;
    if (!this.cut) this.arrive(() => this.peer?.fail('closed by the peer'));
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    if (this.#ended || this.cut) return;
    this.arrive(() => this.peer?.fail('closed by the peer'));
  }

  fail(text: string): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#events?.closed(text);
  }

  #deliver(): void {
    while (this.#reading && !this.destroyed && this.#events !== undefined) {
      const next = this.#arrived.shift();
      if (next === undefined) return;
      // Lent for the call only: afterwards it is garbage, and whoever kept it will notice.
      const lent = Uint8Array.from(next);
      this.#events.data(lent);
      lent.fill(0xee);
    }
  }
}
