/** /healthz over HTTP, also on a port that somebody else still has. */

import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { openHealthServer } from '../../../../src/app/proxy/healthServer.js';
import { createProxyHealth } from '../../../../src/app/proxy/proxyHealth.js';
import { systemClock } from '../../../../src/core/clock.js';

const sleep = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 100));

test('a port that was taken is taken over once it is free', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const asked: string[] = [];
  let log = '';
  const close = openHealthServer({
    port,
    address: '127.0.0.1',
    health: createProxyHealth(systemClock),
    logger: pino({}, { write: text => (log += text) }),
    answered: (kind, status) => asked.push(`${kind} ${status}`),
  });
  try {
    while (!log.includes('EADDRINUSE')) await sleep();
    holder.close();
    await once(holder, 'close');
    const ask = (path: string): Promise<number> =>
      fetch(`http://127.0.0.1:${port}${path}`).then(
        ({ status }) => status,
        async () => {
          await sleep();
          return ask(path);
        },
      );
    expect(await ask('/livez')).toBe(200);
    expect(await ask('/other')).toBe(404);
    expect(asked).toEqual(['livez 200']);
  } finally {
    close();
  }
}, 120_000);
