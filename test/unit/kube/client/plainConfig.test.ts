import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import type { ApiCredentials } from '../../../../src/kube/client/apiConnection.js';
import { accountCredentials, plainCredentials } from '../../../../src/kube/client/plainConfig.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plain-config-'));
  writeFileSync(join(folder, 'ca.crt'), 'CA');
  writeFileSync(join(folder, 'token'), 'first\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(cluster: object, user: object, name = 'config'): string {
  const path = join(folder, name);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    contexts: [
      { name: 'other', context: { cluster: 'none', user: 'none' } },
      { name: 'here', context: { cluster: 'c', user: 'u', namespace: 'n' } },
    ],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    'current-context': 'here',
  };
  writeFileSync(path, stringify(config));
  return path;
}

async function applied(credentials: ApiCredentials | undefined): Promise<RequestOptions> {
  const options: RequestOptions = { headers: { accept: 'x' } };
  await credentials?.apply(options);
  return JSON.parse(
    JSON.stringify(options, (_, value: unknown) =>
      typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data)
        ? Buffer.from(value.data as number[]).toString()
        : value,
    ),
  ) as RequestOptions;
}

test('the service account of a pod, whose token changes', async () => {
  const account = accountCredentials({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }, folder);
  expect(account?.server).toBe('https://10.96.0.1:443');
  expect(await applied(account)).toEqual({ ca: 'CA', headers: { accept: 'x', authorization: 'Bearer first' } });
  writeFileSync(join(folder, 'token'), 'second\n');
  expect((await applied(account)).headers).toEqual({ accept: 'x', authorization: 'Bearer second' });
});

test('an API server with an IPv6 address, and no pod at all', () => {
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  expect(accountCredentials(env, folder)?.server).toBe('https://[fd00::1]:443');
  expect(accountCredentials({}, folder)).toBeUndefined();
});

test('a file with certificates beside it, and a key within', async () => {
  const cluster = { server: 'https://a:6443', 'certificate-authority': 'ca.crt', 'tls-server-name': 'kubernetes' };
  const user = {
    'client-certificate': join(folder, 'ca.crt'),
    'client-key-data': Buffer.from('KEY').toString('base64'),
  };
  const credentials = await plainCredentials(written(cluster, user));
  expect(credentials?.server).toBe('https://a:6443');
  expect(await applied(credentials)).toEqual({
    ca: 'CA',
    cert: 'CA',
    key: 'KEY',
    servername: 'kubernetes',
    headers: { accept: 'x' },
  });
});

test('a token, and a server that is not to be checked', async () => {
  const cluster = { server: 'https://a:6443', 'insecure-skip-tls-verify': true };
  expect(await applied(await plainCredentials(written(cluster, { token: 't' })))).toEqual({
    rejectUnauthorized: false,
    headers: { accept: 'x', authorization: 'Bearer t' },
  });
});

test.each([
  ['a program that gives tokens', { server: 'https://a' }, { exec: { command: 'x' } }],
  ['an identity provider', { server: 'https://a' }, { 'auth-provider': { name: 'oidc' } }],
  ['a proxy', { server: 'https://a', 'proxy-url': 'http://p' }, { token: 't' }],
  ['a cluster that is not there', {}, { token: 't' }],
])('%s is for the library', async (_, cluster, user) => {
  expect(await plainCredentials(written(cluster, user))).toBeUndefined();
});

test('a file that cannot be read says so', async () => {
  await expect(plainCredentials(join(folder, 'nowhere'))).rejects.toThrow(/no such file/);
});
