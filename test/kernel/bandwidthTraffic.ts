/** A TCP flow between two namespaces, and how much of it arrived in how much time. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Namespace } from './namespace.js';

export interface Flow {
  readonly from: Namespace;
  readonly to: Namespace;
  /** Of the receiver. */
  readonly address: string;
  readonly port: number;
  readonly seconds: number;
}

export interface Measured {
  /** Of what TCP carried. */
  readonly octets: number;
  /** From the first octet to the last, by the receiver's clock. */
  readonly seconds: number;
  /** Octets of frames for each octet of what they carry: full packets of 1500 octets with time stamps. */
  readonly frames: number;
}

const RECEIVER = `
const [address, port, seconds] = process.argv.slice(1);
let begun, octets = 0;
const server = require('node:net').createServer(socket => socket.on('error', () => {}).on('data', data => {
  const now = process.hrtime.bigint();
  if (begun === undefined) { begun = now; return; }
  octets += data.length;
  const passed = Number(now - begun) / 1e9;
  if (passed < Number(seconds)) return;
  console.log(JSON.stringify({ octets, seconds: passed }));
  process.exit();
}));
server.listen(Number(port), address, () => console.log('listening'));
`;

const SENDER = `
const [address, port] = process.argv.slice(1);
const socket = require('node:net').connect(Number(port), address);
const chunk = Buffer.alloc(65536);
const write = () => { while (socket.write(chunk)); };
socket.on('connect', write).on('drain', write).on('error', () => process.exit());
`;

/** Milliseconds beyond what is measured, after which nothing more is waited for. */
const PATIENCE = 60_000;

/** Sends as fast as it goes for so many seconds. @throws Error when the receiver ends without an answer */
export async function measure({ from, to, address, port, seconds }: Flow): Promise<Measured> {
  const receiver = run(to, RECEIVER, address, String(port), String(seconds));
  const lines = createInterface({ input: receiver.stdout! })[Symbol.asyncIterator]() as AsyncIterator<
    string,
    undefined
  >;
  let sender: ChildProcess | undefined;
  const limit = setTimeout(() => receiver.kill('SIGKILL'), seconds * 1000 + PATIENCE);
  try {
    await lines.next();
    sender = run(from, SENDER, address, String(port));
    const line = await lines.next();
    if (line.done === true) throw new Error(`nothing was measured at ${address}`);
    const { octets, seconds: passed } = JSON.parse(line.value) as Pick<Measured, 'octets' | 'seconds'>;
    return { octets, seconds: passed, frames: 1514 / (address.includes(':') ? 1428 : 1448) };
  } finally {
    clearTimeout(limit);
    await Promise.all([receiver, sender].map(end));
  }
}

function run(ns: Namespace, script: string, ...args: readonly string[]): ChildProcess {
  const command = ['netns', 'exec', ns.name, process.execPath, '-e', script, ...args];
  return spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
