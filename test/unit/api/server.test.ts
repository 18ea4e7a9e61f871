import { describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlClient, RouterRefused, RouterUnreachable } from '../../../src/api/client.js';
import { createControlServer } from '../../../src/api/server.js';
import { NotReady, type RouterView } from '../../../src/api/view.js';
import { CLIENT, createFakeRouter, FIB_ROUTE, route, TOR, TOR_DETAIL, withServer } from './fakeRouter.js';

async function all(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** One request as octets on the wire; the first line of the answer. */
function raw(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(text));
    socket.once('error', reject);
    socket.once('data', data => {
      socket.destroy();
      resolve(String(data).split('\r\n')[0] ?? '');
    });
  });
}

describe('control API', () => {
  test('answers what the router view says, values and lists', async () => {
    const { view, calls } = createFakeRouter([route(0), route(1)]);
    await withServer(view, async path => {
      const client = createControlClient(path);
      expect(await client.get('/v1/summary')).toEqual(view.summary());
      expect(await all(client.list('/v1/peers'))).toEqual([TOR, CLIENT]);
      expect(await client.get('/v1/peers/tor-1')).toEqual(TOR_DETAIL);
      expect(await all(client.list('/v1/routes'))).toEqual([route(0), route(1)]);
      expect(await all(client.list('/v1/fib'))).toEqual([FIB_ROUTE]);
      await all(client.list('/v1/peers/tor-1/adj-in', { prefix: '10.0.0.0/8', longer: 'true' }));
      await all(client.list('/v1/peers/tor-1/adj-out', { family: 'ipv6-unicast', prefix: '2001:db8::1' }));
    });
    expect(calls).toEqual([
      'routes {}',
      'adj-in tor-1 {"prefix":"10.0.0.0/8","longer":true}',
      'adj-out tor-1 {"family":"ipv6-unicast","prefix":"2001:db8::1"}',
    ]);
  });

  test('passes on what is asked of a peer', async () => {
    const { view, calls } = createFakeRouter(0);
    await withServer(view, async path => {
      const client = createControlClient(path);
      const name = encodeURIComponent(CLIENT.name);
      await client.post('/v1/peers/tor-1/disable', { message: 'back at 14:00' });
      await client.post(`/v1/peers/${name}/enable`, {});
      await client.post('/v1/peers/tor-1/reset', {});
      await client.post('/v1/peers/tor-1/refresh', { direction: 'out' });
    });
    expect(calls).toEqual([
      'disable back at 14:00 tor-1',
      'enable clients@10.0.0.7',
      'reset - tor-1',
      'refresh out tor-1',
    ]);
  });

  test.each([
    ['GET', '/v1/nothing', undefined, 404, 'there is no /v1/nothing'],
    ['GET', '/v1/peers/tor-9', undefined, 404, 'there is no peer "tor-9"'],
    ['GET', '/v1/peers/tor-9/adj-in', undefined, 404, 'there is no peer "tor-9"'],
    ['POST', '/v1/peers/tor-9/enable', {}, 404, 'there is no peer "tor-9"'],
    ['POST', '/v1/routes', {}, 405, 'POST is not possible'],
    ['GET', '/v1/routes?family=ipx', undefined, 400, 'family'],
    ['GET', '/v1/routes?longr=true', undefined, 400, 'longr'],
    ['GET', '/v1/routes?prefix=10.0.0.1/8', undefined, 400, 'did you mean 10.0.0.0/8'],
    ['GET', '/v1/peers/%zz', undefined, 400, 'not a name'],
    ['POST', '/v1/peers/tor-1/refresh', { direction: 'up' }, 400, 'direction'],
    ['POST', '/v1/peers/tor-1/disable', { message: 'x'.repeat(300) }, 400, 'message'],
    ['POST', '/v1/peers/tor-1/disable', { mesage: 'x' }, 400, 'mesage'],
    ['POST', '/v1/peers/tor-1/disable', { message: 'x'.repeat(100_000) }, 400, 'at most'],
  ])('%s %s is refused: %j -> %i', async (method, target, body, status, reason) => {
    await withServer(createFakeRouter(0).view, async path => {
      const client = createControlClient(path);
      const asked = method === 'GET' ? client.get(target) : client.post(target, body ?? {});
      const error: unknown = await asked.catch((e: unknown) => e);
      expect(error).toBeInstanceOf(RouterRefused);
      expect(error).toMatchObject({ status, message: expect.stringContaining(reason) });
    });
  });

  test('a request that is no HTTP path, or no JSON, gets 400 and the server lives on', async () => {
    await withServer(createFakeRouter(0).view, async path => {
      for (const target of ['//[', 'http://[/', ':', '@[/', '%'])
        expect(await raw(path, `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`)).toMatch(/ 40[04] /);
      const broken = 'POST /v1/peers/tor-1/reset HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n{{{';
      expect(await raw(path, broken)).toMatch(/ 400 /);
      await expect(createControlClient(path).get('/v1/peers/tor-1')).resolves.toBeDefined();
    });
  });

  test('a router without a configuration answers 503, a bug answers 500', async () => {
    const { view } = createFakeRouter(0);
    const bad: RouterView = {
      ...view,
      summary: () => {
        throw new NotReady('the router waits for its configuration');
      },
      peers: () => {
        throw new TypeError('x is undefined');
      },
    };
    await withServer(bad, async path => {
      const client = createControlClient(path);
      await expect(client.get('/v1/summary')).rejects.toMatchObject({ status: 503 });
      await expect(client.get('/v1/peers')).rejects.toMatchObject({ status: 500, message: 'x is undefined' });
    });
  });

  test('a listing that fails half way is broken off, never complete to the eye', async () => {
    const { view } = createFakeRouter(0);
    function* failing(): Iterable<ReturnType<typeof route>> {
      for (let i = 0; i < 5000; i++) yield route(i);
      throw new Error('half way');
    }
    await withServer({ ...view, routes: failing }, async path => {
      await expect(all(createControlClient(path).list('/v1/routes'))).rejects.toBeInstanceOf(RouterUnreachable);
    });
  });
});

describe('streaming', () => {
  test('200,000 routes arrive in order, while others get their turn', async () => {
    const { view } = createFakeRouter(200_000);
    await withServer(view, async path => {
      let turns = 0;
      const ticking = setInterval(() => turns++, 1);
      let count = 0;
      for await (const item of createControlClient(path).list('/v1/routes')) {
        if (count % 10_000 === 0) expect(item).toEqual(route(count));
        count++;
      }
      clearInterval(ticking);
      expect(count).toBe(200_000);
      expect(turns).toBeGreaterThan(20);
    });
  });

  test('a client that stops reading is not read ahead of', async () => {
    const { view, taken } = createFakeRouter(200_000);
    await withServer(view, async path => {
      const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
        request({ socketPath: path, path: '/v1/routes' }, resolve).on('error', reject).end();
      });
      response.pause();
      await settled(taken);
      expect(taken()).toBeGreaterThan(0);
      expect(taken()).toBeLessThan(50_000);
    });
  });

  test('a client that leaves ends its listing', async () => {
    const { view, taken } = createFakeRouter(200_000);
    await withServer(view, async path => {
      const outgoing = request({ socketPath: path, path: '/v1/routes' });
      await new Promise<void>(resolve => {
        outgoing.once('response', response => response.once('data', () => resolve())).end();
      });
      outgoing.destroy();
      await settled(taken);
      expect(taken()).toBeLessThan(200_000);
      await expect(createControlClient(path).get('/v1/peers/tor-1')).resolves.toBeDefined();
    });
  });

  /** Waits until a count has stood still for a while. */
  async function settled(count: () => number): Promise<void> {
    for (let before = -1; count() !== before;) {
      before = count();
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
});

describe('the socket', () => {
  test('only owner and group may use it, and it is gone after the end', async () => {
    let socket = '';
    await withServer(createFakeRouter(0).view, path => {
      socket = path;
      expect(statSync(path).mode & 0o777).toBe(0o660);
      return Promise.resolve();
    });
    expect(existsSync(socket)).toBe(false);
  });

  test('a second router is refused while the first answers', async () => {
    const { view } = createFakeRouter(0);
    await withServer(view, async path => {
      await expect(createControlServer({ path, view })).rejects.toThrow('another router is running');
      await expect(createControlClient(path).get('/v1/peers/tor-1')).resolves.toBeDefined();
    });
  });

  test('one that a dead process left is replaced; anything else is left alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'peerage-api-'));
    try {
      const { view } = createFakeRouter(0);
      const path = join(folder, 'control.sock');
      await leaveSocket(path);
      expect(statSync(path).isSocket()).toBe(true);
      await expect(createControlClient(path).get('/v1/summary')).rejects.toThrow('nobody answers');
      const server = await createControlServer({ path, view });
      await createControlClient(path).get('/v1/summary');
      await server.close();

      const file = join(folder, 'precious');
      writeFileSync(file, 'text');
      await expect(createControlServer({ path: file, view })).rejects.toThrow('is not a socket');
      expect(statSync(file).size).toBe(4);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('no socket at all is told with its path and what to do', async () => {
    await expect(createControlClient('/nonexistent/control.sock').get('/v1/summary')).rejects.toThrow(
      'no router is running: there is no /nonexistent/control.sock (another path: --control PATH or PEERAGE_CONTROL)',
    );
  });
});

/** A socket file that nobody listens on any more: renamed, so that closing its server does not remove it. */
async function leaveSocket(path: string): Promise<void> {
  const { renameSync } = await import('node:fs');
  const server = createServer();
  await new Promise<void>(resolve => server.listen(`${path}.old`, resolve));
  renameSync(`${path}.old`, path);
  await new Promise(resolve => server.close(resolve));
}
