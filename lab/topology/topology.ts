/**
 * A network of namespaces on this machine: hosts, links, switches, and programs that run inside. Impure.
 *
 * Every name begins with the topology's prefix; what an earlier run with that prefix left behind is removed first, and
 * `close` removes all of it again. Programs are ended by their own process ids.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempt, run, sleep, type Output } from './commands.js';

/** A program inside a namespace. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Everything it has printed. */
  log(): string;
  running(): boolean;
  signal(signal: NodeJS.Signals): void;
  /** Signals and waits for its end; SIGKILL after twenty seconds. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** Milliseconds between a polite signal and SIGKILL. */
const PATIENCE = 20_000;

export class Topology {
  /** Files of this run: configurations, sockets, logs. Removed by `close`. */
  readonly folder: string;
  private readonly programs: RunningProgram[] = [];
  private readonly hosts = new Set<string>();
  private readonly endings: (() => Promise<void>)[] = [];
  private links = 0;
  private closed = false;

  private constructor(readonly prefix: string) {
    this.folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
    mkdirSync(join(this.folder, 'logs'));
  }

  /** @param prefix short and unique to the caller: namespaces are `prefix-host` */
  static async open(prefix: string): Promise<Topology> {
    if (process.getuid?.() !== 0) throw new Error('network namespaces need root: run as root, or with sudo');
    await removeLeftovers(prefix);
    return new Topology(prefix);
  }

  /** Makes a namespace with its loopback up. @returns its full name */
  async host(name: string): Promise<string> {
    const full = this.name(name);
    await run('ip', 'netns', 'add', full);
    this.hosts.add(full);
    await run('ip', '-n', full, 'link', 'set', 'lo', 'up');
    // Duplicate address detection would keep IPv6 addresses unusable for the first second or two.
    await this.sysctl(name, 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
    return full;
  }

  /** Lets a host pass packets on. */
  async forward(name: string): Promise<void> {
    await this.sysctl(name, 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  }

  /** A host that is a switch: returns how to plug others in. */
  async bridge(name: string): Promise<void> {
    await this.host(name);
    await this.ip(name, 'link', 'add', 'br0', 'type', 'bridge');
    await this.ip(name, 'link', 'set', 'br0', 'up');
  }

  /** A cable between two hosts, each end up with its addresses (`10.0.0.1/24`). */
  async cable(a: End, b: End): Promise<void> {
    const number = ++this.links;
    const [left, right] = [`${this.prefix}${number}a`, `${this.prefix}${number}b`];
    await run('ip', 'link', 'add', left, 'type', 'veth', 'peer', 'name', right);
    await this.plug(left, a);
    await this.plug(right, b);
  }

  /** Plugs a host into a bridge host. */
  async attach(host: End, bridge: string): Promise<void> {
    const port = `p${this.links + 1}`;
    await this.cable(host, { host: bridge, link: port, addresses: [] });
    await this.ip(bridge, 'link', 'set', port, 'master', 'br0');
  }

  /** `ip` inside a host. */
  async ip(host: string, ...args: readonly string[]): Promise<string> {
    return run('ip', '-n', this.name(host), ...args);
  }

  async sysctl(host: string, ...settings: readonly string[]): Promise<void> {
    await run('ip', 'netns', 'exec', this.name(host), 'sysctl', '-q', '-w', ...settings);
  }

  /** Runs a program inside a host to its end; a failure is an answer. */
  exec(host: string, program: string, args: readonly string[], timeoutMs?: number, input?: string): Promise<Output> {
    return attempt('ip', ['netns', 'exec', this.name(host), program, ...args], timeoutMs, input);
  }

  /** Starts a program inside a host; its output goes to a log. */
  start(host: string, name: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
    const logFile = join(this.folder, 'logs', `${name}-${this.programs.length}.log`);
    const log = openSync(logFile, 'a');
    // `ip netns exec` replaces itself with the program, so the process id is the program's own.
    const child = spawn('ip', ['netns', 'exec', this.name(host), program, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    const running = new RunningProgram(name, child, logFile);
    this.programs.push(running);
    return running;
  }

  name(host: string): string {
    return `${this.prefix}-${host}`;
  }

  /** Has `close` end what runs inside besides the programs that `start` started. */
  beforeClose(end: () => Promise<void>): void {
    this.endings.push(end);
  }

  /** Ends all programs and removes all that was made. Harmless when repeated. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all(this.endings.map(end => end()));
    await Promise.all(this.programs.map(program => program.end()));
    for (const host of this.hosts) await attempt('ip', ['netns', 'del', host]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async plug(device: string, end: End): Promise<void> {
    await run('ip', 'link', 'set', device, 'netns', this.name(end.host), 'name', end.link);
    for (const address of end.addresses) {
      await this.ip(end.host, 'address', 'add', address, 'dev', end.link, ...(address.includes(':') ? ['nodad'] : []));
    }
    await this.ip(end.host, 'link', 'set', end.link, 'up');
  }
}

/** One end of a cable. */
export interface End {
  readonly host: string;
  readonly link: string;
  readonly addresses: readonly string[];
}

class RunningProgram implements Program {
  private ended = false;

  constructor(
    readonly name: string,
    private readonly child: ChildProcess,
    private readonly logFile: string,
  ) {
    child.on('exit', () => (this.ended = true));
    child.on('error', () => (this.ended = true));
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  running(): boolean {
    return !this.ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.ended) this.child.kill(signal);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(signal);
    // A stopped process answers to nothing but SIGKILL until it goes on.
    this.signal('SIGCONT');
    const until = performance.now() + PATIENCE;
    while (!this.ended && performance.now() < until) await sleep(20);
    this.signal('SIGKILL');
    while (!this.ended) await sleep(20);
  }
}

/** Ends programs in, and removes, namespaces that an earlier run with this prefix left behind. */
async function removeLeftovers(prefix: string): Promise<void> {
  const { stdout } = await attempt('ip', ['netns', 'list']);
  const names = stdout.split('\n').flatMap(line => (line.startsWith(`${prefix}-`) ? [line.split(' ')[0]!] : []));
  for (const name of names) {
    const { stdout: pids } = await attempt('ip', ['netns', 'pids', name]);
    for (const pid of pids.split('\n').filter(text => text !== '')) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await attempt('ip', ['netns', 'del', name]);
  }
}
