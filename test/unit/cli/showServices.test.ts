import { expect, jest, test } from '@jest/globals';
import type { FrontendDetail, ServiceDetail } from '../../../src/api/serviceView.js';
import { FRONTEND_COLUMNS, printService } from '../../../src/cli/showServices.js';

const FRONTEND: FrontendDetail = {
  service: 'demo/web',
  kind: 'loadBalancer',
  family: 4,
  address: '198.51.100.1',
  protocol: 'TCP',
  port: 80,
  policy: 'local',
  backends: 2,
  localBackends: 1,
  verdict: 'forward',
  state: 'failed',
  error: 'No space left on device',
  masquerade: 'never',
  shortCircuit: true,
  affinitySeconds: 60,
  sourceRanges: ['203.0.113.0/24'],
  scheduler: 'rr',
  dsr: false,
  wanted: [
    { address: '10.244.1.2', port: 8080, weight: 3 },
    { address: '10.244.1.3', port: 8080, weight: 0 },
  ],
  kernel: null,
};

test('a frontend in a line says what the kernel refused', () => {
  expect(FRONTEND_COLUMNS.map(column => column.value(FRONTEND))).toEqual([
    'demo/web',
    'loadBalancer',
    '198.51.100.1',
    '80/TCP',
    'local',
    '2',
    '1',
    'forward',
    'failed: No space left on device',
  ]);
  const nodePort = { ...FRONTEND, kind: 'nodePort' as const, address: null, state: 'programmed' as const, error: null };
  expect(FRONTEND_COLUMNS.map(column => column.value(nodePort))).toContain('node (IPv4)');
});

const ENDPOINT: ServiceDetail['endpoints'][number] = {
  portName: '',
  protocol: 'TCP',
  address: '10.244.1.2',
  port: 8080,
  node: 'n1',
  isLocal: true,
  inCluster: true,
  inLocal: true,
  reason: 'ready',
};

const SERVICE: ServiceDetail = {
  service: 'demo/web',
  type: 'LoadBalancer',
  backend: 'ipvs',
  problems: ['external IP 192.0.2.1 is in none of the external IP ranges: it is not served'],
  frontends: [FRONTEND],
  endpoints: [ENDPOINT],
  healthCheck: { port: 32000, localEndpoints: 1 },
};

async function printed(service: ServiceDetail): Promise<readonly string[]> {
  let out = '';
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation((chunk, ...rest) => {
    out += String(chunk);
    const done = rest.find(item => typeof item === 'function');
    done?.();
    return true;
  });
  try {
    await printService(service, 'table');
  } finally {
    spy.mockRestore();
  }
  return out.split('\n').map(line => line.trim().replaceAll(/ {2,}/g, '  '));
}

type Kernel = NonNullable<FrontendDetail['kernel']>;

test('a service in full: what holds for all of it, the kernel beside what is wanted, a reason for each endpoint', async () => {
  const kernel: Kernel = {
    verdict: 'forward',
    backends: [
      { address: '10.244.1.2', port: 8080, weight: 3, activeConnections: 7 },
      { address: '10.244.1.3', port: 8080, weight: 0, activeConnections: 1 },
    ],
    counters: { connections: '5', packetsIn: '6', bytesIn: '7', packetsOut: '8', bytesOut: null },
  };
  const healthy = { ...FRONTEND, error: null, state: 'programmed' as const, kernel };
  expect(await printed({ ...SERVICE, frontends: [FRONTEND, { ...healthy, family: 6, address: null }] })).toEqual([
    'Service  demo/web (LoadBalancer)',
    'Balancing  IPVS, scheduler rr',
    'Affinity  60 s from the last use, by client address',
    'Only from  203.0.113.0/24 (to load balancer IPs)',
    'Health checks  port 32000, 1 ready endpoint here',
    'Problem  external IP 192.0.2.1 is in none of the external IP ranges: it is not served',
    '',
    'FRONTEND  PORT  KIND  POLICY  MASQUERADE  TRAFFIC  BACKENDS  CONNECTIONS  PACKETS IN  OUT  OCTETS IN  OUT  KERNEL',
    '198.51.100.1  80/TCP  loadBalancer  local*  never  forward  2  -  -  -  -  -  failed: No space left on device; has none of it',
    'node (IPv6)  80/TCP  loadBalancer  local*  never  forward  2  5  6  8  7  -  the same; no new connections: 10.244.1.3 port 8080',
    '* for traffic from outside: pods and this host reach every endpoint of the cluster list',
    '',
    'ENDPOINT  OF  NODE  CLUSTER  LOCAL  WEIGHT  OPEN  WHY',
    '10.244.1.2 port 8080  TCP  n1 (here)  in  in  3  7  ready',
    '',
  ]);
});

test.each<[string, Partial<FrontendDetail>, Partial<Kernel>, string]>([
  ['has it as it is wanted', {}, {}, 'the same'],
  ['has not acknowledged it', { state: 'pending' }, {}, 'on its way'],
  [
    'has another backend',
    {},
    { backends: [{ address: '10.244.9.9', port: 8080, weight: 1, activeConnections: null }] },
    'differs: without 10.244.1.2 port 8080; besides 10.244.9.9 port 8080',
  ],
  ['drops', {}, { verdict: 'drop' }, 'differs: its traffic: drop'],
])('the kernel %s', async (_what, wanted, has, expected) => {
  const backends = [{ address: '10.244.1.2', port: 8080, weight: 1, activeConnections: null }];
  const kernel: Kernel = { verdict: 'forward', backends, counters: null, ...has };
  const frontend = { ...FRONTEND, error: null, state: 'programmed' as const, shortCircuit: false, ...wanted, kernel };
  const lines = await printed({ ...SERVICE, backend: 'nftables', problems: [], frontends: [frontend] });
  expect(lines).toContain(`198.51.100.1  80/TCP  loadBalancer  local  never  forward  2  ${expected}`);
  expect(lines).toContain('Balancing  nftables, at random');
});

test('a service without frontends or endpoints says so', async () => {
  const lines = await printed({ ...SERVICE, backend: 'nftables', healthCheck: null, frontends: [], endpoints: [] });
  expect(lines).toEqual([
    'Service  demo/web (LoadBalancer)',
    'Balancing  nftables, at random',
    `Problem  ${SERVICE.problems.join()}`,
    'Frontends  none',
    '',
  ]);
});
