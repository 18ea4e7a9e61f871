import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ApiError } from '../../../../src/kube/client/apiConnection.js';
import { createApiWriter, type ApiWriter } from '../../../../src/kube/client/apiWriter.js';
import { FakeApiServer, answerStatus, type Asked } from './fakeApiServer.js';

let server: FakeApiServer;
let writer: ApiWriter;

beforeEach(async () => {
  server = await FakeApiServer.start();
  writer = createApiWriter({
    server: `http://127.0.0.1:${server.port}/base/`,
    proxied: false,
    apply: options => {
      Object.assign(options, { headers: Object.assign({}, options.headers, { authorization: 'Bearer secret' }) });
      return Promise.resolve();
    },
  });
});
afterEach(async () => {
  writer.close();
  await server.stop();
});

/** What a refused request says. */
async function refusal(
  asking: Promise<unknown>,
): Promise<{ readonly status: number | undefined; readonly text: string }> {
  try {
    await asking;
  } catch (error) {
    const { status, message } = error as ApiError;
    return { status, text: message };
  }
  throw new Error('it was not refused');
}
const fail = (
  answer: (asked: Asked) => void,
): Promise<{ readonly status: number | undefined; readonly text: string }> => {
  const asking = refusal(writer.ask('PUT', '/x', {}));
  void server.next().then(answer);
  return asking;
};

test('asks with method, type and credentials, below the path of the server', async () => {
  const asking = writer.ask('PATCH', '/api/v1/x?a=b', { a: 1 }, { contentType: 'application/merge-patch+json' });
  const { path, query, headers, method, body, response } = await server.next();
  expect(await body()).toBe('{"a":1}');
  response.end('{"b":2}');
  expect(await asking).toEqual({ b: 2 });
  expect([method, path, query]).toEqual(['PATCH', '/base/api/v1/x', { a: 'b' }]);
  expect(headers).toMatchObject({
    authorization: 'Bearer secret',
    accept: 'application/json',
    'content-type': 'application/merge-patch+json',
  });
});

test('a question without a body has no type', async () => {
  const asking = writer.ask('GET', '/x');
  const { headers, response } = await server.next();
  response.end('{}');
  await asking;
  expect(headers).not.toHaveProperty('content-type');
});

test.each<[string, (asked: Asked) => void, { readonly status: number | undefined; readonly text: string | RegExp }]>([
  ['a conflict', asked => answerStatus(asked, 409, 'was changed'), { status: 409, text: '409: was changed' }],
  [
    'a proxy in between',
    asked => asked.response.writeHead(502).end('<html>'),
    { status: 502, text: '502 Bad Gateway' },
  ],
  ['an answer that is no JSON', asked => asked.response.end('{'), { status: undefined, text: /JSON/ }],
  ['a broken connection', asked => asked.response.destroy(), { status: undefined, text: 'the connection broke' }],
])('%s is an error that says so', async (_what, answer, wanted) => {
  const { status, text } = await fail(answer);
  expect(status).toBe(wanted.status);
  if (typeof wanted.text === 'string') expect(text).toBe(wanted.text);
  else expect(text).toMatch(wanted.text);
});

test('a server that does not answer is given up', async () => {
  const { status, text } = await refusal(writer.ask('GET', '/x', undefined, { timeout: 50 }));
  expect([status, text]).toEqual([undefined, 'no answer']);
});
