/** The test network: two namespaces joined by a link, the speaker's and the load's. All traffic stays in it. */

import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { clientAddress, feederAddress, LATE_CLIENT, SPEAKER, SPEAKER6, WATCHER } from '../load/addresses.js';

const PREFIX = 'peerage-bench';

export interface BenchNetwork {
  readonly speaker: string;
  readonly load: string;
  remove(): void;
}

/** @param clients how many client addresses to put on the load's side. Needs root. */
export function createNetwork(clients: number): BenchNetwork {
  removeLeftovers();
  const name = `${PREFIX}-${process.pid}`;
  const speaker = `${name}-s`;
  const load = `${name}-l`;
  const remove = (): void => {
    for (const ns of [speaker, load]) quietly(['netns', 'del', ns]);
  };
  try {
    ip('netns', 'add', speaker);
    ip('netns', 'add', load);
    ip('-n', load, 'link', 'add', 'load0', 'type', 'veth', 'peer', 'name', 'bgp0', 'netns', speaker);
    ip('-n', speaker, 'address', 'add', `${SPEAKER}/16`, 'dev', 'bgp0');
    ip('-n', speaker, 'address', 'add', `${SPEAKER6}/64`, 'dev', 'bgp0', 'nodad');
    const others = [feederAddress(1), feederAddress(2), LATE_CLIENT, WATCHER];
    for (let n = 1; n <= clients; n++) others.push(clientAddress(n));
    for (const address of others) ip('-n', load, 'address', 'add', `${address}/16`, 'dev', 'load0');
    ip('-n', load, 'address', 'add', 'fd99::2/64', 'dev', 'load0', 'nodad');
    for (const [ns, dev] of [
      [speaker, 'bgp0'],
      [load, 'load0'],
    ] as const) {
      ip('-n', ns, 'link', 'set', 'lo', 'up');
      ip('-n', ns, 'link', 'set', dev, 'up');
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { speaker, load, remove };
}

/** Starts a program inside a namespace; `ip netns exec` becomes it, so the pid is the program's. */
export function spawnIn(namespace: string, command: readonly string[], stdio: StdioOptions): ChildProcess {
  return spawn('ip', ['netns', 'exec', namespace, ...command], { stdio });
}

/** Namespaces of runs whose process is gone. */
function removeLeftovers(): void {
  const list = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const line of list.split('\n')) {
    const match = /^peerage-bench-(\d+)-[sl]/.exec(line);
    if (match && !isAlive(Number(match[1]))) quietly(['netns', 'del', match[0]]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function quietly(args: string[]): void {
  try {
    ip(...args);
  } catch {
    // Already gone.
  }
}
