/** The service proxy through the whole program: packets of a pod, of the node and of the ToR, kill -9, and the cleanup. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import type { ServiceDetail } from '../../src/api/serviceView.js';
import { buildCluster, TOR, type LabCluster } from '../../lab/cluster.js';
import { startTor } from '../../lab/tor.js';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology, type Program } from '../../lab/topology/topology.js';

const PATIENCE = 120_000;
const NODE = 'node';
const PODS = { 'pod-a': '10.244.1.2', 'pod-b': '10.244.1.3' } as const;
const GATEWAY = '10.244.1.1';
const CLUSTER_IP = '10.96.0.10';
const EXTERNAL_IP = '203.0.113.10';
const CONFIG = {
  router: { asn: 64512 },
  peers: [
    {
      name: 'tor',
      address: '10.0.0.1',
      asn: 64999,
      connectRetryTime: 1,
      idleHoldTime: { min: 1, max: 2 },
    },
  ],
  kubernetes: {
    run: { serviceProxy: true },
    ipv6: false,
    cni: { enabled: false, forward: 'off' },
    egress: { enabled: false },
    advertise: { externalIp: true },
    services: { externalIpRanges: ['203.0.113.0/24'] },
  },
};

/** Where a balancer outside asks this node about the service `balanced`. */
const HEALTH_PORT = 31_000;

let topology: Topology;
let cluster: LabCluster;
let agent: PeerageProcess;

const metadata = (name: string): object => ({ name, namespace: 'demo' });

function nodeObject(...taints: readonly string[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NODE },
    spec: { podCIDRs: ['10.244.1.0/24'], taints: taints.map(key => ({ key, effect: 'NoSchedule' })) },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.11' }] },
  };
}

const OBJECTS: readonly object[] = [
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs: ['10.96.0.0/16'] },
  },
  ...Object.entries(PODS).map(([name, ip]) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(name),
    spec: { nodeName: NODE },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  })),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata('web'),
    spec: {
      type: 'ClusterIP',
      clusterIP: CLUSTER_IP,
      clusterIPs: [CLUSTER_IP],
      externalIPs: [EXTERNAL_IP],
      ipFamilies: ['IPv4'],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata('balanced'),
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.11',
      clusterIPs: ['10.96.0.11'],
      ipFamilies: ['IPv4'],
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: HEALTH_PORT,
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
    },
  },
];

function writeNode(folder: string, ...taints: readonly string[]): void {
  writeFileSync(join(folder, 'node.yaml'), stringify(nodeObject(...taints)));
}

function writeEndpoints(folder: string, pods: readonly (keyof typeof PODS)[], service = 'web'): void {
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...metadata(`${service}-1`),
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: pods.map(pod => ({
      addresses: [PODS[pod]],
      nodeName: NODE,
      conditions: { ready: true },
    })),
  };
  writeFileSync(join(folder, `slice-${service}.yaml`), stringify(slice));
}

/** Says its name, then repeats what it hears. */
const SERVE = `
require('node:net').createServer(s => { s.on('error', () => {}); s.write(process.argv[1] + '\\n'); s.pipe(s); }).listen(8080);
`;
/** Prints the name of who answers, or why nobody does. */
const ASK = `
const s = require('node:net').connect({ host: process.argv[1], port: 80 });
s.setTimeout(Number(process.argv[2]), () => s.destroy(new Error('timeout')));
s.once('data', d => { console.log(String(d).trim()); s.destroy(); });
s.on('error', e => { console.log(e.code ?? e.message); s.destroy(); });
`;
/** One connection that is kept and used, and new ones all the time; a line for each that worked, or did not. */
const KEEP_ASKING = `
const connect = () => require('node:net').connect({ host: process.argv[1], port: 80 });
const failed = e => console.log('failed ' + (e.code ?? e.message));
const kept = connect();
kept.on('error', failed).on('close', () => failed(new Error('closed')));
let said = 0;
kept.on('data', () => { console.log('kept ' + ++said); setTimeout(() => kept.write('more'), 50); });
const next = () => {
  const s = connect();
  s.setTimeout(20000, () => s.destroy(new Error('timeout')));
  s.once('data', () => { console.log('new'); s.destroy(); setTimeout(next, 50); });
  s.on('error', failed);
};
next();
`;

/** A table of the proxy's name that belongs to a process: nobody else can change it, and it goes with the process. */
const OWN_TABLE = `
const nft = require('node:child_process').spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'inherit'] });
nft.stdin.write('add table ip peerage-proxy { flags owner; }\\n');
`;

beforeAll(async () => {
  topology = await Topology.open('pgspy');
  const source = join(topology.folder, 'objects');
  mkdirSync(source);
  writeFileSync(join(source, 'objects.yaml'), OBJECTS.map(object => stringify(object)).join('---\n'));
  writeNode(source);
  writeEndpoints(source, ['pod-a', 'pod-b']);
  writeEndpoints(source, ['pod-a', 'pod-b'], 'balanced');
  cluster = await buildCluster(topology, source);
  // As it is on a node: without, its own packets to service addresses have no way out before they are turned round.
  await topology.ip(NODE, 'route', 'add', 'default', 'via', '10.0.0.1');
  await topology.sysctl(NODE, 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.cni0.send_redirects=0');
  for (const [i, pod] of Object.keys(PODS).entries()) {
    // As CNI plugins do: a pod that is sent back to itself is bridged out where it came in, if the kernel shows it so.
    await topology.ip(NODE, 'link', 'set', `pod${i}`, 'type', 'bridge_slave', 'hairpin', 'on');
    // Between pods of one bridge answers would not come by the node, unless the kernel shows it what is bridged.
    await topology.ip(pod, 'route', 'add', GATEWAY, 'dev', 'eth0');
    await topology.ip(pod, 'route', 'del', '10.244.1.0/24');
    topology.start(pod, `serve-${pod}`, process.execPath, ['-e', SERVE, pod]);
    await waitFor(`an answer of ${pod}`, PATIENCE, async () => {
      const { stdout } = await topology.exec(pod, 'ss', ['-ltnH', 'sport = :8080']);
      return stdout === '' ? undefined : true;
    });
  }
  startTor('bird', topology, cluster.nodes);
}, PATIENCE);
afterAll(async () => {
  await topology.close();
}, PATIENCE);

/** @param patience milliseconds for an answer */
async function ask(from: string, address: string, patience = 20_000): Promise<string> {
  const args = ['-e', ASK, address, String(patience)];
  return (await topology.exec(from, process.execPath, args, 40_000)).stdout.trim();
}

/** Every connection is answered, and both pods answer some. */
async function expectBoth(from: string, address: string): Promise<void> {
  const seen = new Set<string>();
  // One of two at random: the same one sixty times in a row does not happen.
  for (let i = 0; i < 60 && seen.size < 2; i++) seen.add(await ask(from, address));
  expect([...seen].sort()).toEqual(Object.keys(PODS));
}

async function isAnnounced(): Promise<boolean> {
  return (await topology.ip(TOR, 'route')).includes(`${EXTERNAL_IP} via 10.0.0.11`);
}

async function announced(is: boolean): Promise<void> {
  const what = `the ${is ? 'announcement' : 'withdrawal'} of ${EXTERNAL_IP}`;
  await waitFor(what, PATIENCE, async () => ((await isAnnounced()) === is ? true : undefined));
}

async function tables(): Promise<string> {
  return (await topology.exec(NODE, 'nft', ['-a', 'list', 'tables'])).stdout;
}

async function show(...what: readonly string[]): Promise<string> {
  const args = ['dist/cli/main.js', 'show', ...what, '--control', agent.control];
  const { stdout, stderr, code } = await topology.exec(NODE, process.execPath, args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

test('an external IP is announced only once the kernel serves it', async () => {
  const owner = topology.start(NODE, 'owner', process.execPath, ['-e', OWN_TABLE]);
  await waitFor('the table of another', PATIENCE, async () =>
    (await tables()).includes('peerage-proxy') ? true : undefined,
  );
  agent = PeerageProcess.agent(topology, NODE, {
    node: NODE,
    manifests: cluster.manifests,
    config: stringify(CONFIG),
  });
  await waitFor('the pod network at the ToR', PATIENCE, async () =>
    (await topology.ip(TOR, 'route')).includes('10.244.1.0/24 via') ? true : undefined,
  );
  await waitFor('the refusal of the kernel', PATIENCE, async () =>
    /203\.0\.113\.10 .*failed: .*EPERM/.test(await show('services')) ? true : undefined,
  );
  expect(await isAnnounced()).toBe(false);
  await owner.end();
  await announced(true);
  expect(await ask(TOR, EXTERNAL_IP)).toMatch(/^pod-[ab]$/);
}, 240_000);

test.each([
  ['a pod', 'pod-a', CLUSTER_IP],
  ['the node', NODE, CLUSTER_IP],
  ['the ToR', TOR, EXTERNAL_IP],
  ['a pod', 'pod-b', EXTERNAL_IP],
  ['the node', NODE, EXTERNAL_IP],
])(
  '%s (%s) is answered by both endpoints at %s',
  async (_what, from, address) => {
    await expectBoth(from, address);
  },
  240_000,
);

test('services are shown with what the kernel has', async () => {
  expect(await show('services')).toMatch(/demo\/web\S*\s+\S+\s+10\.96\.0\.10\s+80\/TCP.*programmed/i);
  const detail = await show('service', 'demo/web');
  for (const ip of Object.values(PODS)) expect(detail).toContain(`${ip} port 8080`);
  expect(detail).toMatch(/10\.96\.0\.10 .* the same$/m);
  const { frontends } = JSON.parse(await show('service', 'demo/web', '-o', 'json')) as ServiceDetail;
  for (const address of [CLUSTER_IP, EXTERNAL_IP]) {
    const counters = frontends.find(frontend => frontend.address === address)?.kernel?.counters;
    const { connections, packetsIn, packetsOut } = counters ?? {};
    expect(Number(connections)).toBeGreaterThanOrEqual(2);
    // A connection has more packets than one in each direction.
    for (const packets of [packetsIn, packetsOut]) expect(Number(packets)).toBeGreaterThan(Number(connections));
  }
}, 120_000);

/** How often it succeeded so far. */
function counts(program: Program): {
  readonly kept: number;
  readonly fresh: number;
} {
  const lines = program.log().split('\n');
  return {
    kept: lines.filter(line => line.startsWith('kept')).length,
    fresh: lines.filter(line => line === 'new').length,
  };
}

async function goesOn(program: Program): Promise<void> {
  const before = counts(program);
  await waitFor('connections that go on', PATIENCE, () => {
    const now = counts(program);
    return now.kept > before.kept + 20 && now.fresh > before.fresh + 10 ? true : undefined;
  });
}

test('kill -9: connections go on, and the successor finds nothing to write', async () => {
  const before = await tables();
  const asking = topology.start(TOR, 'asking', process.execPath, ['-e', KEEP_ASKING, EXTERNAL_IP]);
  await goesOn(asking);
  const monitor = topology.start(NODE, 'nft-monitor', 'nft', ['monitor']);
  await heardBy(monitor, 'probe1');
  await agent.program.end('SIGKILL');
  await goesOn(asking);
  agent.restart();
  await waitFor('the session again', PATIENCE, async () =>
    (await agent.peer('tor')).state === 'Established' ? true : undefined,
  );
  await waitFor('what is served', PATIENCE, async () =>
    /programmed/i.test(await show('services')) ? true : undefined,
  );
  await waitFor('the end of our restart', PATIENCE, () =>
    agent.program.log().includes('first exchange of routes is over') ? true : undefined,
  );
  await goesOn(asking);
  await heardBy(monitor, 'probe2');
  expect(eventsOf(monitor)).toEqual([]);
  expect(await tables()).toBe(before);
  expect(asking.log()).not.toContain('failed');
  expect(await isAnnounced()).toBe(true);
  await asking.end();
  await monitor.end();
}, 600_000);

/** Changes of a table that is not ours tell that the monitor listens, and has heard all before. */
async function heardBy(monitor: Program, table: string): Promise<void> {
  await waitFor(`news of ${table}`, PATIENCE, async () => {
    await topology.exec(NODE, 'nft', [`add table ip ${table}; delete table ip ${table}`]);
    return monitor.log().includes(table) ? true : undefined;
  });
}

/** What it heard of, but for probes and the marks of generations. */
function eventsOf(monitor: Program): readonly string[] {
  return monitor
    .log()
    .split('\n')
    .filter(line => line !== '' && !line.includes('probe') && !line.startsWith('# new generation'));
}

/** @returns status, weight and body of what the node answers a balancer outside */
async function balancerSees(port: number): Promise<string> {
  const format = '\\n%{http_code} %header{x-load-balancing-endpoint-weight}';
  const { stdout } = await topology.exec(TOR, 'curl', [
    '-s',
    '-m',
    '20',
    '-w',
    format,
    `http://10.0.0.11:${port}/healthz`,
  ]);
  return stdout;
}

async function balancerIsTold(port: number, expected: RegExp): Promise<void> {
  await waitFor(`an answer like ${String(expected)}`, PATIENCE, async () =>
    expected.test(await balancerSees(port)) ? true : undefined,
  );
}

test('a balancer outside is told how many endpoints the node has, and when it is about to leave', async () => {
  await balancerIsTold(HEALTH_PORT, /"localEndpoints":2.*\n200 2$/);
  writeEndpoints(cluster.manifests, ['pod-b'], 'balanced');
  await balancerIsTold(HEALTH_PORT, /"localEndpoints":1.*\n200 1$/);
  writeEndpoints(cluster.manifests, [], 'balanced');
  await balancerIsTold(HEALTH_PORT, /"localEndpoints":0.*\n503 0$/);
  await balancerIsTold(10_256, /"nodeEligible":true.*\n200 $/);
  writeNode(cluster.manifests, 'ToBeDeletedByClusterAutoscaler');
  await balancerIsTold(10_256, /"nodeEligible":false.*\n503 $/);
  writeNode(cluster.manifests);
  await balancerIsTold(10_256, /"nodeEligible":true.*\n200 $/);
}, 600_000);

test('an address of the service network that no service has is answered by nobody', async () => {
  // A refusal would come at once, an answer too.
  expect(await ask('pod-a', '10.96.0.77', 3000)).toBe('timeout');
}, 120_000);

test('without endpoints it is withdrawn, and then refused', async () => {
  writeEndpoints(cluster.manifests, []);
  await announced(false);
  await waitFor('a refusal', PATIENCE, async () =>
    (await ask('pod-a', EXTERNAL_IP)) === 'ECONNREFUSED' ? true : undefined,
  );
  expect(await ask('pod-a', CLUSTER_IP)).toBe('ECONNREFUSED');
  expect(await ask(NODE, CLUSTER_IP)).toBe('ECONNREFUSED');
  writeEndpoints(cluster.manifests, ['pod-b']);
  await announced(true);
  expect(await ask(TOR, EXTERNAL_IP)).toBe('pod-b');
}, 400_000);

test('cleanup leaves no table', async () => {
  await agent.program.end();
  expect(await tables()).toContain('peerage');
  const args = ['cleanup', '--config', join(topology.folder, `${NODE}.yaml`), '--control', agent.control];
  const { code, stdout } = await topology.exec(NODE, process.execPath, ['dist/cli/main.js', ...args]);
  expect(code).toBe(0);
  expect(stdout).toContain('deleted nftables table');
  expect(await tables()).toBe('');
}, 120_000);
