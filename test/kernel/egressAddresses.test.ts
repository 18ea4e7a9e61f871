/** Egress addresses with real packets: what the world sees pods come from, and what it never sees. Needs root and nft(8). */

import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ask, buildEgressRig, namespaceObject, nodeObject, podObject, WORLD, type EgressRig } from './egressRig.js';

// Dozens of processes are run, on machines that may have other work.
jest.setTimeout(240_000);

let rig: EgressRig;
beforeAll(async () => {
  rig = await buildEgressRig('pkegr');
  await rig.start(1);
  await rig.start(2);
  await rig.tell([
    nodeObject(1, false),
    nodeObject(2, true),
    namespaceObject('shop'),
    podObject('shop', 1),
    podObject('shop', 2),
  ]);
});
afterAll(async () => {
  await rig.close();
});

const SHOP = namespaceObject('shop', '192.0.2.7, 2001:db8::7');
const EVERY = ([1, 2] as const).flatMap(pod => ([4, 6] as const).map(version => [pod, version] as const));
const seen = (): readonly (string | undefined)[] => EVERY.map(([pod, version]) => rig.seenFrom(pod, version));

describe('what the world sees', () => {
  test('of namespaces without egress addresses: the node', () => {
    expect(seen()).toEqual(['10.0.0.1', 'fd00::1', '10.0.0.2', 'fd00::2']);
  });

  test('of namespaces that have one: that, from wherever a pod runs', async () => {
    await rig.tell([SHOP]);
    expect(rig.agents[1].problems()).toEqual([]);
    expect(rig.agents[2].announced().toSorted()).toEqual(['192.0.2.7/32', '2001:db8::7/128']);
    expect(rig.agents[1].announced()).toEqual([]);
    expect(seen()).toEqual(['192.0.2.7', '2001:db8::7', '192.0.2.7', '2001:db8::7']);
  });

  test('pods reach each other as themselves', () => {
    const ping = (to: string): number | null =>
      spawnSync('ip', ['netns', 'exec', rig.pods[1].name, 'ping', '-c', '1', '-w', '30', to]).status;
    expect([ping('10.244.2.5'), ping('fd00:2::5')]).toEqual([0, 0]);
  });

  test('who begins to talk to an egress address is refused, not left waiting', () => {
    // The kernel is sparing with refusals to one host: one of several tries is told.
    const refused = spawnSync('ip', ['netns', 'exec', rig.world.name, 'ping', '-c', '1', '-w', '30', '192.0.2.7']);
    expect(refused.stdout.toString()).toMatch(/Packet filtered|unreachable|prohibited/i);
    expect(ask(rig.world, '192.0.2.7')).toBeUndefined();
  });

  test('nothing from a pod that the node does not know yet', async () => {
    await rig.tell([], [podObject('shop', 1)]);
    expect([rig.glimpseOf(1, 4), rig.glimpseOf(1, 6)]).toEqual([undefined, undefined]);
    await rig.tell([podObject('shop', 1)]);
    expect(rig.seenFrom(1, 4)).toBe('192.0.2.7');
  });

  test('nothing by another way while the one to the holder is not there', () => {
    const [rule = ''] = /from all fwmark \S+ lookup \d+/.exec(rig.nodes[1].ip('rule')) ?? [];
    rig.nodes[1].ip(`rule del pref 4787 ${rule}`);
    expect(rig.glimpseOf(1, 4)).toBeUndefined();
    rig.nodes[1].ip(`rule add pref 4787 ${rule} proto 186`);
    expect(rig.seenFrom(1, 4)).toBe('192.0.2.7');
  });

  test('nothing of strangers out of the tunnel', () => {
    rig.pods[1].ip('addr add 10.244.1.66/32 dev eth0');
    rig.nodes[1].ip('rule add pref 4786 from 10.244.1.66 lookup 4786');
    rig.nodes[1].ip('route add default via 10.0.0.2 dev peerage-egress onlink table 4786');
    // Past the sending node's own rules, as an older agent there might let it.
    const nft = (n: 1 | 2, ...args: readonly string[]): string =>
      execFileSync('ip', ['netns', 'exec', rig.nodes[n].name, 'nft', ...args], { encoding: 'utf8' });
    nft(1, 'add element inet peerage_egress_addresses known4 { 10.244.1.66 }');
    const dropped = (): number =>
      Number(/iifname "peerage-egress" ip saddr != @snat4 counter packets (\d+)/.exec(nft(2, 'list', 'ruleset'))?.[1]);
    const before = dropped();
    const ping = ['netns', 'exec', rig.pods[1].name, 'ping', '-c', '1', '-W', '1', '-I', '10.244.1.66', WORLD[4]];
    // The first may still be on its way, on a busy machine.
    for (let tries = 0; tries < 30 && dropped() === before; tries++) expect(spawnSync('ip', ping).status).toBe(1);
    expect(dropped()).toBeGreaterThan(before);
    rig.nodes[1].ip('rule del pref 4786');
    rig.pods[1].ip('addr del 10.244.1.66/32 dev eth0');
    nft(1, 'delete element inet peerage_egress_addresses known4 { 10.244.1.66 }');
  });
});

describe('a holder that fails', () => {
  test('nobody else may hold the address: nothing gets out, and it is told', async () => {
    await rig.tell([nodeObject(2, true, false)]);
    expect([...rig.agents[1].announced(), ...rig.agents[2].announced()]).toEqual([]);
    expect(EVERY.map(([pod, version]) => rig.glimpseOf(pod, version))).toEqual(EVERY.map(() => undefined));
    expect(rig.agents[1].problems().map(({ text }) => text)).toEqual([expect.stringMatching(/no node that is ready/)]);
  });

  test('another takes it over', async () => {
    await rig.tell([nodeObject(1, true)]);
    expect(rig.agents[1].announced().toSorted()).toEqual(['192.0.2.7/32', '2001:db8::7/128']);
    expect(seen()).toEqual(['192.0.2.7', '2001:db8::7', '192.0.2.7', '2001:db8::7']);
  });

  test('the next process finds everything done', async () => {
    const state = (): string =>
      [
        execFileSync('ip', [
          'netns',
          'exec',
          rig.nodes[2].name,
          'nft',
          '-a',
          'list',
          'table',
          'inet',
          'peerage_egress_addresses',
        ]),
        rig.nodes[2].ip('rule'),
        rig.nodes[2].ip('route show table all proto 186'),
        rig.nodes[2].ip('-d link show peerage-egress'),
      ]
        .join('\n')
        .replace(/packets \d+ bytes \d+/g, '');
    const before = state();
    await rig.agents[2].stop();
    await rig.start(2);
    expect(state()).toBe(before);
    expect(rig.seenFrom(2, 4)).toBe('192.0.2.7');
  });

  test('who asks for none any more comes from its node again', async () => {
    await rig.tell([namespaceObject('shop')]);
    expect(seen()).toEqual(['10.0.0.1', 'fd00::1', '10.0.0.2', 'fd00::2']);
    expect(rig.nodes[2].ip('rule')).not.toContain('4787');
  });
});

test('the world is where it was', () => {
  expect(ask(rig.nodes[1], WORLD[4])).toBe('10.0.0.1');
});
