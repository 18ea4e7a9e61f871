import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from './commandLine.js';

const SHOP = resolve('examples/policy/shop');
const folder = mkdtempSync(join(tmpdir(), 'peerage-trials-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function expectations(text: string): string {
  const file = join(folder, 'e.yaml');
  writeFileSync(file, text);
  return file;
}

describe('policy matrix', () => {
  test('says which ports are open', async () => {
    const { out, error } = await run('policy', 'matrix', '--manifests', SHOP, '-o', 'json');
    expect(error).toBeUndefined();
    const cells = JSON.parse(out) as readonly { readonly from: string; readonly to: string; readonly ports: string }[];
    expect(cells.map(({ from, to, ports }) => `${from} ${to}: ${ports}`)).toEqual([
      'monitoring/deployment/prometheus shop/deployment/frontend: 8080/tcp',
      'monitoring/deployment/prometheus shop/statefulset/database: 9187/tcp',
      'shop/deployment/frontend monitoring/deployment/prometheus: none',
      'shop/deployment/frontend shop/statefulset/database: 5432/tcp',
      'shop/statefulset/database monitoring/deployment/prometheus: none',
      'shop/statefulset/database shop/deployment/frontend: none',
    ]);
  });

  test('as a grid for one port', async () => {
    const { out } = await run('policy', 'matrix', '--manifests', SHOP, '--port', '9187/tcp', '--namespace', 'shop');
    expect(out).toContain('2 = shop/statefulset/database\n');
    expect(out).toMatch(/^monitoring\/deployment\/prometheus {2}X {2}\.$/m);
    expect(out).toMatch(/^shop\/deployment\/frontend {13}X$/m);
  });

  test('where no policy is, all is open', async () => {
    const { out } = await run('policy', 'matrix', '--manifests', 'examples/cluster');
    expect(out).toMatch(/demo\/client-m9wtd +demo\/web-6f7c9d8b5-4hqkz +all/);
  });
});

describe('policy test', () => {
  test('the example holds', async () => {
    const { out, err, exitCode } = await run('policy', 'test', 'examples/policy/shop.test.yaml');
    expect({ err, exitCode }).toEqual({ err: '', exitCode: 0 });
    expect(out).toMatch(/\n12 as expected, 0 not\n$/);
  });

  test('what fails says why, and ends with 1', async () => {
    const file = expectations(
      'tests:\n- {name: wrong, from: monitoring/prometheus, to: shop/service/database, port: 5432, expect: allowed}\n',
    );
    const { out, exitCode } = await run('policy', 'test', file, '--manifests', SHOP);
    expect(exitCode).toBe(1);
    expect(out).toMatch(
      /FAILED +wrong .*ingress: selected by NetworkPolicy shop\/database, NetworkPolicy shop\/default-deny/,
    );
    expect(out).toMatch(/\n0 as expected, 1 not\n$/);
  });

  test('manifests that cannot be read end with 1 as well', async () => {
    writeFileSync(join(folder, 'bad.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {}\n');
    const file = expectations('tests:\n- {from: 192.0.2.1, to: 192.0.2.2, port: 80, expect: allowed}\n');
    const { err, exitCode } = await run('policy', 'test', file, '--manifests', folder);
    expect(exitCode).toBe(1);
    expect(err).toContain('warning: bad.yaml:1: Pod: metadata.name is missing');
    rmSync(join(folder, 'bad.yaml'));
  });

  test.each([
    ['a field', 'tests:\n- from: a/b\n  to: c/d\n  port: 80\n  expct: denied\n', /e\.yaml:2: tests\[0\]/],
    ['a verdict', 'tests:\n- from: a/b\n  to: c/d\n  port: 80\n  expect: no\n', /e\.yaml:\d: tests\[0\]\.expect: /],
    [
      'no port',
      'tests:\n- {from: a/b, to: c/d, expect: denied}\n',
      /e\.yaml:2: tests\[0\]: needs either port or ports/,
    ],
    [
      'a name',
      'tests:\n- {from: a/b, to: c/d, port: 80, expect: denied}\n',
      /e\.yaml:2: tests\[0\]: there is no a\/b in/,
    ],
    [
      'a namespace',
      'tests:\n- {from: q/*, to: 1.1.1.1, port: 80, expect: denied}\n',
      /tests\[0\]: there are no pods in namespace q/,
    ],
    ['no YAML', 'tests: [', /e\.yaml:1: /],
  ])('complains about %s with file and line', async (_name, text, message) => {
    expect(String((await run('policy', 'test', expectations(text), '--manifests', SHOP)).error)).toMatch(message);
  });

  test('without a folder', async () => {
    const file = expectations('tests:\n- {from: 192.0.2.1, to: 192.0.2.2, port: 80, expect: allowed}\n');
    expect(String((await run('policy', 'test', file)).error)).toMatch(/says no folder of manifests/);
  });
});
