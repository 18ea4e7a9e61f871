/**
 * The agent's graph, alone in a process of its own: from the API server to the engine's configuration, which nobody
 * applies. `node build/bench/kube/subject.js [--kubeconfig FILE] [--url URL] [--changes N]`; prints one line of JSON.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BehaviorSubject, tap } from 'rxjs';
import { toEngineConfig } from '../../src/app/config/engineConfig.js';
import { agentGraph } from '../../src/app/graph.js';
import { keepHeapsSmall } from '../../src/app/heapGrowth.js';
import { goBeforeHelpers } from '../../src/app/mainThread.js';
import { AgentConfig } from '../../src/app/kubeConfig.js';
import { createEngineComposer } from '../../src/app/kubeEngine.js';
import { connectApi } from '../../src/kube/client/apiConnection.js';
import { createApiWriter } from '../../src/kube/client/apiWriter.js';
import { apiServerObjects } from '../../src/kube/client/apiServer.js';
import { loadKubeConfig } from '../../src/kube/client/kubeConfig.js';
import { peakMegabytes } from '../measure/processUsage.js';
import { FULL_SIZE, sliceChange } from './cluster.js';

export interface SubjectResult {
  readonly syncSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
  readonly steadyMegabytes: number;
  readonly networks: number;
  readonly peers: number;
  /** Milliseconds from the parsed object to the changed configuration. */
  readonly latencies: readonly number[];
  /** The same from the request for the change on. */
  readonly roundTrips: readonly number[];
  readonly loopDelay: { readonly p99: number; readonly max: number };
}

/** Milliseconds between changes: longer than a burst is gathered. */
const BETWEEN = 150;
// As the agent does.
keepHeapsSmall();
goBeforeHelpers();
const { values } = parseArgs({
  options: { kubeconfig: { type: 'string' }, url: { type: 'string' }, changes: { type: 'string', default: '100' } },
});
const { kubeconfig, url: master } = values;
const size = FULL_SIZE;

const credentials = await loadKubeConfig({
  ...(kubeconfig === undefined ? {} : { kubeconfig }),
  ...(master === undefined ? {} : { master }),
});
const connection = connectApi(credentials);
const writer = createApiWriter(credentials);
const settings = AgentConfig.parse({ kubernetes: { advertise: { clusterIp: true } } });
const delay = monitorEventLoopDelay({ resolution: 2 });
const waiting: { resolve?: (at: number) => void } = {};
let networks = 0;
let peers = 0;
const applied = (): Promise<number> => new Promise(resolve => (waiting.resolve = resolve));

delay.enable();
const begun = performance.now();
const synced = applied();
let arrived = 0;
const running = agentGraph({
  nodeName: 'node-1',
  objects: apiServerObjects({ connection, kinds: ['Node', 'Service', 'EndpointSlice', 'Pod'] }).pipe(
    tap(() => (arrived = performance.now())),
  ),
  settings: new BehaviorSubject(settings),
  compose: createEngineComposer(config => toEngineConfig(config, false)),
  sinks: {
    apply: config => {
      ({ length: networks } = config.networks);
      ({ length: peers } = config.peers);
      waiting.resolve?.(performance.now());
    },
    problems: () => undefined,
    overlayOptions: () => undefined,
    overlay: () => undefined,
    plumbingOptions: () => undefined,
    plumbing: () => undefined,
    ownNode: () => undefined,
    loadBalancer: () => undefined,
  },
}).subscribe({
  error: (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  },
});
const syncSeconds = ((await synced) - begun) / 1000;
const cpu = process.cpuUsage();
const loopDelay = { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 };
await sleep(1000);

const latencies: number[] = [];
const roundTrips: number[] = [];
for (let i = 0; i < Number(values.changes); i++) {
  const { path, body } = sliceChange((i >> 1) * 7, size, i % 2 === 1);
  const changed = applied();
  const asked = performance.now();
  await writer.ask('PATCH', path, body, { contentType: 'application/merge-patch+json' });
  const at = await changed;
  latencies.push(at - arrived);
  roundTrips.push(at - asked);
  await sleep(BETWEEN);
}
running.unsubscribe();
connection.close();
writer.close();
const steadyMegabytes = process.memoryUsage.rss() / 1e6;
const result: SubjectResult = {
  syncSeconds,
  cpuSeconds: (cpu.user + cpu.system) / 1e6,
  peakMegabytes: peakMegabytes(process.pid),
  steadyMegabytes,
  networks,
  peers,
  latencies,
  roundTrips,
  loopDelay,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
