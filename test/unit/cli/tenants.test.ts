/** `peerage tenants` with --kubeconfig: what is asked of an API server, and what its refusals come to. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { answerStatus, FakeApiServer, type Asked } from '../kube/client/fakeApiServer.js';
import { run } from './commandLine.js';

let server: FakeApiServer;
let folder: string;
beforeEach(async () => {
  server = await FakeApiServer.start();
  folder = mkdtempSync(join(tmpdir(), 'peerage-tenants-'));
  const cluster = { name: 'fake', cluster: { server: `http://127.0.0.1:${server.port}` } };
  const context = { name: 'fake', context: { cluster: 'fake', user: 'somebody' } };
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'fake' },
    ...{ clusters: [cluster], contexts: [context], users: [{ name: 'somebody', user: {} }] },
  };
  writeFileSync(join(folder, 'config'), JSON.stringify(config));
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** @returns undefined when all went well; otherwise what hindered it */
async function tenants(...args: readonly string[]): Promise<string | undefined> {
  const { error } = await run('tenants', ...args, '--kubeconfig', join(folder, 'config'));
  return error instanceof Error ? error.message : undefined;
}

async function taken(asked: Asked): Promise<readonly unknown[]> {
  const body: unknown = JSON.parse(await asked.body());
  return [asked.method, asked.path, asked.headers['content-type'], body];
}

function changeTo(change: string): object {
  const annotations = {
    'peerage.io/tenant.change': change,
    'pod.network.openshift.io/multitenant.change-network': null,
  };
  return { metadata: { annotations } };
}

const OK = JSON.stringify({ kind: 'Namespace', metadata: { name: 'any', resourceVersion: '1' } });

test.each(['isolate', 'global'])('%s asks for each namespace, one after another', async change => {
  const done = tenants(change, 'red', 'blue');
  for (const name of ['red', 'blue']) {
    const asked = await server.next();
    expect(await taken(asked)).toEqual([
      'PATCH',
      `/api/v1/namespaces/${name}`,
      'application/merge-patch+json',
      changeTo(change),
    ]);
    expect(server.untaken).toBe(0);
    asked.response.end(OK);
  }
  expect(await done).toBeUndefined();
});

test('join looks first whether there is such a namespace to join', async () => {
  const done = tenants('join', 'red', 'green');
  const looked = await server.next();
  expect([looked.method, looked.path]).toEqual(['GET', '/api/v1/namespaces/green']);
  looked.response.end(OK);
  const asked = await server.next();
  expect((await taken(asked)).slice(1)).toEqual([
    '/api/v1/namespaces/red',
    'application/merge-patch+json',
    changeTo('join:green'),
  ]);
  asked.response.end(OK);
  expect(await done).toBeUndefined();
});

test('nobody is asked to join what is not there', async () => {
  const done = tenants('join', 'red', 'nobody');
  answerStatus(await server.next(), 404, 'namespaces "nobody" not found');
  expect(await done).toBe('there is no namespace nobody to join');
  expect(server.untaken).toBe(0);
});

test('the first that is refused ends it, with the server’s reason', async () => {
  const absent = tenants('isolate', 'red', 'blue');
  answerStatus(await server.next(), 404, 'namespaces "red" not found');
  expect(await absent).toBe('there is no namespace red');
  const forbidden = tenants('isolate', 'red', 'blue');
  answerStatus(await server.next(), 403, 'somebody may not patch namespaces');
  expect(await forbidden).toContain('somebody may not patch namespaces');
  expect(server.untaken).toBe(0);
});
