import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.js';
import { Ipv4, parseAddress, type IpAddress } from '../../src/core/ip.js';
import { Asn } from '../../src/bgp/asn.js';
import { createListener } from '../../src/bgp/session/listener.js';
import type { ManagedSession } from '../../src/bgp/session/managedSession.js';
import { createSession } from '../../src/bgp/session/peerSession.js';
import type { SessionConfig } from '../../src/bgp/session/sessionTypes.js';
import type { SocketFactory } from '../../src/bgp/session/socketTypes.js';
import { createSocketFactory } from '../../src/kernel/tcpSocket.js';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { ip, joinNamespaces, removeNamespaces, until } from './tcpNamespaces.js';

const US = 'tcps-us';
const BIRD = 'tcps-bird';
const folder = mkdtempSync(join(tmpdir(), 'tcps-'));
const control = join(folder, 'bird.ctl');
jest.setTimeout(180_000);
let bird: ChildProcess | undefined;
const closers: (() => void)[] = [];

const plain = createSocketFactory();
const sockets: SocketFactory = {
  connect: (options, events) => inNamespace(US, () => plain.connect(options, events)),
  listen: (options, events) => inNamespace(US, () => plain.listen(options, events)),
};

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

beforeAll(() => {
  removeNamespaces([US, BIRD]);
  ip('netns', 'add', US);
  ip('netns', 'add', BIRD);
  joinNamespaces(
    { name: US, link: 'tcps0', addresses: ['10.98.0.1/24', 'fd98::1/64'] },
    { name: BIRD, link: 'tcps1', addresses: ['10.98.0.2/24', 'fd98::2/64'] },
  );
});

afterEach(async () => {
  closers.splice(0).forEach(close => close());
  await stopBird();
});

afterAll(() => {
  removeNamespaces([US, BIRD]);
  rmSync(folder, { recursive: true });
});

/** Starts BIRD 2 with one peer, us; `options` go into its protocol block. */
async function startBird(options: {
  readonly us: string;
  readonly asn: number;
  readonly lines: string;
}): Promise<void> {
  const file = join(folder, 'bird.conf');
  const { us, asn, lines } = options;
  const own = us.includes(':') ? 'fd98::2' : '10.98.0.2';
  writeFileSync(
    file,
    `router id 10.98.0.2;
log "${join(folder, 'bird.log')}" all;
protocol device {}
protocol static { ipv4; route 192.0.2.0/24 blackhole; route 198.51.100.0/24 blackhole; }
protocol bgp speaker {
  local ${own} as ${asn};
  neighbor ${us} as 65000;
  error wait time 1, 2;
  connect delay time 1;
  connect retry time 1;
  ipv4 { import all; export all; ${us.includes(':') ? 'extended next hop on; next hop self;' : ''} };
  ipv6 { import all; export all; };
  ${lines}
}
`,
  );
  const child = spawn('ip', ['netns', 'exec', BIRD, 'bird', '-f', '-c', file, '-s', control], { stdio: 'ignore' });
  bird = child;
  await until('BIRD answers', () => birdc('show status').includes('up and running'));
}

async function stopBird(): Promise<void> {
  const child = bird;
  bird = undefined;
  if (child === undefined || child.exitCode !== null) return;
  const gone = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

function birdc(command: string): string {
  try {
    return execFileSync('birdc', ['-s', control, ...command.split(' ')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}

interface Running {
  readonly session: ManagedSession;
  readonly log: string[];
  updates: number;
}

function run(overrides: Partial<SessionConfig>): Running {
  const v6 = overrides.remote?.version === 6;
  const config: SessionConfig = {
    remote: address('10.98.0.2'),
    remotePort: 179,
    local: address(v6 ? 'fd98::1' : '10.98.0.1'),
    localAsn: Asn(65000),
    remoteAsn: Asn(65001),
    localId: Ipv4(0x0a620001),
    passive: false,
    hops: { kind: 'direct' },
    families: [true, true],
    holdTime: 9,
    connectRetryTime: 1,
    idleHoldTime: { min: 1, max: 4 },
    extendedMessages: true,
    extendedNextHop: v6,
    addPath: { receive: [false, false], send: [false, false] },
    hostname: 'us',
    ...overrides,
  };
  const log: string[] = [];
  const running: Running = {
    log,
    updates: 0,
    session: createSession({
      config,
      claims: () => ({ restarting: false, forwarding: [false, false] }),
      sockets,
      clock: systemClock,
      handlers: {
        stateChanged: state => log.push(state),
        established: () => log.push('up'),
        update: () => running.updates++,
        readDone: () => undefined,
        refresh: (family, subtype) => log.push(`refresh ${family} ${subtype}`),
        drained: () => undefined,
        down: reason => log.push(`down ${reason.text}`),
      },
    }),
  };
  const listener = createListener({
    address: config.local!,
    port: 179,
    sockets,
    onConnection: socket => running.session.accept(socket),
    onError: text => log.push(text),
  });
  listener.setPassword(config.remote, config.password);
  closers.push(() => {
    listener.close();
    running.session.stop({ kind: 'silent' });
  });
  running.session.start();
  return running;
}

function isUp(running: Running): boolean {
  return running.session.state === 'Established';
}

describe.each([
  ['IPv4', '10.98.0.1', '10.98.0.2'],
  ['IPv6', 'fd98::1', 'fd98::2'],
])('with BIRD 2 over %s', (_name, us, them) => {
  const remote = address(them);

  test('we connect, BIRD is passive', async () => {
    await startBird({ us, asn: 65001, lines: 'passive on; hold time 9;' });
    const running = run({ remote });
    await until('up', () => isUp(running));
    await until('routes', () => running.updates > 0);
    expect(running.session.negotiated).toMatchObject({
      kind: 'ebgp',
      fourOctetAs: true,
      families: [true, true],
      routeRefresh: true,
      enhancedRouteRefresh: true,
      holdTime: 9,
    });
    expect(birdc('show protocols all speaker')).toMatch(/BGP state:\s+Established/);
  });

  test('BIRD connects, we are passive', async () => {
    const running = run({ remote, passive: true });
    await startBird({ us, asn: 65001, lines: '' });
    await until('up', () => isUp(running), 60_000);
  });

  test('both connect, inside one AS', async () => {
    const running = run({ remote, remoteAsn: Asn(65000) });
    await startBird({ us, asn: 65000, lines: 'direct;' });
    await until('up', () => isUp(running), 60_000);
    expect(running.session.negotiated?.kind).toBe('ibgp');
    await until('BIRD agrees', () => /Established/.test(birdc('show protocols speaker')));
  });

  test('with the same password it comes up, with another it does not', async () => {
    await startBird({ us, asn: 65001, lines: 'password "bgp secret";' });
    const running = run({ remote, password: 'bgp secret' });
    await until('up', () => isUp(running), 60_000);
    closers.splice(0).forEach(close => close());
    const wrong = run({ remote, password: 'other' });
    await new Promise(resolve => setTimeout(resolve, 3000));
    expect(wrong.log).not.toContain('up');
  });

  test('with GTSM on both sides it comes up', async () => {
    await startBird({ us, asn: 65001, lines: 'ttl security on;' });
    const running = run({ remote, hops: { kind: 'gtsm', hops: 1 } });
    await until('up', () => isUp(running), 60_000);
  });
});

describe('with BIRD 2', () => {
  test('the message of a shutdown arrives, and ours is shown there', async () => {
    await startBird({ us: '10.98.0.1', asn: 65001, lines: '' });
    const running = run({});
    await until('up', () => isUp(running), 60_000);
    execFileSync('birdc', ['-s', control, 'disable', 'speaker', '"new cable"'], { stdio: 'ignore' });
    await until('down', () => running.log.some(l => l.startsWith('down')));
    expect(running.session.lastError?.text).toBe('NOTIFICATION received: Cease/Administrative Shutdown: "new cable"');
    birdc('enable speaker');
    await until('up again', () => isUp(running), 60_000);
    running.session.stop({ kind: 'shutdown', message: 'maintenance' });
    await until('BIRD knows', () => birdc('show protocols all speaker').includes('maintenance'));
  });

  test('a peer that stops answering is taken down when the hold time is over, and back when it wakes', async () => {
    await startBird({ us: '10.98.0.1', asn: 65001, lines: 'hold time 3; keepalive time 1;' });
    const running = run({ holdTime: 3 });
    await until('up', () => isUp(running), 60_000);
    bird!.kill('SIGSTOP');
    await until('down', () => running.log.some(l => l.startsWith('down')));
    expect(running.session.lastError?.text).toBe('hold timer expired');
    bird!.kill('SIGCONT');
    await until('up again', () => isUp(running));
  }, 180_000);

  test('a wrong AS is told', async () => {
    await startBird({ us: '10.98.0.1', asn: 65009, lines: 'passive on;' });
    const running = run({});
    await until('refused', () => running.session.lastError !== undefined);
    expect(running.session.lastError?.text).toBe('bad peer AS: 65009 instead of 65001');
  });

  test('BIRD answers a refresh request between marks', async () => {
    await startBird({ us: '10.98.0.1', asn: 65001, lines: '' });
    const running = run({});
    await until('up', () => isUp(running), 60_000);
    await until('routes', () => running.updates > 1);
    const before = running.updates;
    running.session.sendRefresh(0, 'request');
    await until('marks', () => running.log.includes('refresh 0 begin') && running.log.includes('refresh 0 end'));
    expect(running.updates).toBeGreaterThan(before);
  });

  test('a peer that is killed and comes back is met again', async () => {
    await startBird({ us: '10.98.0.1', asn: 65001, lines: '' });
    const running = run({});
    await until('up', () => isUp(running), 60_000);
    await stopBird();
    await until('down', () => running.log.some(l => l.startsWith('down')));
    await startBird({ us: '10.98.0.1', asn: 65001, lines: '' });
    await until('up again', () => isUp(running), 60_000);
  });
});
