import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, startIn, type Running } from './process.js';

jest.setTimeout(180_000);

const LEFT = 'pgexit-left';
const RIGHT = 'pgexit-right';
const LEARNED = ['10.82.0.0/24', '10.82.1.0/24'];

let folder = '';
let left: Running | undefined;
let right: Running | undefined;

function ip(...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function clean(): void {
  for (const name of [LEFT, RIGHT]) spawnSync('ip', ['netns', 'del', name]);
}

function startRouter(namespace: string, me: number, ...args: readonly string[]): Running {
  const other = 3 - me;
  const file = join(folder, `${me}.yaml`);
  writeFileSync(
    file,
    `
router: { asn: 6500${me}, id: 10.77.0.${me}, listen: ["10.77.0.${me}:179"], gracefulRestart: true }
peers: [{ name: other, address: 10.77.0.${other}, asn: 6500${other} }]
networks: [10.8${me}.0.0/24, 10.8${me}.1.0/24]
control: ${join(folder, `${me}.sock`)}
`,
  );
  return startIn(namespace, 'speaker', '-c', file, '--log-format', 'json', ...args);
}

/** Destinations of our routes in the left namespace's kernel. */
function routes(): string[] {
  return ip('-n', LEFT, 'route', 'show', 'proto', 'bgp')
    .split('\n')
    .flatMap(line => line.split(' ', 1))
    .filter(text => text !== '')
    .sort();
}

async function learned(): Promise<void> {
  await eventually(
    () => routes().join() === LEARNED.join(),
    () => `kernel has ${routes().join()}; log:\n${left?.log() ?? ''}`,
  );
}

beforeAll(() => {
  clean();
  folder = mkdtempSync(join(tmpdir(), 'peerage-exit-'));
  for (const name of [LEFT, RIGHT]) ip('netns', 'add', name);
  ip('link', 'add', 'pgexit0', 'netns', LEFT, 'type', 'veth', 'peer', 'name', 'pgexit1', 'netns', RIGHT);
  for (const [name, link, address] of [
    [LEFT, 'pgexit0', '10.77.0.1/24'],
    [RIGHT, 'pgexit1', '10.77.0.2/24'],
  ] as const) {
    ip('-n', name, 'addr', 'add', address, 'dev', link);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', link, 'up');
  }
});

afterAll(async () => {
  for (const running of [left, right]) {
    running?.signal('SIGKILL');
    await running?.ended();
  }
  clean();
  rmSync(folder, { recursive: true });
});

test('kernel routes outlive SIGKILL and SIGTERM and are adopted; --withdraw-on-exit takes them along', async () => {
  right = startRouter(RIGHT, 2);
  left = startRouter(LEFT, 1);
  await learned();

  left.signal('SIGKILL');
  await left.ended();
  expect(routes()).toEqual(LEARNED);

  left = startRouter(LEFT, 1);
  await left.logged('"routes":2,"msg":"kernel routes adopted"');
  await left.logged('first exchange of routes is over');
  expect(routes()).toEqual(LEARNED);

  left.signal('SIGTERM');
  expect(await left.ended()).toBe(0);
  expect(routes()).toEqual(LEARNED);
  await right.logged('its routes are kept while it restarts', 2);

  left = startRouter(LEFT, 1, '--withdraw-on-exit');
  await left.logged('"routes":2,"msg":"kernel routes adopted"');
  await left.logged('"msg":"session up"');
  left.signal('SIGTERM');
  expect(await left.ended()).toBe(0);
  expect(routes()).toEqual([]);
  await right.logged('Cease/Administrative Shutdown');
});

test('an agent that cannot start ends, though parts of it run already', async () => {
  const manifests = join(folder, 'cluster');
  mkdirSync(manifests);
  const config = join(folder, 'agent.yaml');
  writeFileSync(config, 'kubernetes: { nodeName: n1, run: { serviceProxy: true }, proxy: { mode: nftables } }');
  // A folder is in the way of the control socket, and the service proxy is opened before that.
  left = startIn(LEFT, 'agent', '--manifests', manifests, '-c', config, '--control', manifests, '--log-format', 'json');
  expect(await left.ended()).toBe(1);
  expect(left.log()).toContain('service proxy starting');
  expect(left.log()).toContain('is not a socket');
});
