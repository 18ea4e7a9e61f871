/** Ours and the real kube-proxy (mode nftables) on the same objects, through the same API server. Impure. */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { PROGRAM } from '../../lab/kube/controlPlane.js';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology, type Program } from '../../lab/topology/topology.js';
import { STATE_FILE } from '../../src/app/lastState/stateFile.js';
import { startRealServer } from '../kube/realServer.js';
import { METRICS_PORT, runColdStart, runTrial, type ColdStart, type Trial, type TrialResult } from './apiTrial.js';
import { NODE, NODE_ADDRESS, POD_NETWORK } from './cluster.js';

const API = '10.9.255.1';
const PATIENCE = 60_000;
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export type Proxy = 'kube-proxy' | 'ours';

export interface SideBySide {
  readonly services: number;
  readonly endpoints: number;
  /** Endpoints changed one after the other. */
  readonly changes: number;
  /** Cold starts of each, every one on a node of its own. The middle one counts. */
  readonly starts: number;
  /** Seconds for a cold start, and for a restart. */
  readonly limit: number;
  /** In this order. */
  readonly proxies: readonly Proxy[];
}

export async function runSideBySide(size: SideBySide): Promise<ReadonlyMap<Proxy, TrialResult>> {
  const topology = await Topology.open('pgbp');
  try {
    await topology.host('api');
    await topology.ip('api', 'address', 'add', `${API}/32`, 'dev', 'lo');
    const seed = [here('seed.js'), String(size.services), String(size.endpoints)] as const;
    const { plane, kubeconfig } = await startRealServer(topology, 'api', API, [...seed]);
    const results = new Map<Proxy, TrialResult>();
    for (const [i, proxy] of size.proxies.entries()) {
      const colds: ColdStart[] = [];
      for (let turn = 1; turn <= size.starts; turn++) {
        const index = i * size.starts + turn;
        const host = `node${index}`;
        await buildNode(topology, host, index);
        rmSync(join(topology.folder, STATE_FILE), { force: true });
        const start = (): Program => launch(topology, host, proxy, kubeconfig);
        const trial: Trial = { ...size, topology, plane, host, start, firstRound: 1 + i * (size.changes + 1) };
        if (turn < size.starts) colds.push(await runColdStart(trial));
        else {
          const last = await runTrial(trial);
          results.set(proxy, { ...last, ...middle([...colds, last]) });
        }
      }
    }
    return results;
  } finally {
    await topology.close();
  }
}

/** By each measure; a start that was not in time is the slowest. */
function middle(colds: readonly ColdStart[]): ColdStart {
  const of = (measure: (cold: ColdStart) => number | undefined): number | undefined => {
    const sorted = colds.map(cold => measure(cold) ?? Infinity).sort((a, b) => a - b);
    const found = sorted[Math.floor((sorted.length - 1) / 2)]!;
    return found === Infinity ? undefined : found;
  };
  return {
    coldSeconds: of(({ coldSeconds }) => coldSeconds),
    coldCpuSeconds: of(({ coldCpuSeconds }) => coldCpuSeconds) ?? 0,
    syncSeconds: of(({ syncSeconds }) => syncSeconds),
  };
}

/** A node, and a host that is all of its pods. */
async function buildNode(topology: Topology, host: string, index: number): Promise<void> {
  const pods = `pods${index}`;
  await topology.host(host);
  await topology.host(pods);
  await topology.forward(host);
  const [toApi, toPods] = [`10.9.${100 + index}`, `10.9.${150 + index}`];
  await topology.cable(
    { host: 'api', link: `eth${index}`, addresses: [`${toApi}.1/24`] },
    { host, link: 'api', addresses: [`${toApi}.2/24`] },
  );
  await topology.cable(
    { host: pods, link: 'eth0', addresses: [`${toPods}.1/24`] },
    { host, link: 'pods', addresses: [`${toPods}.2/24`, `${NODE_ADDRESS}/32`] },
  );
  await topology.ip(host, 'route', 'add', `${API}/32`, 'via', `${toApi}.1`);
  await topology.ip(host, 'route', 'add', 'default', 'via', `${toPods}.1`);
  await topology.ip(pods, 'route', 'add', `${NODE_ADDRESS}/32`, 'via', `${toPods}.2`);
  await topology.ip(pods, 'route', 'add', 'local', POD_NETWORK, 'dev', 'lo');
  const answers = topology.start(pods, `answers${index}`, process.execPath, [here('answers.js')]);
  await waitFor('endpoints', PATIENCE, () => answers.log().includes('ready') || undefined);
}

function launch(topology: Topology, host: string, proxy: Proxy, kubeconfig: string): Program {
  if (proxy === 'ours') {
    const config = stringify({
      kubernetes: {
        kubeconfig,
        ipv6: false,
        run: { serviceProxy: true },
        cni: { enabled: false, forward: 'off' },
        egress: { enabled: false },
        proxy: { mode: 'nftables' },
        metrics: { port: METRICS_PORT },
        services: { clusterIpRanges: ['10.96.0.0/16'] },
      },
    });
    return PeerageProcess.agent(topology, host, { node: NODE, config }).program;
  }
  const file = join(topology.folder, 'kube-proxy.yaml');
  writeFileSync(file, stringify(kubeProxyConfig(kubeconfig)));
  return topology.start(host, 'kube-proxy', PROGRAM, ['kube-proxy', '--config', file]);
}

/** As it comes, but for limits of connection tracking, which a namespace must not set. */
function kubeProxyConfig(kubeconfig: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig },
    hostnameOverride: NODE,
    detectLocalMode: 'ClusterCIDR',
    clusterCIDR: POD_NETWORK,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
