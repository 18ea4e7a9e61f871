/** When what another mode of the proxy left is taken away. */

import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { afterModeChange } from '../../../../src/app/proxy/modeChange.js';
import type { Removal } from '../../../../src/proxy/leftovers.js';
import type { ProxyBackend, ProxyEvent } from '../../../../src/proxy/proxyBackend.js';
import { VirtualClock } from '../../core/virtualClock.js';

const PATIENCE = 30_000;

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

async function start(kind: ProxyBackend['kind'], removals: readonly Removal[] = []) {
  const clock = new VirtualClock();
  const log: string[] = [];
  let finish: () => void = () => undefined;
  let emit: (event: ProxyEvent) => void = () => undefined;
  const state = { connections: 0 };
  const left = [...removals];
  const backend: ProxyBackend = {
    kind,
    configure: () => undefined,
    apply: () => undefined,
    begin: () => log.push('begin'),
    read: () => Promise.resolve([]),
    counters: () => Promise.resolve(new Map()),
    idle: () => new Promise(resolve => (finish = resolve)),
    stop: () => Promise.resolve(),
  };
  const opened = await afterModeChange(
    onEvent => {
      emit = onEvent;
      return Promise.resolve(backend);
    },
    {
      clock,
      logger: pino({ level: 'silent' }),
      patience: PATIENCE,
      leftovers: {},
      open: () => ({
        connections: () => Promise.resolve(state.connections),
        remove: mode => {
          log.push(`remove ${mode}`);
          return Promise.resolve(left.shift() ?? { removed: [], left: [] });
        },
        close: () => log.push('close'),
      }),
    },
  )(() => undefined);
  return {
    opened,
    log,
    clock,
    state,
    emit: (event: ProxyEvent) => emit(event),
    idle: async () => {
      finish();
      await settle();
    },
    pass: async (milliseconds: number) => {
      clock.advance(milliseconds);
      await settle();
    },
  };
}

test.each([
  ['ipvs', 'nftables'],
  ['nftables', 'ipvs'],
] as const)('%s takes away %s once it serves, and not before', async (kind, other) => {
  const { opened, log, idle } = await start(kind);
  opened.begin();
  await settle();
  expect(log).toEqual(['begin']);
  await idle();
  expect(log).toEqual(['begin', `remove ${other}`]);
});

test('as long as the kernel refuses the new one, the old one stays', async () => {
  const { opened, log, idle, emit, pass } = await start('ipvs');
  opened.begin();
  emit({ kind: 'error', text: 'no' });
  await idle();
  await pass(60_000);
  await idle();
  expect(log).toEqual(['begin']);
  emit({ kind: 'committed', seconds: 0, frontends: 0, full: true });
  await pass(5000);
  await idle();
  expect(log).toEqual(['begin', 'remove nftables']);
});

test('connections may end, but not forever', async () => {
  const { opened, log, idle, pass, state } = await start('nftables');
  state.connections = 2;
  opened.begin();
  await idle();
  await pass(20_000);
  expect(log).toEqual(['begin']);
  for (let i = 0; i < 3; i += 1) await pass(5000);
  expect(log).toEqual(['begin', 'remove ipvs']);
});

test('what could not be taken away is tried again, until the end', async () => {
  const refused = { removed: [], left: ['link: EBUSY'] };
  const { opened, log, idle, pass } = await start('nftables', [refused, refused]);
  opened.begin();
  await idle();
  await pass(5000);
  await pass(5000);
  await pass(50_000);
  expect(log).toEqual(['begin', 'remove ipvs', 'remove ipvs', 'remove ipvs']);
  await opened.stop();
  expect(log.at(-1)).toBe('close');
});

test('nothing is taken away after the end', async () => {
  const { opened, log, idle } = await start('ipvs');
  opened.begin();
  const stopped = opened.stop();
  await idle();
  await stopped;
  expect(log).toEqual(['begin', 'close']);
});
