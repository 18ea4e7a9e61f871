/** One BGP session of the load generator: connects, opens, keeps alive, and lets its owner log what arrives. */

import { connect, type Socket } from 'node:net';
import type { Family } from '../../src/bgp/families.js';
import { describeNotification, holdTimeOf, KEEPALIVE, MessageType, openMessage } from './minimalBgp.js';
import { MessageWalk } from './messageWalk.js';
import type { ArrivalLog } from './arrivalLog.js';

export interface BenchSessionOptions {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly asn: number;
  /** Seconds. */
  readonly holdTime: number;
  readonly routerId: number;
  readonly families: readonly Family[];
  /** Gets everything that arrives, unread; without it the session looks for NOTIFICATIONs itself. */
  readonly log?: ArrivalLog;
  readonly onArrival?: (now: number) => void;
  /** The session ended after it was up. */
  readonly onEnd?: (reason: string) => void;
}

export interface BenchSession {
  readonly socket: Socket;
  /** Milliseconds on the monotonic clock, of every read: kept only for the largest gaps. */
  readonly gaps: GapMeter;
  /** The smaller of both hold times, in seconds. */
  readonly holdTime: number;
  close(): void;
}

/** The longest silence of the other side. */
export class GapMeter {
  private last: number | undefined;
  largest = 0;
  reads = 0;

  /** @param now milliseconds */
  mark(now: number): void {
    if (this.last !== undefined) this.largest = Math.max(this.largest, now - this.last);
    this.last = now;
    this.reads++;
  }

  /** Silence that is still going on counts too. */
  largestUntil(now: number): number {
    return this.last === undefined ? 0 : Math.max(this.largest, now - this.last);
  }

  restart(now: number): void {
    this.largest = 0;
    this.reads = 0;
    this.last = now;
  }
}

/** Milliseconds of the clock that all processes on the machine share (CLOCK_MONOTONIC). */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const CONNECT_EVERY_MS = 50;
/** Sessions without a log read into this: each read is used up before the next one. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Tries until the speaker accepts and the session is up. Rejects after `patienceMs`. */
export async function establish(options: BenchSessionOptions, patienceMs: number): Promise<BenchSession> {
  const deadline = monotonicMs() + patienceMs;
  for (;;) {
    try {
      return await attempt(options, deadline - monotonicMs());
    } catch (error) {
      if (monotonicMs() + CONNECT_EVERY_MS > deadline) throw error;
      await new Promise(resolve => setTimeout(resolve, CONNECT_EVERY_MS));
    }
  }
}

function attempt(options: BenchSessionOptions, patienceMs: number): Promise<BenchSession> {
  return new Promise((resolve, reject) => {
    let up = false;
    let closing = false;
    let holdTime = options.holdTime;
    let keepalives: NodeJS.Timeout | undefined;
    const gaps = new GapMeter();
    const fail = (reason: string): void => {
      clearTimeout(patience);
      clearInterval(keepalives);
      socket.destroy();
      if (closing) return;
      closing = true;
      if (up) options.onEnd?.(reason);
      else reject(new Error(`${options.localAddress} to ${options.remoteAddress}: ${reason}`));
    };
    const walk = new MessageWalk((type, octets, start, end) => {
      if (type === MessageType.open) {
        holdTime = Math.min(options.holdTime, holdTimeOf(octets, start));
        socket.write(KEEPALIVE);
      } else if (type === MessageType.notification) fail(describeNotification(octets, start, end));
      else if (type === MessageType.keepalive && !up) {
        up = true;
        clearTimeout(patience);
        if (holdTime > 0) keepalives = setInterval(() => socket.write(KEEPALIVE), (holdTime * 1000) / 3);
        const close = (): void => {
          closing = true;
          clearInterval(keepalives);
          socket.destroy();
        };
        resolve({ socket, gaps, holdTime, close });
      }
    });
    const socket = connect({
      host: options.remoteAddress,
      port: 179,
      localAddress: options.localAddress,
      noDelay: true,
      onread: {
        buffer: () => options.log?.space() ?? readBuffer,
        callback: (length, octets) => {
          const now = monotonicMs();
          gaps.mark(now);
          if (!up || options.log === undefined) walk.push(octets, length);
          options.log?.arrived(length, now);
          options.onArrival?.(now);
          return true;
        },
      },
    });
    const patience = setTimeout(() => fail('not up in time'), Math.max(1, patienceMs));
    socket.on('connect', () =>
      socket.write(openMessage(options.asn, options.holdTime, options.routerId, options.families)),
    );
    socket.on('error', error => fail(error.message));
    socket.on('close', () => fail('closed by the speaker'));
  });
}
