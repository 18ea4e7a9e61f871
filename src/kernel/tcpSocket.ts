/**
 * TCP for routing protocols: sockets made and set up by hand (socketOptions.ts), then given to Node, which does the
 * reading and writing. It has the shape of bgp/session's SocketFactory without knowing BGP.
 */

import net from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { formatAddress, parseAddress, type IpAddress, type IpPrefix } from '../core/ip.js';
import { SyscallError } from './libc.js';
import {
  allowReuse,
  bindTo,
  bindToLink,
  closeDescriptor,
  duplicateDescriptor,
  firstTtl,
  keepFirstHeaders,
  openTcpSocket,
  setHopLimits,
  setMd5Key,
} from './socketOptions.js';

/** Both ends of a connection. */
interface Endpoints {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

interface Hops {
  readonly ttl?: number;
  readonly minTtl?: number;
}

interface StreamEvents {
  connected(): void;
  data(octets: Uint8Array): void;
  closed(text: string): void;
}

interface Stream {
  endpoints(): Endpoints;
  attach(events: StreamEvents): void;
  write(chunks: readonly Uint8Array[], flushed: () => void): void;
  pauseReading(): void;
  resumeReading(): void;
  setHops(hops: Hops): void;
  end(): void;
  destroy(): void;
}

interface ConnectOptions extends Hops {
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly local?: IpAddress;
  readonly password?: string;
}

interface ListenEvents {
  listening(): void;
  accepted(socket: Stream): void;
  failed(text: string): void;
}

interface Listening {
  setPassword(peer: IpAddress | IpPrefix, password: string | undefined): void;
  close(): void;
}

/** See SocketFactory and its neighbours in bgp/session/socketTypes.ts for what each call promises. */
export interface TcpSocketFactory {
  connect(options: ConnectOptions, events: StreamEvents): Stream;
  listen(options: { readonly address: IpAddress; readonly port: number }, events: ListenEvents): Listening;
}

/**
 * What a listening socket sends with: the SYN,ACK must pass the peer's GTSM (RFC 5082), and which peer it is is known
 * only afterwards.
 */
const LISTENER_TTL = 255;
const BACKLOG = 128;
/**
 * Where all sockets are read into. Octets are lent for one call, so that one buffer does for all; a buffer of its own for
 * each read would cost the kernel more time to provide than the octets take to understand.
 */
const readBuffer = new Uint8Array(1 << 16);

export function createSocketFactory(): TcpSocketFactory {
  return { connect, listen };
}

function connect(options: ConnectOptions, events: StreamEvents): Stream {
  const { remote, remotePort } = options;
  let stream: TcpStream;
  try {
    const fd = prepare(remote.version, made => {
      setHopLimits(made, remote.version, options.ttl, options.minTtl);
      if (options.password !== undefined) setMd5Key(made, remote, options.password);
      if (remote.version === 6 && remote.zone !== undefined) bindToLink(made, remote.zone);
      if (options.local !== undefined) bindTo(made, options.local, 0);
    });
    stream = new TcpStream({ fd });
  } catch (error) {
    return failedStream(errorText(error), events);
  }
  stream.attach(events);
  // The zone is in the socket already; Node would look its name up again.
  const host = formatAddress(remote.version === 6 ? { version: 6, words: remote.words } : remote);
  stream.connect(host, remotePort);
  return stream;
}

function listen(options: { readonly address: IpAddress; readonly port: number }, events: ListenEvents): Listening {
  const { address, port } = options;
  let fd: number | undefined;
  const server = net.createServer({ pauseOnConnect: true, noDelay: true }, socket => {
    const stream = takeOver(socket);
    if (stream?.noteEndpoints() === true) events.accepted(stream);
    else stream?.destroy();
  });
  const fail = (text: string): void => {
    fd = undefined;
    events.failed(text);
  };
  try {
    fd = prepare(address.version, made => {
      allowReuse(made);
      keepFirstHeaders(made);
      setHopLimits(made, address.version, LISTENER_TTL, undefined);
      bindTo(made, address, port);
    });
  } catch (error) {
    const text = errorText(error);
    setImmediate(() => fail(text));
    return { setPassword: () => undefined, close: () => undefined };
  }
  server.once('listening', () => events.listening());
  server.on('error', error => {
    server.close();
    fail(errorText(error));
  });
  server.listen({ fd, backlog: BACKLOG });
  return {
    setPassword: (peer, password) => {
      if (fd !== undefined) setMd5Key(fd, peer, password);
    },
    close: () => {
      fd = undefined;
      server.close();
    },
  };
}

/** The connection of a socket that Node accepted, on one of our own: only those made from a descriptor read into our buffer. */
function takeOver(accepted: net.Socket): TcpStream | undefined {
  const fd = descriptorOf(accepted);
  try {
    if (fd === undefined) return undefined;
    const came = firstTtl(fd, accepted.remoteFamily === 'IPv6' ? 6 : 4);
    // Of a connection made by SYN cookie nothing is kept: it counts as coming from anywhere.
    return new TcpStream({ fd: duplicateDescriptor(fd), pauseOnCreate: true }, came ?? 0);
  } catch {
    // Out of descriptors: the peer sees the connection close and comes again.
    return undefined;
  } finally {
    accepted.destroy();
  }
}

/** A socket on which `setUp` succeeded; one on which it did not is closed. */
function prepare(version: 4 | 6, setUp: (fd: number) => void): number {
  const fd = openTcpSocket(version);
  try {
    setUp(fd);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Reports a failure the way a socket would: later, and not when it was destroyed in between. */
function failedStream(text: string, events: StreamEvents): Stream {
  const stream = new TcpStream({});
  stream.attach(events);
  setImmediate(() => stream.fail(text));
  return stream;
}

interface DescriptorOptions extends net.SocketConstructorOpts {
  /** Nothing is read before `resume`. */
  readonly pauseOnCreate?: boolean;
}

/** Node takes `onread` here as it does in `connect`, where a descriptor of one's own cannot be given. */
interface ReadingOptions extends DescriptorOptions {
  readonly onread: net.OnReadOpts;
}

/** One connection, over Node's socket. A class because its calls and Node's events share whether it is over. */
class TcpStream implements Stream {
  readonly #socket: net.Socket;
  #events: StreamEvents | undefined;
  #over = false;
  #error: string | undefined;
  /** Kept, because the kernel forgets them when the connection breaks, perhaps with octets still to be read. */
  #endpoints: Endpoints | undefined;

  /** @param firstTtl with which an accepted connection's first packet came; absent for one of our own */
  constructor(
    options: DescriptorOptions,
    private readonly firstTtl?: number,
  ) {
    const callback = (size: number): boolean => {
      if (!this.#over) this.#events?.data(readBuffer.subarray(0, size));
      return true;
    };
    const reading: ReadingOptions = { ...options, onread: { buffer: readBuffer, callback } };
    const socket = new net.Socket(reading);
    this.#socket = socket;
    socket.on('error', error => (this.#error = errorText(error)));
    socket.on('close', () => this.fail(this.#error ?? 'closed'));
    socket.on('end', () => this.fail('closed by the peer'));
  }

  endpoints(): Endpoints {
    if (this.#endpoints === undefined) throw new Error('a socket that is not connected has no endpoints');
    return this.#endpoints;
  }

  /** Notes both ends. @returns false when the connection, or its link, is gone already */
  noteEndpoints(): boolean {
    this.#endpoints = endpointsOf(this.#socket);
    return this.#endpoints !== undefined;
  }

  attach(events: StreamEvents): void {
    this.#events = events;
    if (!this.#socket.pending) this.#socket.resume();
  }

  connect(host: string, port: number): void {
    this.#socket.once('connect', () => this.#connected());
    this.#socket.connect({ host, port });
  }

  #connected(): void {
    if (this.#over) return;
    if (this.noteEndpoints()) this.#events?.connected();
    else this.fail('closed by the peer');
  }

  /** The end, told once. */
  fail(text: string): void {
    if (this.#over) return;
    this.destroy();
    this.#events?.closed(text);
  }

  write(chunks: readonly Uint8Array[], flushed: () => void): void {
    const last = chunks.length - 1;
    const done = (error?: Error | null): void => {
      if (!this.#over && (error === undefined || error === null)) flushed();
    };
    this.#socket.cork();
    chunks.forEach((chunk, i) => this.#socket.write(chunk, i === last ? done : undefined));
    this.#socket.uncork();
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  setHops(hops: Hops): void {
    const fd = descriptorOf(this.#socket);
    if (fd === undefined) return;
    const version = this.#socket.remoteFamily === 'IPv6' ? 6 : 4;
    setHopLimits(fd, version, hops.ttl, hops.minTtl);
    // What arrived before the limit was set is in the buffer unchecked: the SYN tells how far its sender is.
    const { firstTtl: came } = this;
    if (came !== undefined && hops.minTtl !== undefined && came < hops.minTtl) {
      this.#socket.destroy(new Error(`TTL ${came} of the peer's packets is below ${hops.minTtl}`));
    }
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#over = true;
    this.#socket.destroy();
  }
}

function endpointsOf(socket: net.Socket): Endpoints | undefined {
  try {
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    const local = parseAddress(localAddress ?? '');
    const remote = parseAddress(remoteAddress ?? '');
    if (!local.ok || !remote.ok || localPort === undefined || remotePort === undefined) return undefined;
    return { local: local.value, localPort, remote: remote.value, remotePort };
  } catch {
    // Node throws when the link of a link-local address has gone.
    return undefined;
  }
}

/** Node gives no public way to the descriptor of an accepted socket; its handle has had `fd` in all versions. */
function descriptorOf(socket: net.Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}

/** "connection refused" rather than "connect ECONNREFUSED 10.0.0.2:179": who and where is for the caller to say. */
function errorText(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('errno' in error && typeof error.errno === 'number') {
    const words = getSystemErrorMap().get(-Math.abs(error.errno))?.[1];
    if (words !== undefined) return error instanceof SyscallError ? `${words} (${error.call})` : words;
  }
  return 'message' in error ? String(error.message) : 'unknown error';
}
