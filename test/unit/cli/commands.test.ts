import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeRouter, withServer } from '../api/fakeRouter.js';
import { run } from './commandLine.js';

describe('help', () => {
  test.each([
    [['--help']],
    [['speaker', '--help']],
    [['agent', '--help']],
    [['cleanup', '--help']],
    [['check', '--help']],
    [['show', '--help']],
    [['show', 'routes', '--help']],
    [['explain', 'policy', '--help']],
    [['policy', 'matrix', '--help']],
    [['policy', 'test', '--help']],
    [['peer', '--help']],
    [['peer', 'refresh', '--help']],
  ])('%j', async args => {
    process.env['COLUMNS'] = '80';
    expect((await run(...args)).out).toMatchSnapshot();
  });

  test('a mistyped command is met with the nearest one', async () => {
    expect((await run('shwo')).err).toContain('(Did you mean show?)');
    expect((await run('show', 'peers', '--outptu', 'json')).err).toContain('(Did you mean --output?)');
  });
});

describe('peer', () => {
  test.each([
    [['disable', 'tor-1', '-m', 'back at 14:00'], ['disable back at 14:00 tor-1']],
    [['disable', 'tor-1'], ['disable - tor-1']],
    [['enable', 'clients@10.0.0.7'], ['enable clients@10.0.0.7']],
    [['reset', 'tor-1', '--message', 'x'], ['reset x tor-1']],
    [
      ['refresh', 'tor-1'],
      ['refresh in tor-1', 'refresh out tor-1'],
    ],
    [['refresh', 'tor-1', '--in'], ['refresh in tor-1']],
    [['refresh', 'tor-1', '--out'], ['refresh out tor-1']],
  ])('%j', async (args, expected) => {
    const { view, calls } = createFakeRouter(0);
    await withServer(view, async path => {
      expect(await run('peer', ...args, '--control', path)).toMatchObject({ exitCode: 0, error: undefined, err: '' });
    });
    expect(calls).toEqual(expected);
  });

  test('a name nobody has is refused', async () => {
    await withServer(createFakeRouter(0).view, async path => {
      expect(String((await run('peer', 'reset', 'tor-9', '--control', path)).error)).toContain('no peer "tor-9"');
    });
  });
});

test.each([
  [[], 'drain on'],
  [['--off'], 'drain off'],
])('drain %j', async (args, expected) => {
  const { view, calls } = createFakeRouter(0);
  await withServer(view, async path => {
    expect(await run('drain', ...args, '--control', path)).toMatchObject({ exitCode: 0, error: undefined, err: '' });
  });
  expect(calls).toEqual([expected]);
});

describe('check', () => {
  const check = async (text: string, ...args: string[]): Promise<Awaited<ReturnType<typeof run>>> => {
    const folder = mkdtempSync(join(tmpdir(), 'peerage-check-'));
    try {
      writeFileSync(join(folder, 'c.yaml'), text);
      return await run('check', '-c', join(folder, 'c.yaml'), ...args);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test('prints what the file comes to, and no key', async () => {
    const { out, exitCode } = await check(`
router: { asn: 65000, id: 10.0.0.1, listen: ["10.0.0.1:179"] }
peerGroups: { clients: { asn: 65000, routeReflectorClient: true, families: [ipv4-unicast] } }
peers: [{ name: tor-1, address: 10.0.0.254, asn: 64999, holdTime: 9, password: { value: hunter2 } }]
dynamicPeers: [{ prefix: 10.0.0.0/16, group: clients, limit: 5 }]
networks: [10.244.1.0/24]
`);
    expect(exitCode).toBe(0);
    expect(out).toMatchSnapshot();
    expect(out).not.toContain('hunter2');
  });

  test('a file for an agent may say little, and has more sections', async () => {
    const text = 'kubernetes: { meshPeer: { holdTime: 9 } }\npeers: [{ name: tor, address: 10.0.0.254, asn: 64999 }]\n';
    const { out, exitCode } = await check(text, '--agent');
    expect(exitCode).toBe(0);
    expect(out).toMatchSnapshot();
    expect((await check(text)).err).toContain('kubernetes: is for peerage agent, not for peerage speaker');
    expect((await check(text.replace('mesh', 'mash'), '--agent')).err).toContain('did you mean "meshPeer"?');
  });

  test('the routers that every node peers with are peers', async () => {
    const { out } = await check(
      'kubernetes:\n  mesh: false\n  externalPeer: { holdTime: 30 }\n  externalPeers:\n' +
        '    - { address: 10.0.0.1, asn: 64999, password: { value: hunter2 } }\n' +
        '    - { address: "fd00::1", asn: 64998, holdTime: 9 }\n',
      '--agent',
    );
    expect(out).toMatch(/^router\/10\.0\.0\.1 +10\.0\.0\.1 +64999 +30 +IPv4 IPv6 +TCP-MD5, graceful restart$/m);
    expect(out).toMatch(/^router\/fd00::1 +fd00::1 +64998 +9 +IPv4 IPv6 +graceful restart$/m);
    expect(out).not.toMatch(/hunter2|every other node|template/);
  });

  test('mistakes go to standard error, and are exit code 1', async () => {
    const { out, err, exitCode } = await check('router: { asn: 0, id: 10.0.0.1, colour: red }\n');
    expect([out, exitCode]).toEqual(['', 1]);
    expect(err).toMatch(/c\.yaml:1:11: router\.asn: .*\n.*c\.yaml:1:33: router\.colour: unknown key\n/);
  });
});
