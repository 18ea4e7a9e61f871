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

test('a service in full has what is wanted, the kernel beside it, and a reason for each endpoint', async () => {
  const service: ServiceDetail = {
    service: 'demo/web',
    type: 'LoadBalancer',
    frontends: [
      FRONTEND,
      {
        ...FRONTEND,
        error: null,
        state: 'programmed',
        kernel: {
          verdict: 'forward',
          backends: [{ address: '10.244.1.2', port: 8080, weight: 3, activeConnections: 7 }],
          counters: { connections: '5', packetsIn: '6', bytesIn: '7' },
        },
      },
    ],
    endpoints: [
      {
        portName: '',
        protocol: 'TCP',
        address: '10.244.1.2',
        port: 8080,
        node: 'n1',
        isLocal: true,
        inCluster: true,
        inLocal: true,
        reason: 'ready',
      },
    ],
    healthCheck: { port: 32000, localEndpoints: 1 },
  };
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
  for (const text of [
    'port 32000, 1 ready endpoints here',
    'policy local (not for pods and this host)',
    'only from 203.0.113.0/24',
    'affinity 60 s',
    'failed: No space left on device',
    'has none of it',
    '10.244.1.2 port 8080 weight 3 (7 open)',
    '5 connections, 6 packets and 7 octets in',
    'n1 (here)',
  ])
    expect(out).toContain(text);
});
