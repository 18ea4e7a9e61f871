import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { connectApi, type ApiConnection, type Failure } from '../../../../src/kube/client/apiConnection.js';
import { FakeApiServer } from './fakeApiServer.js';

let server: FakeApiServer;
let connection: ApiConnection;

beforeEach(async () => {
  server = await FakeApiServer.start();
  connection = server.connect();
});
afterEach(async () => {
  connection.close();
  await server.stop();
});

/** @returns how the request ends, with the lines that came before */
function watch(silence: number): Promise<{ readonly lines: readonly string[]; readonly failure: Failure | undefined }> {
  const lines: string[] = [];
  return new Promise(resolve => {
    connection.get('/watch', silence, {
      event: octets => lines.push(octets.toString()),
      ended: () => resolve({ lines, failure: undefined }),
      failed: failure => resolve({ lines, failure }),
    });
  });
}

test('a server that accepts and never answers is given up', async () => {
  const { failure } = await watch(60);
  expect(failure).toEqual({ status: undefined, text: 'no answer for 0 s', isSilent: true });
});

test('a watch whose other end has silently gone is given up, and what came before counts', async () => {
  const ending = watch(1000);
  (await server.next()).response.write('{"a":1}\n{"b"');
  const { lines, failure } = await ending;
  expect(lines).toEqual(['{"a":1}']);
  expect(failure?.text).toBe('no answer for 1 s');
});

test('a slow server is not given up as long as it says something', async () => {
  const ending = watch(200);
  const { response } = await server.next();
  for (let i = 0; i < 8; i++) {
    response.write(`{"n":${i}}\n`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  response.end();
  const { lines, failure } = await ending;
  expect([lines.length, failure]).toEqual([8, undefined]);
});

test('an answer that ends within an object is a failure', async () => {
  const ending = watch(1000);
  (await server.next()).response.end('{"a":1}\n{"b"');
  expect((await ending).failure?.text).toBe('the connection ended within an object');
});

test('nobody is told anything after cancel', async () => {
  let calls = 0;
  const called = (): void => {
    calls++;
  };
  const request = connection.get('/list', 1000, { body: called, ended: called, failed: called });
  const { response } = await server.next();
  request.cancel();
  response.end('{}');
  await new Promise(resolve => setTimeout(resolve, 30));
  expect(calls).toBe(0);
});

test('a question cancelled while its credentials are being read is never put, and hurts nobody', async () => {
  let read = (): void => undefined;
  const slow = connectApi({
    server: `http://127.0.0.1:${server.port}`,
    proxied: false,
    apply: () => new Promise(resolve => (read = resolve)),
  });
  const crashes: unknown[] = [];
  const crashed = (error: unknown): void => void crashes.push(error);
  process.on('uncaughtException', crashed);
  try {
    const request = slow.get('/list', 1000, { ended: () => undefined, failed: () => undefined });
    request.cancel();
    read();
    // A request that nobody listens to breaks some turns later.
    for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve));
    expect([crashes, server.untaken]).toEqual([[], 0]);
  } finally {
    process.off('uncaughtException', crashed);
    slow.close();
  }
});

test('a token that no header can have is a failure like any other', async () => {
  const broken = connectApi({
    server: `http://127.0.0.1:${server.port}`,
    proxied: false,
    apply: options => {
      Object.assign(options, { headers: { authorization: 'Bearer half\nwritten' } });
      return Promise.resolve();
    },
  });
  const text = await new Promise<string>(resolve =>
    broken.get('/list', 1000, { ended: () => resolve('ended'), failed: failure => resolve(failure.text) }),
  );
  expect(text).toMatch(/^credentials: Invalid character in header content/);
  broken.close();
});

test('a refused port says so', async () => {
  await server.stop();
  const { failure } = await watch(1000);
  expect(failure?.text).toBe('connection refused');
  server = await FakeApiServer.start();
});
