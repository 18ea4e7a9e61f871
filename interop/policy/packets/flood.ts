/** Datagrams without end, each from a port of its own, and how many of them came through: counted by kernels. Impure. */

import { execFileSync } from 'node:child_process';
import { LineProcess } from '../../../lab/traffic/lineProcess.js';
import type { Namespace } from '../../../test/kernel/namespace.js';
import type { Host } from './prober.js';

const PORT = 9;
/** Milliseconds between two to the same address. */
const INTERVAL = 4;
const TABLE = 'peerage-flood';

const PROGRAM = `
const dgram = require('node:dgram');
const { addresses, port, interval } = JSON.parse(process.argv[1]);
let sent = 0, open = 0, failures = [], isOver = false, wake = () => undefined;
function send(address) {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  open++;
  socket.send('!', port, address, error => {
    if (error) failures.push(error.code ?? error.message); else sent++;
    socket.close();
    if (--open === 0) wake();
  });
}
const timer = setInterval(() => addresses.forEach(send), interval);
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, act } = JSON.parse(line);
  const answer = () => process.stdout.write(JSON.stringify({ id, answer: { sent, failures } }) + '\\n');
  if (act === 'stop') { clearInterval(timer); if (open > 0) { wake = answer; return; } }
  answer();
}).on('close', () => process.exit(0));
`;

export interface FloodCount {
  readonly sent: number;
  readonly failures: readonly string[];
}

export interface Flood {
  count(): Promise<FloodCount>;
  /** @returns after the last one is on its way */
  stop(): Promise<FloodCount>;
  end(): Promise<void>;
}

/** Begins at once, to all addresses of the other. */
export function startFlood(from: Host, to: Host): Flood {
  const order = JSON.stringify({ addresses: to.ips, port: PORT, interval: INTERVAL });
  const process = new LineProcess(from.namespace.name, PROGRAM, order);
  return {
    count: async () => (await process.ask({ act: 'count' })) as FloodCount,
    stop: async () => (await process.ask({ act: 'stop' })) as FloodCount,
    end: () => process.end(),
  };
}

/** Counts what arrives of floods, by sender, where it arrives; nothing answers. */
export function countArrivals(at: Namespace, senders: readonly Host[]): void {
  const rules = senders.flatMap(({ name, ips }) =>
    ips.map(ip => `${ip.includes(':') ? 'ip6' : 'ip'} saddr ${ip} counter name "${counterOf(name)}"`),
  );
  nft(at, [
    `table inet ${TABLE} {`,
    ...senders.map(({ name }) => `counter ${counterOf(name)} {}`),
    `chain arrivals { type filter hook input priority 0;`,
    ...rules.map(rule => `udp dport ${PORT} ${rule}`),
    `udp dport ${PORT} drop`,
    '}',
    '}',
  ]);
}

/** Packets of this sender so far. */
export function arrivals(at: Namespace, { name }: Host): number {
  const text = nft(at, [`list counter inet ${TABLE} ${counterOf(name)}`]);
  const packets = /packets (\d+)/.exec(text)?.[1];
  if (packets === undefined) throw new Error(`no count of ${name} in ${text}`);
  return Number(packets);
}

const counterOf = (name: string): string => `from-${name.replace('/', '-')}`;

function nft({ name }: Namespace, lines: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: lines.join('\n'), encoding: 'utf8' });
}
