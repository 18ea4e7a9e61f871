import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, peerage, start, type Running } from './process.js';

jest.setTimeout(180_000);

const SECRET = 'hunter2-hunter2';
const PORT = 17_901;

let folder = '';
let left: Running;
let right: Running;
const at = (name: string): string => join(folder, name);
const control = (name: string): string[] => ['--control', at(`${name}.sock`)];

/** Two speakers on loopback, without the kernel's routes: `left` (AS 65001) connects, `right` accepts anybody. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'peerage-speaker-'));
  writeFileSync(at('key'), `${SECRET}\n`);
  writeLeft('10.1.0.0/24');
  writeFileSync(
    at('right.yaml'),
    `
router: { asn: 65002, id: 10.0.0.2, listen: ["127.0.0.2:${PORT}"], addresses: { ipv6: "2001:db8::2" } }
peerGroups: { any: { passive: true, password: { value: ${SECRET} } } }
dynamicPeers: [{ prefix: 127.0.0.0/8, group: any }]
networks: [10.2.0.0/24, "2001:db8:2::/48"]
fib: { install: false }
control: ${at('right.sock')}
`,
  );
  left = start('speaker', '-c', at('left.yaml'), '--log-level', 'trace', '--log-format', 'json');
  right = start('speaker', '-c', at('right.yaml'), '--log-level', 'trace', '--log-format', 'pretty');
  await left.logged('session up');
});

afterAll(async () => {
  left.signal('SIGKILL');
  right.signal('SIGKILL');
  await Promise.all([left.ended(), right.ended()]);
  rmSync(folder, { recursive: true });
});

/** As editors do it: a new file in the place of the old one. */
function writeLeft(network: string, key = 'med'): void {
  writeFileSync(
    at('left.yaml~'),
    `
router: { asn: 65001, id: 10.0.0.1, gracefulRestart: true }
peers: [{ name: right, address: 127.0.0.2, localAddress: 127.0.0.1, port: ${PORT}, asn: 65002, password: { file: ${at('key')} } }]
networks: [{ prefix: ${network}, ${key}: 7 }]
fib: { install: false }
control: ${at('left.sock')}
`,
  );
  renameSync(at('left.yaml~'), at('left.yaml'));
}

async function prefixesOf(...args: readonly string[]): Promise<string[]> {
  const { out } = await peerage('show', ...args, '-o', 'json');
  return (JSON.parse(out) as { prefix: string }[]).map(({ prefix }) => prefix).sort();
}

describe('two speakers', () => {
  test('exchange routes and show them', async () => {
    await eventually(
      async () => (await prefixesOf('routes', ...control('left'))).length === 3,
      () => left.log(),
    );
    expect(await prefixesOf('adj-in', 'right', ...control('left'))).toEqual(['10.2.0.0/24', '2001:db8:2::/48']);
    expect(await prefixesOf('adj-out', 'right', ...control('left'))).toEqual(['10.1.0.0/24']);
    expect(await prefixesOf('routes', '10.1.0.9', ...control('right'))).toEqual(['10.1.0.0/24']);
    const { out, code } = await peerage('show', 'peers', ...control('right'));
    expect(code).toBe(0);
    expect(out).toMatch(/^any@127\.0\.0\.1 +127\.0\.0\.1 +65001 +Established /m);
  });

  test('a new file is taken up without a reset; one with mistakes changes nothing', async () => {
    writeLeft('10.1.1.0/24');
    await left.logged('"msg":"configuration reloaded"');
    await eventually(
      async () => (await prefixesOf('routes', ...control('right'))).includes('10.1.1.0/24'),
      () => right.log(),
    );
    writeLeft('10.1.9.0/24', 'mdd');
    await left.logged('networks[0].mdd: unknown key; did you mean');
    expect(await prefixesOf('adj-out', 'right', ...control('left'))).toEqual(['10.1.1.0/24']);
    writeLeft('10.1.1.0/24');
    await left.logged('"msg":"configuration reloaded"', 2);
    left.signal('SIGHUP');
    await left.logged('"msg":"configuration reloaded"', 3);
    expect(left.log().split('"msg":"session up"')).toHaveLength(2);
  });

  test('a peer is disabled with a message for the other side, and comes back', async () => {
    const message = 'back at 14:00';
    expect(await peerage('peer', 'disable', 'right', '-m', message, ...control('left'))).toMatchObject({ code: 0 });
    await right.logged(message);
    expect((await peerage('show', 'peers', ...control('left'))).out).toContain('Disabled');
    expect(await peerage('peer', 'enable', 'right', ...control('left'))).toMatchObject({ code: 0 });
    await left.logged('"msg":"session up"', 2);
  });

  test('another one on the same control socket is refused and ends', async () => {
    const second = await peerage('speaker', '-c', at('left.yaml'), '--log-format', 'json');
    expect(second.code).toBe(1);
    expect(second.err).toContain('another router is running');
  });

  test('keys stand nowhere', async () => {
    const shown = await Promise.all([
      ...['summary', 'peers', 'routes', 'fib'].flatMap(what => [
        peerage('show', what, '-o', 'wide', ...control('left')),
        peerage('show', what, '-o', 'json', ...control('right')),
      ]),
      peerage('show', 'neighbor', 'right', ...control('left')),
      peerage('show', 'neighbor', 'any@127.0.0.1', '-o', 'json', ...control('right')),
      peerage('check', '-c', at('left.yaml')),
      peerage('check', '-c', at('right.yaml')),
    ]);
    expect(shown.map(({ code }) => code)).toEqual(shown.map(() => 0));
    const everything = [...shown.map(({ out, err }) => out + err), left.log(), right.log()].join('\n');
    expect(everything).toContain('tcp-md5');
    expect(everything).not.toContain(SECRET);
  });
});

describe('exit codes', () => {
  test.each([
    [0, ['--help']],
    [0, ['--version']],
    [2, []],
    [2, ['shwo']],
    [2, ['show', 'peers', '-o', 'xml']],
    [2, ['speaker']],
    [3, ['show', 'peers', '--control', '/nonexistent/control.sock']],
    [1, ['check', '-c', '/nonexistent.yaml']],
    [1, ['speaker', '-c', '/nonexistent.yaml']],
  ])('%i: %j', async (code, args) => {
    expect((await peerage(...args)).code).toBe(code);
  });

  test('1: a peer or prefix that is not there', async () => {
    expect((await peerage('show', 'neighbor', 'nobody', ...control('left'))).code).toBe(1);
    expect((await peerage('show', 'routes', '192.0.2.1', ...control('left'))).code).toBe(1);
  });

  test('a reader that leaves early is no error', () => {
    const pipe = `node dist/cli/main.js show routes --control ${at('left.sock')} | true; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', pipe], { encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['0\n', '']);
  });
});

describe('the end', () => {
  test('with graceful restart the session is closed without a word; without, with Cease', async () => {
    left.signal('SIGTERM');
    expect(await left.ended()).toBe(0);
    expect(left.log()).toContain('"keepRoutes":true,"msg":"stopped"');
    await right.logged('session down', 2);
    expect(right.log()).not.toMatch(/session down.*Administrative Shutdown(?!.*14:00)/);
    expect((await peerage('show', 'peers', ...control('left'))).code).toBe(3);

    const again = start('speaker', '-c', at('left.yaml'), '--log-format', 'json');
    await again.logged('"msg":"session up"');
    right.signal('SIGTERM');
    expect(await right.ended()).toBe(0);
    await again.logged('Cease/Administrative Shutdown');
    again.signal('SIGINT');
    expect(await again.ended()).toBe(0);
  });
});
