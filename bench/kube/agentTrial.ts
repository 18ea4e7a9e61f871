/**
 * The whole agent, as a node runs it, with a router beside it: how long until that router has every address, what it costs,
 * and whether keepalives come on time while all of the cluster is read, at the start and once more. Impure.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { createControlClient } from '../../src/api/client.js';
import type { PeerSummary } from '../../src/api/view.js';
import { waitFor } from '../../lab/topology/commands.js';
import type { Topology } from '../../lab/topology/topology.js';
import { cpuSeconds, peakMegabytes, settled } from '../measure/processUsage.js';
import type { RealServer } from './realServer.js';
import type { Silence } from './watcher.js';

const MAIN = resolve('dist/cli/main.js');
/** See deploy/Dockerfile. */
const AS_IN_IMAGE = ['--max-semi-space-size=4'];
const WATCHER = fileURLToPath(new URL('watcher.js', import.meta.url));
const [AGENT_ASN, ROUTER_ASN] = [64512, 64999];
/** Seconds: the least that RFC 4271 allows. */
export const HOLD_TIME = 3;
const PATIENCE = 300_000;
/** Milliseconds until the agent counts as quiet although sessions that cannot come up keep it from being so. */
const AFTERWARDS = 20_000;

export interface AgentResult {
  /** From the start of the process until every address was told to the router. */
  readonly startSeconds: number;
  readonly startCpuSeconds: number;
  readonly peakMegabytes: number;
  /** Seconds of silence at most, since the session came up at the start, and while all was read again. */
  readonly startSilence: number;
  readonly againSilence: number;
  readonly sessionLost: string | undefined;
}

export interface AgentPlace {
  readonly topology: Topology;
  readonly agent: { readonly host: string; readonly address: string };
  readonly router: { readonly host: string; readonly address: string };
  readonly nodeName: string;
  /** Addresses that the router is to be told. */
  readonly networks: number;
}

export async function runAgentTrial(place: AgentPlace, server: RealServer): Promise<AgentResult> {
  const { topology, agent, networks } = place;
  const control = join(topology.folder, 'agent.sock');
  const watcher = startWatcher(place);
  try {
    const begun = performance.now();
    const args = ['--node-name', place.nodeName, '--config', writeConfig(place, server), '--control', control];
    const program = topology.start(agent.host, 'agent', process.execPath, [...AS_IN_IMAGE, MAIN, 'agent', ...args]);
    const client = createControlClient(control);
    const last = (): string => program.log().slice(-500);
    await waitFor('every address at the router', PATIENCE, async () => {
      if (!program.running()) throw new Error(`the agent has ended: ${last()}`);
      const peer = (await client.get('/v1/peers/router')) as PeerSummary;
      return peer.advertised['ipv4-unicast'] >= networks || undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${last()}`);
    });
    const startSeconds = (performance.now() - begun) / 1000;
    await settled(program.pid, AFTERWARDS);
    const startCpuSeconds = cpuSeconds(program.pid);
    const start = await watcher.ask();
    await server.restart();
    await waitFor(
      'the agent reading all again',
      PATIENCE,
      () => cpuSeconds(program.pid) > startCpuSeconds + 1 || undefined,
    );
    await settled(program.pid, AFTERWARDS);
    const again = await watcher.ask();
    return {
      startSeconds,
      startCpuSeconds,
      peakMegabytes: peakMegabytes(program.pid),
      startSilence: start.longest,
      againSilence: again.longest,
      sessionLost: again.lost,
    };
  } finally {
    watcher.stop();
  }
}

function writeConfig({ topology, router }: AgentPlace, { kubeconfig }: RealServer): string {
  const file = join(topology.folder, 'agent.yaml');
  const config = {
    router: { asn: AGENT_ASN },
    peers: [{ name: 'router', address: router.address, asn: ROUTER_ASN, holdTime: HOLD_TIME }],
    kubernetes: {
      kubeconfig,
      advertise: { clusterIp: true },
      cni: { enabled: false, forward: 'off' },
      egress: { enabled: false },
      overlay: { enabled: false },
    },
  };
  writeFileSync(file, stringify(config));
  return file;
}

interface Watcher {
  ask(): Promise<Silence>;
  stop(): void;
}

function startWatcher({ topology, agent, router }: AgentPlace): Watcher {
  const command = [process.execPath, WATCHER, router.address, agent.address, String(ROUTER_ASN), String(HOLD_TIME)];
  const child = spawn('ip', ['netns', 'exec', topology.name(router.host), ...command], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout);
  return {
    ask: async () => {
      const answer = once(lines, 'line');
      child.stdin.write('gaps\n');
      const [line] = (await answer) as [string];
      return JSON.parse(line) as Silence;
    },
    stop: () => child.kill('SIGKILL'),
  };
}
