/**
 * A rolling update on IPVS through the whole agent, which reads a folder of manifests. On request only
 * (PEERAGE_VM_SUITES=rollingAgent after `npm run build`): in an emulated guest the agent alone takes a minute to start.
 */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../../../test/kernel/namespace.js';
import {
  atLast,
  CLUSTER_IP,
  GRACEFUL_PERIOD,
  NODE_IP,
  NODE_PORT,
  OUTER_IP,
  POD_PORT,
  rollingSuite,
  weights,
  type RollingNode,
  type RollingPod,
} from './rollingUpdate.js';

const WAIT = 300_000;
const NODE_NAME = 'node-1';
/** Places that the service is served at. */
const PLACES = 3;

export const rollingAgent = rollingSuite('rollingAgent', 1800, WAIT, node =>
  Promise.resolve(new Agent(node) satisfies RollingNode),
);

/** Services alone: IPVS, and what goes with it. */
const AGENT = {
  kubernetes: {
    run: { router: false, serviceProxy: true },
    ipv6: false,
    cni: { enabled: false, forward: 'off' },
    egress: { enabled: false },
    services: { externalIpRanges: [`${OUTER_IP}/32`], settleTime: 0 },
    proxy: { mode: 'ipvs', ipvs: { gracefulPeriod: GRACEFUL_PERIOD } },
  },
};

class Agent implements RollingNode {
  private readonly folder = mkdtempSync('/tmp/rolling-');
  private readonly agent: ChildProcess;
  private pods: readonly RollingPod[] = [];
  /** Pods that were seen with weight 0, and connections open to them. */
  private readonly rested = new Set<string>();

  constructor(private readonly node: Namespace) {
    mkdirSync(join(this.folder, 'objects'));
    writeFileSync(join(this.folder, 'agent.yaml'), JSON.stringify(AGENT));
    this.write('node.json', NODE);
    this.write('service.json', SERVICE);
    this.agent = this.start();
  }

  publish(pods: readonly RollingPod[]): Promise<void> {
    this.pods = pods;
    this.write('slice.json', sliceOf(pods));
    return Promise.resolve();
  }

  async serving(): Promise<void> {
    await atLast('all pods at all places', WAIT, () => {
      if (this.agent.exitCode !== null) throw new Error(`the agent has ended:\n${this.log()}`);
      const found = weights(this.node);
      return this.pods.every(({ address }) => found.get(address)?.length === PLACES);
    });
  }

  async retired({ address }: RollingPod): Promise<void> {
    await atLast(`no new connections to ${address}`, WAIT, () => {
      const found = weights(this.node).get(address) ?? [];
      if (found.includes(0)) this.rested.add(address);
      return found.every(weight => weight === 0);
    });
  }

  /** And that none was let run out, which would mean that nothing was tried. */
  complaints(): readonly string[] {
    const lines = this.log().split('\n');
    const told = lines.filter(line => /"level":(?:[456]0|"(?:warn|error|fatal)")/.test(line));
    return this.rested.size > 0 ? told : [...told, 'no pod was seen with weight 0'];
  }

  async end(): Promise<void> {
    const ended = this.agent.exitCode === null ? once(this.agent, 'exit') : undefined;
    this.agent.kill();
    await ended;
    console.log(this.log());
    assert.equal(this.agent.exitCode, 0);
  }

  private start(): ChildProcess {
    const log = openSync(join(this.folder, 'log'), 'w');
    const place = (file: string): string => join(this.folder, file);
    const args = [
      ...['netns', 'exec', this.node.name, process.execPath, 'dist/cli/main.js', 'agent', '--node-name', NODE_NAME],
      ...['--manifests', place('objects'), '--config', place('agent.yaml'), '--control', place('control.sock')],
    ];
    const agent = spawn('ip', args, { stdio: ['ignore', log, log] });
    closeSync(log);
    return agent;
  }

  private log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8');
  }

  private write(file: string, object: object): void {
    const path = join(this.folder, 'objects', file);
    writeFileSync(`${path}.new`, JSON.stringify(object));
    renameSync(`${path}.new`, path);
  }
}

function sliceOf(pods: readonly RollingPod[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'demo', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: POD_PORT, protocol: 'TCP' }],
    endpoints: pods.map(({ address, state }) => ({
      addresses: [address],
      nodeName: NODE_NAME,
      // As the controller says it of a pod that has been told to end and is still there.
      conditions: { ready: state === 'ready', serving: true, terminating: state === 'terminating' },
    })),
  };
}

const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: NODE_NAME },
  spec: { podCIDR: '10.244.0.0/16', podCIDRs: ['10.244.0.0/16'] },
  status: { addresses: [{ type: 'InternalIP', address: NODE_IP }] },
};
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'demo' },
  spec: {
    type: 'NodePort',
    clusterIP: CLUSTER_IP,
    clusterIPs: [CLUSTER_IP],
    ipFamilies: ['IPv4'],
    externalIPs: [OUTER_IP],
    ports: [{ name: 'http', port: 80, nodePort: NODE_PORT, protocol: 'TCP', targetPort: POD_PORT }],
  },
};
