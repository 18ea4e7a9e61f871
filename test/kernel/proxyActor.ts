/**
 * A process in a network namespace that serves and asks over TCP, UDP and, where the kernel has it, SCTP: a server answers
 * with its name and the address that it sees the client at.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Question {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly address: string;
  readonly port: number;
  /** Source address; absent: the kernel's choice. SCTP needs it, since it tells its peer of all addresses otherwise. */
  readonly from?: string;
  /** Source port. */
  readonly fromPort?: number;
  /** Milliseconds to wait for an answer. */
  readonly patience?: number;
  /** Keep the TCP connection, under this name. */
  readonly keep?: string;
}

/** `NAME CLIENT-ADDRESS`, `refused`, `silence`, or `error CODE`. */
export type Answer = string;

export interface Actor {
  /** Listens on TCP and UDP on all addresses. */
  serve(name: string, port: number): Promise<void>;
  /** Listens on SCTP, on each of the addresses alone. */
  serveSctp(name: string, port: number, addresses: readonly string[]): Promise<void>;
  ask(question: Question): Promise<Answer>;
  /** Sends a line over a kept connection. @returns what comes back */
  askKept(name: string, patience?: number): Promise<Answer>;
  stop(): Promise<void>;
}

const PROGRAM = `
const net = require('node:net'), dgram = require('node:dgram');
const kept = new Map();
const bare = address => address.replace(/^::ffff:/, '');
const reply = (id, text) => process.stdout.write(JSON.stringify({ id, text }) + '\\n');
const fault = error => ['ECONNREFUSED', 'ECONNRESET'].includes(error.code) ? 'refused' : 'error ' + error.code;
const greeter = name => net.createServer(socket => {
  socket.on('error', () => undefined);
  const text = name + ' ' + bare(socket.remoteAddress) + '\\n';
  socket.on('data', () => socket.write(text));
});
function sctpSocket(address, port) {
  const koffi = require('koffi'), libc = koffi.load('libc.so.6');
  const isSix = address.includes(':'), at = Buffer.alloc(isSix ? 28 : 16);
  at.writeUInt16LE(isSix ? 10 : 2, 0);
  at.writeUInt16BE(port, 2);
  if (isSix) {
    const [left, right = ''] = address.split('::').map(half => half.split(':').filter(Boolean));
    left.forEach((word, i) => at.writeUInt16BE(parseInt(word, 16), 8 + 2 * i));
    [...right].forEach((word, i) => at.writeUInt16BE(parseInt(word, 16), 24 - 2 * (right.length - i)));
  } else address.split('.').forEach((octet, i) => at.writeUInt8(Number(octet), 4 + i));
  const fd = libc.func('int socket(int, int, int)')(isSix ? 10 : 2, 1, 132);
  if (fd < 0) throw Object.assign(new Error('no SCTP'), { code: 'NOSCTP' });
  if (libc.func('int bind(int, void *, uint32_t)')(fd, at, at.length) !== 0) throw Object.assign(new Error('bind'), { code: 'BIND' });
  return fd;
}
function serveSctp({ name, port, addresses }, done) {
  let missing = addresses.length;
  try {
    for (const address of addresses)
      greeter(name).listen({ fd: sctpSocket(address, port) }, () => { missing -= 1; if (missing === 0) done('ok'); });
  } catch (error) { done(fault(error)); }
}
function serve({ name, port }, done) {
  greeter(name).listen(port, '::', () => {
    const udp = dgram.createSocket('udp6');
    udp.on('message', (_, from) => udp.send(name + ' ' + bare(from.address), from.port, from.address));
    udp.bind(port, '::', () => done('ok'));
  });
}
function once(done) { let isDone = false; return text => { if (!isDone) { isDone = true; done(text); } }; }
function askTcp(question, answer) {
  const done = once(text => { clearTimeout(timer); if (question.keep === undefined || text === 'silence') socket.destroy(); answer(text); });
  const goal = { host: question.address, port: question.port };
  const socket = question.isSctp
    ? new net.Socket({ fd: sctpSocket(question.from, 0) }).connect(goal)
    : net.connect({ ...goal, localAddress: question.from, localPort: question.fromPort });
  const timer = setTimeout(() => done('silence'), question.patience);
  socket.on('connect', () => socket.write('?'));
  socket.on('data', data => done(String(data).trim()));
  socket.on('error', error => done(fault(error)));
  if (question.keep !== undefined) kept.set(question.keep, socket);
}
function askUdp(question, answer) {
  const socket = dgram.createSocket(question.address.includes(':') ? 'udp6' : 'udp4');
  const done = once(text => { clearTimeout(timer); socket.close(); answer(text); });
  const timer = setTimeout(() => done('silence'), question.patience);
  socket.on('message', data => done(String(data)));
  socket.on('error', error => done(fault(error)));
  socket.bind(question.fromPort ?? 0, question.from, () => socket.connect(question.port, question.address, error => {
    if (error) done(fault(error)); else socket.send('?');
  }));
}
function askKept({ keep, patience }, answer) {
  const socket = kept.get(keep);
  const onData = data => done(String(data).trim()), onError = error => done(fault(error));
  const done = once(text => { clearTimeout(timer); socket.off('data', onData).off('error', onError); answer(text); });
  const timer = setTimeout(() => done('silence'), patience);
  socket.on('data', onData).on('error', onError);
  socket.write('?');
}
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, kind, ...rest } = JSON.parse(line);
  const act = { serve, serveSctp, tcp: askTcp, sctp: askTcp, udp: askUdp, kept: askKept }[kind];
  act({ ...rest, isSctp: kind === 'sctp' }, text => reply(id, text));
}).on('close', () => process.exit(0));
`;

const PATIENCE = 30_000;

/** @param namespace as `ip netns` knows it; needs root */
export function startActor(namespace: string): Actor {
  return new Process(
    spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
}

class Process implements Actor {
  private next = 0;
  private readonly waiting = new Map<number, (text: string) => void>();

  constructor(private readonly child: ChildProcess) {
    createInterface({ input: child.stdout! }).on('line', line => {
      const answer: unknown = JSON.parse(line);
      if (typeof answer !== 'object' || answer === null || !('id' in answer) || !('text' in answer)) return;
      this.waiting.get(Number(answer.id))?.(String(answer.text));
      this.waiting.delete(Number(answer.id));
    });
  }

  async serve(name: string, port: number): Promise<void> {
    await this.tell('serve', { name, port });
  }

  async serveSctp(name: string, port: number, addresses: readonly string[]): Promise<void> {
    const answer = await this.tell('serveSctp', { name, port, addresses });
    if (answer !== 'ok') throw new Error(`no SCTP server: ${answer}`);
  }

  ask({ protocol, ...question }: Question): Promise<Answer> {
    return this.tell(protocol, { patience: PATIENCE, ...question });
  }

  askKept(name: string, patience = PATIENCE): Promise<Answer> {
    return this.tell('kept', { keep: name, patience });
  }

  stop(): Promise<void> {
    return new Promise(resolve => {
      this.child.once('exit', () => resolve());
      this.child.stdin?.end();
    });
  }

  private tell(kind: string, rest: object): Promise<string> {
    const id = ++this.next;
    return new Promise(resolve => {
      this.waiting.set(id, resolve);
      this.child.stdin?.write(`${JSON.stringify({ id, kind, ...rest })}\n`);
    });
  }
}
