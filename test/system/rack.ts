/** What the system tests share: a small rack, our speakers on it, and BIRD as a strict neighbour. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { run, waitFor } from '../../lab/topology/commands.js';
import type { PeerageProcess } from '../../lab/topology/peerage.js';
import type { Program, Topology } from '../../lab/topology/topology.js';

/** Hosts on one switch: the n-th has 10.8.0.n. */
export async function buildHosts(topology: Topology, hosts: readonly string[]): Promise<void> {
  await topology.bridge('rack');
  for (const [i, host] of hosts.entries()) {
    await topology.host(host);
    await topology.attach({ host, link: 'eth0', addresses: [`10.8.0.${i + 1}/24`] }, 'rack');
  }
}

export interface PeerText {
  readonly name: string;
  readonly address: string;
  readonly asn: number;
  readonly [option: string]: unknown;
}

/** A speaker's configuration as YAML, with quick timers. */
export function speakerConfig(
  address: string,
  asn: number,
  peers: readonly PeerText[],
  networks: readonly string[] = [],
): string {
  return stringify({
    router: { asn, id: address, listen: [`${address}:179`] },
    peers: peers.map(peer => ({ connectRetryTime: 1, idleHoldTime: { min: 1, max: 2 }, ...peer })),
    networks,
    fib: { install: false },
  });
}

export async function sessionUp(speaker: PeerageProcess, peer: string): Promise<void> {
  await waitFor(`the session with ${peer}`, 60_000, async () =>
    (await speaker.peer(peer)).state === 'Established' ? true : undefined,
  );
}

/** BIRD with these further lines, answering on the socket that is returned. */
export async function startBird(
  topology: Topology,
  host: string,
  config: string,
  ...options: readonly string[]
): Promise<{ readonly program: Program; readonly birdc: (...args: readonly string[]) => Promise<string> }> {
  const file = join(topology.folder, `${host}-bird.conf`);
  const socket = join(topology.folder, `${host}-bird.ctl`);
  writeFileSync(file, config);
  const program = topology.start(host, 'bird', 'bird', ['-f', '-c', file, '-s', socket, ...options]);
  const birdc = (...args: readonly string[]): Promise<string> => run('birdc', '-s', socket, ...args);
  await waitFor('an answer of BIRD', 60_000, () => birdc('show', 'status'));
  return { program, birdc };
}
