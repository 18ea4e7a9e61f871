import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAgent } from '../../../src/app/agent.js';
import { loadConfig } from '../../../src/app/config/configFile.js';
import { loadAgentConfig } from '../../../src/app/kubeConfigFile.js';
import { parseManifest } from '../../../src/kube/client/manifestFile.js';
import { keyOf } from '../../../src/kube/objects.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'peerage-agent-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
function mistakes(text: string): readonly string[] {
  const loaded = loadAgentConfig(file('agent.yaml', text));
  return loaded.ok ? [] : loaded.error.map(error => error.message.replace(`${directory}/`, ''));
}

const RANGES = 'kubernetes:\n  services: { loadBalancerIpRanges: [10.0.0.0/8] }\n';

test('without a file there are defaults for all', () => {
  const loaded = loadAgentConfig(undefined);
  expect(loaded).toMatchObject({
    ok: true,
    value: {
      settings: {
        router: { asn: 64512, gracefulRestart: true, listen: [] },
        kubernetes: { mesh: true, meshPeer: {}, bgpPort: 179 },
        fib: { install: true, protocol: 186 },
      },
      files: [],
    },
  });
});

test('an empty file is as good as none', () => {
  expect(mistakes('')).toEqual([]);
});

test('the file and its keys are watched', () => {
  const key = file('mesh.key', 'secret\n');
  const path = file('agent.yaml', `kubernetes: { meshPeer: { password: { file: ${key} } } }\n`);
  expect(loadAgentConfig(path)).toMatchObject({ ok: true, value: { files: [path, key] } });
});

test.each([
  [
    'a mistake of shape',
    'kubernetes:\n  mesch: false\n',
    ['agent.yaml:2:3: kubernetes.mesch: unknown key; did you mean "mesh"?'],
  ],
  [
    'the mesh has no address of its own to give',
    'kubernetes:\n  meshPeer: { localAddress: 10.0.0.1 }\n',
    [expect.stringMatching(/^agent\.yaml:2:\d+: kubernetes\.meshPeer\.localAddress: unknown key/)],
  ],
  [
    'a key that cannot be read, with its line',
    'peers:\n  - { name: a, address: 10.0.0.1, asn: 1 }\nkubernetes:\n  meshPeer:\n    password: { file: /nonexistent/key }\n',
    [expect.stringMatching(/^agent\.yaml:5:\d+: kubernetes\.meshPeer\.password: .*\/nonexistent\/key/)],
  ],
  [
    'a peer without AS',
    'peers:\n  - { name: a, address: 10.0.0.1 }\n',
    [expect.stringMatching(/^agent\.yaml:2:\d+: peers\[0\]\.asn: /)],
  ],
  [
    'two pools of one name',
    `${RANGES}  loadBalancer: { pools: [{ name: a, ranges: [10.1.0.0/24] }, { name: a, ranges: [10.2.0.0/24] }] }\n`,
    ['agent.yaml:3:65: kubernetes.loadBalancer.pools[1].name: is the name of the first too'],
  ],
  [
    'one router twice, however it is written',
    'kubernetes:\n  externalPeers: [{ address: "fd00::1", asn: 1 }, { address: "fd00:0::1", asn: 2 }]\n',
    ['agent.yaml:2:53: kubernetes.externalPeers[1].address: is the address of the first too'],
  ],
  [
    'a range that is none, and one without its length',
    'kubernetes: { edgeSubnets: [pods, "fd00::1"] }\n',
    [
      'agent.yaml:1:29: kubernetes.edgeSubnets[0]: "pods" is not a prefix, such as 10.0.0.0/8',
      'agent.yaml:1:35: kubernetes.edgeSubnets[1]: "fd00::1" has no prefix length, such as fd00::1/128',
    ],
  ],
  [
    'the name of a bridge that no link can have',
    'kubernetes: { cni: { bridge: averyveryverylongname } }\n',
    ["agent.yaml:1:22: kubernetes.cni.bridge: a link's name has up to 15 letters, digits and . - _ only"],
  ],
  [
    'a host outside the cluster without addresses',
    'kubernetes: { role: edge }\n',
    [
      'agent.yaml:1:1: kubernetes.edge.addresses: is missing: a host outside the cluster has no Node object to take its addresses from',
    ],
  ],
  [
    'what only a host outside the cluster has',
    'kubernetes: { edge: { ask: { ipv4: 24 } } }\n',
    ['agent.yaml:1:15: kubernetes.edge: is for role: edge only'],
  ],
  [
    'an address to listen on that is none',
    'kubernetes: { health: { address: everywhere } }\n',
    ['agent.yaml:1:25: kubernetes.health.address: "everywhere" is not an IP address'],
  ],
  [
    "a file of kube-proxy's that is not there, with its line",
    'kubernetes:\n  proxy: { kubeProxyConfig: /nonexistent }\n',
    [
      'agent.yaml:2:12: kubernetes.proxy.kubeProxyConfig: /nonexistent cannot be read: ENOENT: no such file or directory',
    ],
  ],
])('%s', (_name, text, expected) => {
  expect(mistakes(text)).toEqual(expected);
});

test.each([
  ['a folder that is missing', { manifests: '/nonexistent/manifests' }],
  ['a folder that is a file', { manifests: '/etc/hostname' }],
])('the agent refuses %s before it touches anything', async (_name, options) => {
  const written: string[] = [];
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text: unknown) => written.push(String(text)) > 0;
  try {
    expect(await runAgent({ ...options, withdrawOnExit: false })).toBe(1);
  } finally {
    process.stderr.write = write;
  }
  expect(written.join('')).toMatch(new RegExp(`^--manifests ${options.manifests}: (Error: )?(ENOENT|is not a folder)`));
});

test('the examples are good', () => {
  expect(loadAgentConfig('examples/agent.yaml').ok).toBe(true);
  for (const name of ['tor', 'route-reflector']) expect(loadConfig(`examples/${name}.yaml`, false).ok).toBe(true);
  const parsed = readdirSync('examples/cluster').map(name =>
    parseManifest(readFileSync(`examples/cluster/${name}`, 'utf8')),
  );
  const objects = parsed.flatMap(result => (result.ok ? result.value.objects : []));
  expect(parsed.every(result => result.ok && result.value.bad.length === 0)).toBe(true);
  expect(objects.filter(({ object }) => object.kind === 'Node').map(({ object }) => keyOf(object))).toEqual([
    'Node/node-1',
    'Node/node-2',
    'Node/node-3',
  ]);
});

test('without the router the other parts are left, and nothing of routing', () => {
  const text = 'kubernetes: { run: { router: false, firewall: true }, overlay: { type: full } }';
  expect(loadAgentConfig(file('agent.yaml', text))).toMatchObject({
    ok: true,
    value: {
      settings: {
        fib: { install: false },
        kubernetes: {
          run: { router: false, firewall: true },
          overlay: { enabled: false, type: 'full' },
          cni: { enabled: false, forward: 'off', bridgeNetfilter: true },
          egress: { enabled: false },
        },
      },
    },
  });
  expect(mistakes('kubernetes: { role: edge, edge: { addresses: [10.0.0.9] }, run: { router: false } }')).toEqual([
    'agent.yaml:1:67: kubernetes.run.router: a host outside the cluster only routes: leave it true',
  ]);
  expect(mistakes('kubernetes: { run: { router: false }, egressAddresses: { ranges: [192.0.2.0/24] } }')).toEqual([
    expect.stringContaining('an egress address is announced by the router, which does not run'),
  ]);
});
