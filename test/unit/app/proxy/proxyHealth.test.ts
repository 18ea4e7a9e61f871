import { createServer, type Server } from 'node:http';
import { Server as NetServer, type AddressInfo } from 'node:net';
import { describe, expect, jest, test } from '@jest/globals';
import { systemClock, type Clock } from '../../../../src/core/clock.js';
import { createProxyHealth } from '../../../../src/app/proxy/proxyHealth.js';
import { createServiceHealth, type ServiceHealth } from '../../../../src/app/proxy/serviceHealth.js';
import type { HealthCheck } from '../../../../src/proxy/proxy.js';

/** A clock that keeps what is to be tried again. */
function clockInto(retries: (() => void)[]): Clock {
  return {
    ...systemClock,
    setTimeout: callback => {
      retries.push(callback);
      return { cancel: () => undefined };
    },
  };
}

const original = NetServer.prototype.listen;

describe('whether the proxy keeps up', () => {
  test('what waits for a minute makes it unhealthy, until it is written', () => {
    let now = 0;
    const health = createProxyHealth({ now: () => now });
    expect(health.answer('healthz').status).toBe(200);
    health.queued();
    now = 30_000;
    // A later wish does not make the first one younger.
    health.queued();
    now = 59_999;
    expect(health.isHealthy).toBe(true);
    now = 60_000;
    expect(health.isHealthy).toBe(false);
    expect(health.answer('livez')).toMatchObject({ status: 503 });
    health.written();
    expect(health.answer('livez')).toMatchObject({ status: 200 });
  });

  test('a node that leaves is no place for traffic, and no reason for a restart', () => {
    const date = new Date('2026-11-21T12:00:00Z');
    const health = createProxyHealth({ now: () => 0 }, () => date);
    health.setEligible(false);
    const text = date.toISOString();
    expect(health.answer('healthz')).toEqual({
      status: 503,
      body: { lastUpdated: '1970-01-01T00:00:00.000Z', currentTime: text, nodeEligible: false },
    });
    expect(health.answer('livez')).toEqual({ status: 200, body: { lastUpdated: text, currentTime: text } });
  });
});

describe('health-check node ports', () => {
  const changes = (...checks: readonly HealthCheck[]) => ({
    set: new Map(checks.map(check => [check.service, check])),
    removed: new Set<string>(),
  });

  /** Resolves when as many sockets listen. */
  async function listening(health: ServiceHealth, count: number): Promise<void> {
    while (health.sockets.length !== count) await new Promise(resolve => setTimeout(resolve, 5));
  }

  async function taken(): Promise<{ readonly server: Server; readonly port: number }> {
    const server = createServer();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    return { server, port: (server.address() as AddressInfo).port };
  }

  test('answers as kube-proxy does, and as the proxy is', async () => {
    const { server, port } = await taken();
    await new Promise(resolve => server.close(resolve));
    let isHealthy = true;
    const health = createServiceHealth({ clock: systemClock, isHealthy: () => isHealthy, listened: () => undefined });
    try {
      health.listenOn(['127.0.0.1']);
      const ask = async (): Promise<unknown> => {
        const response = await fetch(`http://127.0.0.1:${port}/healthz`);
        return [response.status, response.headers.get('x-load-balancing-endpoint-weight'), await response.json()];
      };
      const body = { service: { namespace: 'demo', name: 'web' }, serviceProxyHealthy: true };
      health.apply(changes({ service: 'demo/web', port, localEndpoints: 2 }));
      await listening(health, 1);
      expect(await ask()).toEqual([200, '2', { ...body, localEndpoints: 2 }]);
      health.apply(changes({ service: 'demo/web', port, localEndpoints: 0 }));
      expect(await ask()).toEqual([503, '0', { ...body, localEndpoints: 0 }]);
      isHealthy = false;
      health.apply(changes({ service: 'demo/web', port, localEndpoints: 1 }));
      expect(await ask()).toEqual([503, '1', { ...body, localEndpoints: 1, serviceProxyHealthy: false }]);
      health.apply({ set: new Map(), removed: new Set(['demo/web']) });
      expect(health.sockets).toEqual([]);
      await expect(ask()).rejects.toThrow();
    } finally {
      await health.close();
    }
  });

  test('a port that is taken is told, and tried again', async () => {
    const { server, port } = await taken();
    const told: (readonly string[])[] = [];
    const retries: (() => void)[] = [];
    const health = createServiceHealth({
      clock: clockInto(retries),
      isHealthy: () => true,
      listened: (_, failures) => told.push(failures),
    });
    try {
      health.listenOn(['127.0.0.1']);
      health.apply(changes({ service: 'demo/web', port, localEndpoints: 1 }));
      while (told.length === 0) await new Promise(resolve => setTimeout(resolve, 5));
      expect(told[0]).toEqual([expect.stringContaining('EADDRINUSE')]);
      await new Promise(resolve => server.close(resolve));
      retries[0]?.();
      await listening(health, 1);
      expect(told.at(-1)).toEqual([]);
    } finally {
      await health.close();
    }
  });

  test('services may change ports with each other', async () => {
    const [one, other] = [await taken(), await taken()];
    const told: (readonly string[])[] = [];
    const health = createServiceHealth({
      clock: systemClock,
      isHealthy: () => true,
      listened: (_, failures) => told.push(failures),
    });
    const of = (service: string, port: number): HealthCheck => ({ service, port, localEndpoints: 1 });
    for (const { server } of [one, other]) await new Promise(resolve => server.close(resolve));
    try {
      health.listenOn(['127.0.0.1']);
      health.apply(changes(of('demo/a', one.port), of('demo/b', other.port)));
      await listening(health, 2);
      health.apply(changes(of('demo/a', other.port), of('demo/b', one.port)));
      while (told.length < 4) await new Promise(resolve => setTimeout(resolve, 5));
      expect(told).toEqual([[], [], [], []]);
      expect(health.sockets).toHaveLength(2);
    } finally {
      await health.close();
    }
  });

  test('a socket that fails while it listens is made anew', async () => {
    const { server, port } = await taken();
    await new Promise(resolve => server.close(resolve));
    const made: NetServer[] = [];
    const listen = jest.spyOn(NetServer.prototype, 'listen').mockImplementation(function (this: NetServer, ...given) {
      made.push(this);
      Reflect.apply(original, this, given);
      return this;
    });
    const retries: (() => void)[] = [];
    const health = createServiceHealth({
      clock: clockInto(retries),
      isHealthy: () => true,
      listened: () => undefined,
    });
    try {
      health.listenOn(['127.0.0.1']);
      health.apply(changes({ service: 'demo/web', port, localEndpoints: 1 }));
      await listening(health, 1);
      for (let i = 0; i < 2; i += 1) made[0]?.emit('error', new Error('accept EMFILE'));
      expect(retries).toHaveLength(1);
      retries[0]?.();
      await listening(health, 1);
      expect(retries).toHaveLength(1);
    } finally {
      listen.mockRestore();
      await health.close();
    }
  });
});
