/** Pods that lie about their addresses, with real packets: over a bridge, over a link of their own, in both families. Needs root and nft(8). */

import { spawnSync } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AntiSpoof } from '../../src/app/antiSpoof/antiSpoof.js';
import { podName } from '../../src/policy/policyTypes.js';
import { buildAntiSpoofRig, lladdr, v4, v6, type AntiSpoofRig, type PodLetter } from './antiSpoofRig.js';

// Dozens of processes are run, on machines that may have other work.
jest.setTimeout(180_000);

const PREFIX = 'pkspf';
let rig: AntiSpoofRig;
let antiSpoof: AntiSpoof;

beforeAll(async () => {
  rig = buildAntiSpoofRig(PREFIX);
  for (const pod of ['a', 'b', 'c'] as const) rig.attach(pod);
  antiSpoof = rig.start('known');
  await antiSpoof.idle();
});
afterAll(async () => {
  await rig.close();
});

/** Whether an echo comes back. */
function reaches(pod: PodLetter, to: string, ...options: readonly string[]): boolean {
  const args = ['netns', 'exec', rig.pods[pod].name, 'ping', '-n', '-c', '1', '-W', '1', ...options, to];
  return spawnSync('ip', args).status === 0;
}

/** The first packet may wait for a neighbour longer than it has on a busy machine. */
function eventuallyReaches(pod: PodLetter, to: string, ...options: readonly string[]): boolean {
  return Array.from({ length: 10 }).some(() => reaches(pod, to, ...options));
}

/** Gives the pod an address that is another's, for a while. */
function posing(pod: PodLetter, address: string, act: () => void): void {
  const length = address.includes(':') ? '128' : '32';
  rig.pods[pod].ip(`addr add ${address}/${length} dev eth0${length === '128' ? ' nodad' : ''}`);
  try {
    act();
  } finally {
    rig.pods[pod].ip(`addr del ${address}/${length} dev eth0`);
  }
}

async function counted(pod: PodLetter): Promise<number> {
  return (await antiSpoof.spoofed()).get(podName('shop', pod)) ?? 0;
}

describe('pods that say who they are', () => {
  test.each([
    ['a', v4('b')],
    ['a', v6('b')],
    ['a', '10.244.1.1'],
    ['a', 'fd00:1::1'],
    ['c', '169.254.1.1'],
    ['c', 'fd00:ff::1'],
  ] as const)('%s reaches %s, and nothing is counted', async (pod, to) => {
    expect(eventuallyReaches(pod, to)).toBe(true);
    expect(await counted(pod)).toBe(0);
  });
});

describe('pods that pose as others', () => {
  test.each([
    ['a', '10.244.1.77', '10.244.1.1'],
    ['a', '10.244.1.77', v4('b')],
    ['a', 'fd00:1::77', 'fd00:1::1'],
    ['a', 'fd00:1::77', v6('b')],
    ['c', '10.244.1.77', '169.254.1.1'],
    ['c', 'fd00:1::77', 'fd00:ff::1'],
  ] as const)('%s as %s does not reach %s, and is counted', async (pod, as, to) => {
    // A way back, were the packet to arrive.
    if (pod === 'c') rig.node.ip(`${as.includes(':') ? '-6 ' : ''}route replace ${as} dev veth-c`);
    const before = await counted(pod);
    posing(pod, as, () => expect(reaches(pod, to, '-I', as)).toBe(false));
    expect(await counted(pod)).toBeGreaterThan(before);
  });

  test('the other end would have answered', async () => {
    const open = buildAntiSpoofRig(`${PREFIX}o`);
    try {
      open.pods.a.ip('addr add 10.244.1.77/32 dev eth0');
      const args = ['netns', 'exec', open.pods.a.name, 'ping', '-n', '-c', '10', '-i', '0.2', '-I', '10.244.1.77'];
      expect(spawnSync('ip', [...args, '10.244.1.1']).status).toBe(0);
    } finally {
      await open.close();
    }
  });

  test('nobody learns their hardware address for another’s address', async () => {
    const before = await counted('a');
    rig.node.ip('neigh flush dev kube-bridge');
    posing('a', v4('b'), () => {
      // Its own question names the address it poses as; b is asked and answers, too.
      reaches('a', '10.244.1.1', '-I', v4('b'));
    });
    posing('a', v6('b'), () => {
      reaches('a', 'fd00:1::1', '-I', v6('b'));
      spawnSync('ip', ['netns', 'exec', rig.node.name, 'ping', '-n', '-c', '2', '-W', '1', v6('b')]);
    });
    expect(await counted('a')).toBeGreaterThan(before);
    const neighbours = rig.node.ip('neigh show').split('\n');
    for (const address of [v4('b'), v6('b')])
      expect(neighbours.filter(line => line.startsWith(`${address} `) && line.includes(lladdr('a')))).toEqual([]);
  });

  test('nor with another hardware address', async () => {
    const before = await counted('a');
    rig.pods.a.ip(`link set eth0 address ${lladdr('b')}`);
    try {
      expect(reaches('a', '10.244.1.1')).toBe(false);
      expect(await counted('a')).toBeGreaterThan(before);
    } finally {
      rig.pods.a.ip(`link set eth0 address ${lladdr('a')}`);
    }
    expect(eventuallyReaches('a', '10.244.1.1')).toBe(true);
  });
});

describe('the tables', () => {
  test('are adopted by the next process, and put right', async () => {
    await antiSpoof.stop();
    const tables = (): string =>
      ['bridge', 'inet'].map(family => rig.nft('-a', 'list', 'table', family, 'peerage_antispoof')).join('');
    const bare = (text: string): string => text.replace(/counter packets \d+ bytes \d+/g, '');
    const before = bare(tables());
    const next = rig.start('known');
    await next.idle();
    expect(bare(tables())).toBe(before);
    await next.stop();
    rig.nft('delete element bridge peerage_antispoof guarded { "veth-a" }');
    const third = rig.start('known');
    await third.idle();
    expect(rig.nft('list', 'set', 'bridge', 'peerage_antispoof', 'guarded')).toContain('"veth-a"');
    await third.stop();
  });

  test('strict: a port of the bridge is closed until its pod is known', async () => {
    const strict = rig.start('strict');
    await strict.idle();
    const pod = rig.pods.c;
    // c moves onto the bridge under another name, and its file is not there yet.
    rig.node.ip(`link add veth-d type veth peer name eth1 netns ${pod.name}`);
    rig.node.ip('link set veth-d master kube-bridge up');
    pod.ip('link set eth1 address 02:00:00:00:00:0d up');
    pod.ip('addr add 10.244.1.13/32 dev eth1');
    pod.ip('route add 10.244.1.1/32 dev eth1 src 10.244.1.13');
    const guarded = (): boolean =>
      rig.nft('list', 'set', 'bridge', 'peerage_antispoof', 'guarded').includes('"veth-d"');
    for (let i = 0; i < 600 && !guarded(); i++) await setTimeout(50);
    expect(guarded()).toBe(true);
    expect(reaches('c', '10.244.1.1', '-I', '10.244.1.13')).toBe(false);
    await strict.stop();
  });

  test('go when nobody wants them', async () => {
    const off = rig.start('off');
    await off.idle();
    expect(rig.nft('list', 'tables')).not.toContain('peerage_antispoof');
    expect(rig.problems()).toEqual([]);
  });
});
