/** A node's plumbing through the whole program: set up by an agent, left alone by its successor, and taken off by the cleanup. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { stringify } from 'yaml';
import { waitFor, type Output } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts } from './rack.js';

const CNI =
  '{"cniVersion":"0.3.1","name":"net","type":"bridge","bridge":"kube-bridge","mtu":1500,"ipam":{"type":"host-local"}}\n';
// Programs are started and waited for, on machines that may have other work.
jest.setTimeout(180_000);

let topology: Topology;
let agent: PeerageProcess;
let cniFile: string;
/** The node before the first agent. */
let bare: string;

const node = (n: number): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: `n${n}` },
  spec: { podCIDRs: [`10.244.${n}.0/24`] },
  status: { addresses: [{ type: 'InternalIP', address: `10.8.0.${n}` }] },
});

beforeAll(async () => {
  topology = await Topology.open('pgspl');
  await buildHosts(topology, ['n1', 'n2']);
  const manifests = join(topology.folder, 'manifests');
  mkdirSync(manifests);
  for (const n of [1, 2]) writeFileSync(join(manifests, `n${n}.yaml`), stringify(node(n)));
  cniFile = join(topology.folder, '10-net.conf');
  writeFileSync(cniFile, CNI);
  bare = await state();
  const config = stringify({ kubernetes: { cni: { file: cniFile }, egress: { exclude: ['192.168.0.0/16'] } } });
  agent = PeerageProcess.agent(topology, 'n1', { node: 'n1', manifests, config });
});
afterAll(async () => {
  await topology.close();
});

/** What cleanup would see: the host's links, its own tables, its switches and the file. */
async function state(): Promise<string> {
  const { stdout: tables } = await topology.exec('n1', 'nft', ['list', 'tables']);
  const { stdout: switches } = await topology.exec('n1', 'sysctl', [
    'net.ipv4.ip_forward',
    'net.ipv6.conf.all.forwarding',
  ]);
  const links = (await topology.ip('n1', '-br', 'link'))
    .replace(/@\S+/g, '')
    .split('\n')
    .map(line => line.split(/\s+/)[0]);
  const routes = await topology.ip('n1', 'route', 'show', 'proto', '186');
  return JSON.stringify({ tables, switches, links, routes, cni: readFileSync(cniFile, 'utf8') }, null, 1);
}

/** @param command as there is one of our own, and kube-router's flag */
function cleanup(...command: readonly string[]): Promise<Output> {
  const args = [
    ...command,
    '--config',
    join(topology.folder, 'n1.yaml'),
    '--control',
    join(topology.folder, 'n1.sock'),
  ];
  return topology.exec('n1', process.execPath, ['dist/cli/main.js', ...args]);
}

test('an agent sets its node up', async () => {
  await waitFor('egress', 60_000, () => (agent.program.log().includes('pod egress written') ? true : undefined));
  await waitFor('CNI', 60_000, () => (agent.program.log().includes('CNI configuration written') ? true : undefined));
  const conf = JSON.parse(readFileSync(cniFile, 'utf8')) as object;
  expect(conf).toMatchObject({ name: 'net', mtu: 1480, ipam: { ranges: [[{ subnet: '10.244.1.0/24' }]] } });
  expect(await topology.ip('n1', 'link', 'show', 'kube-bridge')).toContain('mtu 1480');
  const { stdout } = await topology.exec('n1', 'nft', ['list', 'table', 'inet', 'peerage_egress']);
  expect(stdout).toMatch(/set pods4 {[^}]*elements = { 10\.244\.1\.0\/24, 10\.244\.2\.0\/24 }/);
  expect(stdout).toMatch(/set excluded4 {[^}]*elements = { 192\.168\.0\.0\/16 }/);
});

test('its configuration changes live', async () => {
  const before = readFileSync(join(topology.folder, 'n1.yaml'), 'utf8');
  agent.configure(
    stringify({ kubernetes: { cni: { file: cniFile, mtu: 1400 }, egress: { exclude: ['172.16.0.0/12'] } } }),
  );
  await waitFor('the MTU', 60_000, async () =>
    (await topology.ip('n1', 'link', 'show', 'kube-bridge')).includes('mtu 1400') ? true : undefined,
  );
  await waitFor('the exclusion', 60_000, async () => {
    const { stdout } = await topology.exec('n1', 'nft', ['list', 'set', 'inet', 'peerage_egress', 'excluded4']);
    return stdout.includes('172.16.0.0/12') && !stdout.includes('192.168') ? true : undefined;
  });
  agent.configure(before);
  await waitFor('the MTU', 60_000, async () =>
    (await topology.ip('n1', 'link', 'show', 'kube-bridge')).includes('mtu 1480') ? true : undefined,
  );
});

test('its successor finds everything done', async () => {
  const before = await state();
  await agent.program.end('SIGKILL');
  agent.restart();
  await waitFor('the start', 60_000, () => (agent.program.log().includes('agent starting') ? true : undefined));
  await waitFor('an answer', 60_000, () => agent.peers());
  expect(agent.program.log()).not.toMatch(/written|bridge made|bridge changed|switches set/);
  expect(await state()).toBe(before);
});

test('cleanup waits for the agent’s end, and leaves the node as it was', async () => {
  expect(await cleanup('cleanup')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/a router answers/),
  });
  await agent.program.end();
  const { code, stdout, stderr } = await cleanup('cleanup');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(
    /deleted nftables table inet peerage_egress\n[^]*deleted bridge kube-bridge\nrestored .*10-net\.conf\n/,
  );
  expect(await state()).toBe(bare);
  expect(await cleanup('agent', '--cleanup-config')).toMatchObject({ code: 0, stdout: '', stderr: '' });
});
