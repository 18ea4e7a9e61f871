import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createMetrics } from '../../../../src/app/observe/metrics.js';
import { openObserver } from '../../../../src/app/observe/observer.js';
import { openObservation } from '../../../../src/app/observe/openObservation.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import { CLIENT, TOR } from '../../api/fakeRouter.js';

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

async function observed(
  use: (ask: (path: string) => Promise<{ status: number; text: string }>) => Promise<void>,
  configured = true,
): Promise<void> {
  const port = await freePort();
  const problems = createProblemSet();
  problems.report(
    new Map([
      ['API server Node', [{ subject: 'API server k', text: 'connection refused' }]],
      ['object Pod/a/b', [{ subject: 'Pod a/b', text: 'bad' }]],
    ]),
  );
  const metrics = createMetrics();
  metrics.engineEvent({
    kind: 'peerDown',
    peer: 'tor-1',
    reason: { kind: 'holdTimerExpired' } as never,
    staleKept: true,
  });
  metrics.listed('Node');
  metrics.listed('Node');
  metrics.fibEvent({ kind: 'adopted', family: 'ipv4-unicast', routes: 7 });
  const listening = new Promise<void>(resolve => {
    const stream = { write: (line: string) => (line.includes('over HTTP') ? resolve() : undefined) };
    const endpoint = { port, address: '127.0.0.1' };
    end = openObservation({
      settings: { health: endpoint, metrics: { ...endpoint, path: '/metrics' } },
      metrics,
      problems,
      peers: () => Promise.resolve([TOR, CLIENT]),
      isConfigured: () => configured,
      others: { '/egress-holder': () => ({ isCutOff: false }) },
      logger: pino({}, stream),
    });
  });
  try {
    await listening;
    await use(async path => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    });
  } finally {
    end();
  }
}
let end = (): void => undefined;

describe('the observer', () => {
  test('what other parts tell stands beside health', async () => {
    await observed(async ask => {
      expect(await ask('/egress-holder')).toEqual({ status: 200, text: '{"isCutOff":false}\n' });
    });
  });

  test('health names what is degraded, and leaves single objects out', async () => {
    await observed(async ask => {
      const { status, text } = await ask('/healthz');
      expect([status, JSON.parse(text)]).toEqual([
        200,
        { status: 'degraded', parts: ['API server k: connection refused'] },
      ]);
    });
  });

  test('is not ready without a configuration', async () => {
    await observed(async ask => expect((await ask('/readyz')).status).toBe(503), false);
  });

  test('metrics have the names of kube-router, and ours', async () => {
    await observed(async ask => {
      const { status, text } = await ask('/metrics');
      expect(status).toBe(200);
      for (const line of [
        'kube_router_bgp_peer_info{address="10.0.0.254",type="external",asn="64999",state="ESTABLISHED"} 1',
        'peerage_bgp_peer_established{peer="clients@10.0.0.7"} 0',
        'peerage_bgp_peer_prefixes{peer="tor-1",family="ipv4-unicast",direction="received"} 950000',
        'peerage_bgp_peer_down_total{peer="tor-1"} 1',
        'peerage_reflector_lists_total{kind="Node"} 2',
        'peerage_kernel_route_events_total{event="adopted"} 7',
        'peerage_problems 2',
      ])
        expect(text).toContain(`${line}\n`);
      expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    });
  });

  test('a port that was taken is taken over once it is free', async () => {
    const holder = createServer();
    await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve));
    const endpoint = { port: (holder.address() as AddressInfo).port, address: '127.0.0.1' };
    let log = '';
    const logged = async (text: string): Promise<void> => {
      while (!log.includes(text)) await new Promise(resolve => setTimeout(resolve, 10));
    };
    const observer = openObserver({
      health: endpoint,
      metrics: { ...endpoint, path: '/metrics' },
      facts: () => ({ silence: {}, hindrances: [], configured: true }),
      scrape: () => Promise.resolve({ contentType: 'text/plain', text: '' }),
      logger: pino({}, { write: text => (log += text) }),
      retryTime: 20,
    });
    try {
      await logged('EADDRINUSE');
      await new Promise(resolve => holder.close(resolve));
      await logged('health and metrics over HTTP"');
      expect((await fetch(`http://127.0.0.1:${endpoint.port}/readyz`)).status).toBe(200);
    } finally {
      observer.close();
    }
  });

  test.each(['/', '/toString', '/metrics/x'])('there is no %s', async path => {
    await observed(async ask => expect((await ask(path)).status).toBe(404));
  });
});
