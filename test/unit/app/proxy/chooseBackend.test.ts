import { expect, test } from '@jest/globals';
import { chooseBackend, type BackendOpeners } from '../../../../src/app/proxy/chooseBackend.js';
import type { ProxyBackend } from '../../../../src/proxy/proxyBackend.js';

function backend(kind: ProxyBackend['kind']): ProxyBackend {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    kind,
    configure: () => undefined,
    apply: () => undefined,
    begin: () => undefined,
    read: () => Promise.resolve([]),
    counters: () => Promise.resolve(new Map()),
    idle: nothing,
    stop: nothing,
  };
}

function openers(hasIpvs: boolean): BackendOpeners {
  return {
    nftables: () => backend('nftables'),
    ipvs: () => Promise.resolve(hasIpvs ? backend('ipvs') : 'the kernel has no IPVS'),
  };
}

test.each([
  ['auto', true, 'ipvs', 0],
  ['auto', false, 'nftables', 1],
  ['ipvs', true, 'ipvs', 0],
  ['nftables', true, 'nftables', 0],
  ['nftables', false, 'nftables', 0],
] as const)('mode %s, kernel has IPVS: %s → %s, told %d times', async (mode, hasIpvs, kind, lines) => {
  const told: unknown[] = [];
  const open = chooseBackend(mode, { info: (...line: unknown[]) => told.push(line) }, openers(hasIpvs));
  expect((await open(() => undefined)).kind).toBe(kind);
  expect(told).toHaveLength(lines);
});

test('what is asked for and not there is an error that says so', async () => {
  const open = chooseBackend('ipvs', { info: () => undefined }, openers(false));
  await expect(open(() => undefined)).rejects.toThrow('the mode ipvs that was asked for: the kernel has no IPVS');
});
