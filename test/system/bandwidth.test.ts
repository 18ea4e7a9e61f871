/** Limits of a pod through the whole program: from its annotations to the kernel, over a restart, and taken off by the cleanup. */

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts } from './rack.js';

const CONFIG = { kubernetes: { run: { bandwidth: true }, cni: { enabled: false }, egress: { enabled: false } } };
let topology: Topology;
let agent: PeerageProcess;
let manifests: string;

beforeAll(async () => {
  topology = await Topology.open('pgsbw');
  await buildHosts(topology, ['n1']);
  await topology.host('pod');
  await topology.cable(
    { host: 'n1', link: 'veth5', addresses: [] },
    { host: 'pod', link: 'eth0', addresses: ['10.244.1.5/24'] },
  );
  manifests = join(topology.folder, 'manifests');
  mkdirSync(manifests);
  write('n1', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: { podCIDRs: ['10.244.1.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '10.8.0.1' }] },
  });
  writePod({ ingress: '10M', egress: '2M' });
  agent = PeerageProcess.agent(topology, 'n1', { node: 'n1', manifests, config: stringify(CONFIG) });
}, 180_000);
afterAll(async () => {
  await topology.close();
}, 180_000);

/** In one step: a file that is half written would be a problem for a moment. */
function write(name: string, object: object): void {
  const file = join(topology.folder, `${name}.new`);
  writeFileSync(file, stringify(object));
  renameSync(file, join(manifests, `${name}.yaml`));
}

function writePod(limits: Readonly<Record<string, string>>): void {
  const annotations = Object.fromEntries(
    Object.entries(limits).map(([direction, value]) => [`kubernetes.io/${direction}-bandwidth`, value]),
  );
  write('pod', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'demo', annotations },
    spec: { nodeName: 'n1', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip: '10.244.1.5' }] },
  });
}

/** Rates of all buckets of the host, and where filters of the pod's link lead. */
async function kernel(): Promise<string> {
  const { stdout: qdiscs } = await topology.exec('n1', 'tc', ['qdisc', 'show']);
  const { stdout: filters } = await topology.exec('n1', 'tc', ['filter', 'show', 'dev', 'veth5', 'ingress']);
  const buckets = [...qdiscs.matchAll(/^qdisc tbf 7065: dev (\D+)\d+ .* rate (\S+)/gm)].map(
    ([, dev, rate]) => `${dev} ${rate}`,
  );
  const redirects = [...filters.matchAll(/Redirect to device (\D+)/g)].map(([, dev]) => `to ${dev}`);
  return [...buckets.sort(), ...redirects].join(', ');
}

async function becomes(expected: string): Promise<void> {
  let found = '';
  await waitFor(`"${expected}"`, 60_000, async () => ((found = await kernel()) === expected ? true : undefined)).catch(
    () => {
      expect(found).toBe(expected);
    },
  );
}

async function shown(what: string): Promise<string> {
  const args = ['dist/cli/main.js', 'show', what, '--control', join(topology.folder, 'n1.sock')];
  const { stdout } = await topology.exec('n1', process.execPath, args);
  return stdout;
}

test('annotations become limits, and changes follow', async () => {
  await becomes('pgb 2Mbit, veth 10Mbit, to pgb');
  expect(await shown('bandwidth')).toMatch(
    /demo\/web +ingress +10Mbit\/s +veth5 +\d+ +\d+ +in force\ndemo\/web +egress +2Mbit\/s +veth5 +\d+ +\d+ +in force\n/,
  );
  writePod({ ingress: '30M' });
  await becomes('veth 30Mbit');
});

test('a value that is none is a problem, and costs its own direction only', async () => {
  writePod({ ingress: '20M', egress: '2Mbit' });
  await becomes('veth 20Mbit');
  expect(await shown('problems')).toMatch(/Pod demo\/web +.*egress-bandwidth: "2Mbit" is no quantity, such as 10M/);
  writePod({ ingress: '20M', egress: '2M' });
  await becomes('pgb 2Mbit, veth 20Mbit, to pgb');
  expect(await shown('problems')).not.toMatch(/demo\/web/);
});

test('the next process finds everything done; one that shall limit nobody takes it out', async () => {
  const before = (await topology.exec('n1', 'tc', ['qdisc', 'show'])).stdout;
  await agent.program.end('SIGKILL');
  expect((await topology.exec('n1', 'tc', ['qdisc', 'show'])).stdout).toBe(before);
  agent.restart();
  await waitFor('limits in force', 60_000, async () =>
    (await shown('bandwidth')).match(/in force/g)?.length === 2 ? true : undefined,
  );
  expect(agent.program.log()).not.toContain('bandwidth limits written');
  expect((await topology.exec('n1', 'tc', ['qdisc', 'show'])).stdout).toBe(before);
  await agent.program.end();
  agent.configure(stringify({ kubernetes: { ...CONFIG.kubernetes, run: {} } }));
  agent.restart();
  await becomes('');
  expect(await topology.ip('n1', '-br', 'link', 'show', 'type', 'ifb')).toBe('');
});

test('cleanup takes limits out', async () => {
  await agent.program.end();
  agent.configure(stringify(CONFIG));
  agent.restart();
  await becomes('pgb 2Mbit, veth 20Mbit, to pgb');
  await agent.program.end();
  const args = ['cleanup', '--config', join(topology.folder, 'n1.yaml'), '--control', join(topology.folder, 'n1.sock')];
  const { stdout } = await topology.exec('n1', process.execPath, ['dist/cli/main.js', ...args]);
  expect(stdout).toMatch(/took out 2 limits of pods/);
  expect(await kernel()).toBe('');
});
