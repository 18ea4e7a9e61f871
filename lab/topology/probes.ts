/** Real packets: pings with their losses, TCP exchanges, and what a route monitor saw. Impure. */

import { waitFor } from './commands.js';
import type { Program, Topology } from './topology.js';

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; NaN when nothing came back. */
  readonly averageMs: number;
}

/** @param interval seconds between two packets */
export async function ping(
  topology: Topology,
  from: string,
  to: string,
  count = 1,
  interval = 0.2,
): Promise<PingResult> {
  const seconds = Math.ceil(count * interval) + 2;
  const args = [
    to.includes(':') ? '-6' : '-4',
    '-n',
    '-q',
    '-c',
    String(count),
    '-i',
    String(interval),
    '-W',
    '1',
    '-w',
    String(seconds),
    to,
  ];
  const { stdout } = await topology.exec(from, 'ping', args, (seconds + 5) * 1000);
  return parsePing(stdout);
}

/** Milliseconds to wait for one more answer at the end of a stream. */
const LAST_ANSWER = 10_000;

/** A ping that runs until its end is asked for. */
export class PingStream {
  private constructor(private readonly program: Program) {}

  static start(topology: Topology, from: string, to: string, interval: number): PingStream {
    const args = [to.includes(':') ? '-6' : '-4', '-n', '-i', String(interval), '-W', '1', to];
    return new PingStream(topology.start(from, `ping-${from}`, 'ping', args));
  }

  /**
   * Waits for one more answer, and counts what was sent until the last one: what is on its way when ping(8) is ended is
   * not lost. Without another answer everything counts that was sent.
   */
  async stop(): Promise<PingResult> {
    const before = lastAnswered(this.program.log());
    const last = await waitFor('one more answer', LAST_ANSWER, () => {
      const now = lastAnswered(this.program.log());
      return now > before ? now : undefined;
    }).catch(() => undefined);
    await this.program.end('SIGINT');
    const all = parsePing(this.program.log());
    return last === undefined ? all : { ...all, sent: lastAnswered(this.program.log()) };
  }
}

/** @returns the number of the last packet that ping(8) says was answered; 0: none was */
function lastAnswered(text: string): number {
  return [...text.matchAll(/icmp_seq=(\d+) .*time=/g)].reduce((most, [, number]) => Math.max(most, Number(number)), 0);
}

/** Reads the two closing lines of ping(8). */
export function parsePing(text: string): PingResult {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(text);
  const times = /= [\d.]+\/([\d.]+)\//.exec(text);
  return {
    sent: Number(counts?.[1] ?? 0),
    received: Number(counts?.[2] ?? 0),
    averageMs: times === null ? Number.NaN : Number(times[1]),
  };
}

const ECHO = `
const net = require('node:net');
for (const host of process.argv.slice(1)) net.createServer(s => s.pipe(s)).listen({ host, port: 7000, ipv6Only: host.includes(':') });
`;
/** Prints how many of the addresses repeated what they were sent. */
const ASK = `
let good = 0, left = process.argv.length - 1;
for (const host of process.argv.slice(1)) {
  const s = require('node:net').connect({ host, port: 7000, timeout: 3000 }, () => s.write('peerage'));
  s.on('data', d => { if (String(d) === 'peerage') good++; s.destroy(); });
  s.on('error', () => {});
  s.on('timeout', () => s.destroy());
  s.on('close', () => { if (--left === 0) console.log(good); });
}
`;

/** Answers TCP on port 7000 of these addresses of a host by repeating what it hears. */
export function startEcho(topology: Topology, host: string, addresses: readonly string[]): Program {
  return topology.start(host, `echo-${host}`, process.execPath, ['-e', ECHO, ...addresses]);
}

/** @returns of how many addresses the echo service repeated what it was sent */
export async function askEchoes(topology: Topology, from: string, addresses: readonly string[]): Promise<number> {
  const { stdout } = await topology.exec(from, process.execPath, ['-e', ASK, ...addresses], 10_000);
  return Number(stdout);
}

/** Watches a host's routes with `ip monitor`. */
export class RouteMonitor {
  private constructor(private readonly program: Program) {}

  static start(topology: Topology, host: string): RouteMonitor {
    return new RouteMonitor(topology.start(host, `monitor-${host}`, 'ip', ['monitor', 'route']));
  }

  /** Lines about these prefixes so far: `Deleted 10.…` for deletions. */
  changes(prefixes: readonly string[]): string[] {
    return this.program
      .log()
      .split('\n')
      .filter(line => prefixes.some(prefix => line.replace(/^Deleted /, '').startsWith(`${prefix} `)));
  }

  async stop(): Promise<void> {
    await this.program.end();
  }
}
