/** Egress addresses and anti-spoofing through the whole program: what an agent holds, announces, shows, and leaves behind. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts, sessionUp, speakerConfig } from './rack.js';

let topology: Topology;
let agent: PeerageProcess;
let tor: PeerageProcess;
let manifests: string;

const node = (n: number, labels: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: `n${n}`, labels },
  spec: { podCIDRs: [`10.244.${n}.0/24`] },
  status: { addresses: [{ type: 'InternalIP', address: `10.8.0.${n}` }] },
});
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'shop', name: 'web' },
  spec: { nodeName: 'n2' },
  status: { phase: 'Running', podIPs: [{ ip: '10.244.2.7' }] },
};
const shop = (annotations: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', annotations },
});

function write(name: string, object: object): void {
  writeFileSync(join(manifests, `${name}.yaml`), stringify(object));
}

beforeAll(async () => {
  topology = await Topology.open('pgseg');
  await buildHosts(topology, ['n1', 'n2', 'tor']);
  manifests = join(topology.folder, 'manifests');
  const attachments = join(topology.folder, 'attachments');
  mkdirSync(manifests);
  mkdirSync(attachments);
  write('n1', node(1, { 'peerage.io/egress-node': '' }));
  write('n2', node(2, {}));
  write('shop', shop({ 'peerage.io/egress.addresses': '192.0.2.7' }));
  write('web', pod);
  tor = PeerageProcess.speaker(
    topology,
    'tor',
    speakerConfig('10.8.0.3', 65000, [{ name: 'n1', address: '10.8.0.1', asn: 64512, passive: true }]),
  );
  const config = stringify({
    kubernetes: {
      cni: { enabled: false },
      externalPeers: [{ address: '10.8.0.3', asn: 65000 }],
      egressAddresses: { ranges: ['192.0.2.0/24'] },
      antiSpoof: { mode: 'known', attachments },
    },
  });
  agent = PeerageProcess.agent(topology, 'n1', { node: 'n1', manifests, config });
}, 120_000);
afterAll(async () => {
  await topology.close();
}, 120_000);

async function table(name: string, family = 'inet'): Promise<string> {
  return (await topology.exec('n1', 'nft', ['list', 'table', family, name])).stdout;
}

async function learned(): Promise<readonly string[]> {
  return (await tor.routes()).map(({ prefix }) => prefix);
}

test('the holder translates, announces the address, and says so', async () => {
  await sessionUp(tor, 'n1');
  await waitFor('the translation', 120_000, async () =>
    (await table('peerage_egress_addresses')).includes('10.244.2.7 : 192.0.2.7') ? true : undefined,
  );
  await waitFor('the route', 120_000, async () => ((await learned()).includes('192.0.2.7/32') ? true : undefined));
  await waitFor('the tunnel', 120_000, async () =>
    (await topology.ip('n1', 'link')).includes('peerage-egress') ? true : undefined,
  );
  const shown: unknown[] = [];
  for await (const item of agent.client.list('/v1/egress')) shown.push(item);
  expect(shown).toEqual([
    { namespace: 'shop', address: '192.0.2.7', node: 'n1', isHere: true, localPods: 0, problem: null },
  ]);
  await waitFor('anti-spoofing', 120_000, async () =>
    (await table('peerage_antispoof', 'bridge')).includes('@guarded') ? true : undefined,
  );
});

test('and no longer when nobody asks for it', async () => {
  write('shop', shop({}));
  await waitFor('the withdrawal', 120_000, async () => ((await learned()).includes('192.0.2.7/32') ? undefined : true));
  await waitFor('the end of translation', 120_000, async () =>
    (await table('peerage_egress_addresses')).includes('192.0.2.7') ? undefined : true,
  );
});

test('cleanup takes all of it out', async () => {
  await agent.program.end();
  const args = ['cleanup', '--config', join(topology.folder, 'n1.yaml'), '--control', join(topology.folder, 'n1.sock')];
  const { code, stderr } = await topology.exec('n1', process.execPath, ['dist/cli/main.js', ...args], 120_000);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect((await topology.exec('n1', 'nft', ['list', 'tables'])).stdout).not.toContain('peerage_');
  expect(await topology.ip('n1', 'link')).not.toContain('peerage-egress');
});
