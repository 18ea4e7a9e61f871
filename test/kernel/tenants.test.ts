/** Tenants in a kernel, with packets: who reaches whom, what a change does to packets on their way, and the table itself. Needs root. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { NUMBER_ANNOTATION } from '../../src/policy/tenants/namespaceTenant.js';
import { namespaceObject, podObject } from '../unit/policy/tenants/tenantObjects.js';
import {
  ACTORS,
  ADDRESSES,
  nodeOf,
  objectsOf,
  openTenantRig,
  PODS,
  type ActorName,
  type NodeName,
  type Numbers,
  type PodNameOfRig,
  type TenantRig,
} from './tenantRig.js';

/** `g` is global by configuration. */
const APART: Numbers = { a: 10, b: 11, c: 12, g: undefined };

let rig: TenantRig;
beforeAll(async () => {
  rig = await openTenantRig('tnk');
}, 120_000);
afterAll(() => rig.close(), 60_000);
beforeEach(async () => {
  await rig.tell(objectsOf(APART));
  for (const name of ACTORS) await rig.actors[name].forget();
}, 60_000);

const isPod = (name: ActorName): name is PodNameOfRig => (PODS as readonly string[]).includes(name);

/** What the rules say in words: machines are no tenants. */
function mayReach(numbers: Numbers, from: ActorName, to: ActorName): boolean {
  if (!isPod(from) || !isPod(to)) return true;
  const numberOf = (pod: string): number => numbers[pod.slice(0, 1)] ?? (pod.startsWith('g') ? 0 : 1);
  const [left, right] = [numberOf(from), numberOf(to)];
  return left === 0 || right === 0 || (left === right && left !== 1);
}

/** Waits for what is to come; what is not to come was sent before it. */
async function heardOf(expected: ReadonlyMap<ActorName, ReadonlySet<string>>): Promise<void> {
  for (const [to, texts] of expected) {
    const end = Date.now() + 60_000;
    for (;;) {
      const heard = await rig.actors[to].heard();
      if ([...texts].every(text => heard.has(text))) {
        expect([...heard.keys()].sort()).toEqual([...texts].sort());
        break;
      }
      if (Date.now() > end)
        throw new Error(`${to} never heard ${[...texts].filter(text => !heard.has(text)).join(', ')}`);
      await pause(20);
    }
  }
}

/** Everybody sends to everybody, in both families. */
async function probeAll(numbers: Numbers, among: readonly ActorName[] = ACTORS): Promise<void> {
  const expected = new Map<ActorName, Set<string>>(among.map(name => [name, new Set()]));
  for (const from of among) {
    const sends = among.flatMap(to =>
      from === to || isElsewhere(from, to)
        ? []
        : ADDRESSES[to].map((address, family) => ({ to, address, text: `${from} ${family}` })),
    );
    const isAllowed = ({ to }: { readonly to: ActorName }): boolean => mayReach(numbers, from, to);
    const ordered = [...sends.filter(send => !isAllowed(send)), ...sends.filter(isAllowed)];
    await rig.actors[from].send(ordered.map(({ address, text }) => ({ to: address, text })));
    for (const { to, text } of sends.filter(isAllowed)) expected.get(to)!.add(text);
  }
  await heardOf(expected);
}

/** The network of the rig has no way back to a node from another one's pods. */
function isElsewhere(from: ActorName, to: ActorName): boolean {
  return (from === 'n2' || to === 'n2') && (from === 'client' || to === 'client');
}

describe('who reaches whom', () => {
  test.each<[string, Numbers]>([
    ['every namespace for itself', APART],
    ['a and b are one', { ...APART, b: 10 }],
    ['b is global', { ...APART, b: 0 }],
    ['c has no number: it is closed, even to itself', { ...APART, c: undefined }],
    ['all are one', { a: 10, b: 10, c: 10, g: 10 }],
  ])(
    '%s',
    async (_, numbers) => {
      await rig.tell(objectsOf(numbers));
      await probeAll(numbers);
    },
    120_000,
  );

  test('a pod that is not known yet is closed, but to its own node, the world and who is global', async () => {
    // b1 is there, and nobody has told of it.
    await rig.tell(
      objectsOf(
        APART,
        PODS.filter(pod => pod !== 'b1' && pod !== 'b2'),
      ),
    );
    const unknown: Numbers = { ...APART, b: undefined };
    await probeAll(unknown);
  }, 120_000);

  test('a service is judged by the pod behind it', async () => {
    const { space } = rig.nodes.n1;
    const rules = [
      'table ip services { chain prerouting { type nat hook prerouting priority -100; ip daddr 10.96.0.1 dnat to 10.244.1.4; }\n}',
      'table ip6 services { chain prerouting { type nat hook prerouting priority -100; ip6 daddr fd96::1 dnat to fd44:1::4; }\n}',
    ].join('\n');
    execFileSync('ip', ['netns', 'exec', space.name, 'nft', '-f', '-'], { input: rules });
    const ask = async (text: string): Promise<void> => {
      for (const from of ['a1', 'a3', 'b2', 'client'] as const)
        await rig.actors[from].send(['10.96.0.1', 'fd96::1'].map(to => ({ to, text: `${from} ${text} ${to}` })));
    };
    const heardFrom = (text: string, ...from: readonly ActorName[]): readonly string[] =>
      from.flatMap(name => ['10.96.0.1', 'fd96::1'].map(to => `${name} ${text} ${to}`));
    const apart = heardFrom('apart', 'b2', 'client');
    await ask('apart');
    await heardOf(new Map([['b1', new Set(apart)]]));
    await rig.tell(objectsOf({ ...APART, b: 10 }));
    await ask('joined');
    await heardOf(new Map([['b1', new Set([...apart, ...heardFrom('joined', 'a1', 'a3', 'b2', 'client')])]]));
    for (const family of ['ip', 'ip6'])
      execFileSync('ip', ['netns', 'exec', space.name, 'nft', 'delete', 'table', family, 'services']);
  }, 120_000);

  test('what was denied is counted at the pods of this node', async () => {
    const countsNow = async (): Promise<ReadonlyMap<string, readonly [number, number]>> => {
      const { kernel, model } = rig.nodes.n1;
      const denials = await kernel.denials(
        [...model.addresses].flatMap(([address, { isLocal }]) => (isLocal ? [address] : [])),
      );
      return new Map([...denials].map(([address, { to, from }]) => [address, [Number(to), Number(from)]] as const));
    };
    // The kernel adds up now and then: what went before is in the first count.
    let before = await countsNow();
    for (let calm = 0; calm < 3; calm++) {
      await pause(2500);
      const next = await countsNow();
      if (JSON.stringify([...next]) !== JSON.stringify([...before])) calm = -1;
      before = next;
    }
    for (const text of ['1', '2', '3']) await rig.actors.a1.send(ADDRESSES.b1.map(to => ({ to, text })));
    await rig.actors.a3.send([{ to: ADDRESSES.b1[0], text: '4' }]);
    const end = Date.now() + 60_000;
    // The fourth was dropped by the other node, before it came here.
    const wanted = { '10.244.1.2': [0, 3], '10.244.1.4': [3, 0], 'fd44:1::2': [0, 3], 'fd44:1::4': [3, 0] };
    for (;;) {
      const more = [...(await countsNow())].map(([address, [to, from]]) => {
        const [oldTo, oldFrom] = before.get(address) ?? [0, 0];
        return [address, [to - oldTo, from - oldFrom]] as const;
      });
      const seen = Object.fromEntries(more.filter(([, [to, from]]) => to + from !== 0));
      if (isDeepStrictEqual(seen, wanted)) break;
      if (Date.now() > end) expect(seen).toEqual(wanted);
      await pause(50);
    }
  }, 120_000);
});

describe('changes under traffic', () => {
  interface Stream {
    readonly from: PodNameOfRig;
    readonly to: PodNameOfRig;
  }
  const pairs = (...texts: readonly string[]): readonly Stream[] =>
    texts.map(text => {
      const [from, to] = text.split('>').map(name => PODS.find(pod => pod === name)!);
      return { from: from!, to: to! };
    });
  const each = async (
    streams: readonly Stream[],
    act: (stream: Stream, address: string, text: string) => Promise<void>,
  ): Promise<void> => {
    for (const stream of streams)
      for (const [family, address] of ADDRESSES[stream.to].entries())
        await act(stream, address, `${stream.from} ${family}`);
  };
  const start = (streams: readonly Stream[], every = 2): Promise<void> =>
    each(streams, ({ from }, address, text) => rig.actors[from].stream(address, text, every));

  /** Every packet of these arrives, and no other. @param room what had overflowed before, by receiver */
  async function expectAll(streams: readonly Stream[], room: ReadonlyMap<ActorName, number>): Promise<void> {
    for (const to of new Set(streams.map(stream => stream.to))) {
      let sent = 0;
      const texts = new Set<string>();
      await each(
        streams.filter(stream => stream.to === to),
        async ({ from }, address, text) => {
          const count = await rig.actors[from].stop(address, text);
          expect(count).toBeGreaterThan(100);
          sent += count;
          texts.add(text);
        },
      );
      // What came and was not read in time has arrived, too.
      const arrived = async (): Promise<number> => {
        const heard = [...(await rig.actors[to].heard())].filter(([text]) => texts.has(text));
        const missed = (await rig.actors[to].overflow()) - room.get(to)!;
        return heard.reduce((sum, [, count]) => sum + count, missed);
      };
      const end = Date.now() + 30_000;
      while ((await arrived()) !== sent && Date.now() < end) await pause(20);
      expect({ to, lost: sent - (await arrived()) }).toEqual({ to, lost: 0 });
    }
  }

  /** No packet of these arrives. */
  async function expectNone(streams: readonly Stream[]): Promise<void> {
    await each(streams, async ({ from, to }, address, text) => {
      const sent = await rig.actors[from].stop(address, text);
      expect(sent).toBeGreaterThan(100);
      expect({ from, to, address, heard: (await rig.actors[to].heard()).get(text) ?? 0 }).toEqual({
        from,
        to,
        address,
        heard: 0,
      });
    });
  }

  async function sentAtLeast(count: number, { from, to }: Stream): Promise<void> {
    for (const [family, address] of ADDRESSES[to].entries())
      while ((await rig.actors[from].sent(address, `${from} ${family}`)) < count) await pause(10);
  }

  test('join, isolate and global: who is together never loses a packet, who is apart never gets one', async () => {
    // a is given one network after the other, and c is with it or alone or global; b is never with any of them.
    const together = pairs('a1>a2', 'a1>a3', 'a3>a2', 'b1>b2');
    const apart = pairs('a1>b1', 'b1>a1', 'a3>b1', 'b2>a1', 'a3>b2', 'b2>a3');
    const room = new Map<ActorName, number>();
    for (const name of PODS) room.set(name, await rig.actors[name].overflow());
    expect([...room.values()].every(Number.isInteger)).toBe(true);
    await start([...together, ...apart]);
    for (let round = 0; round < 40; round++) {
      const a = 20 + round;
      await rig.tell(objectsOf({ ...APART, a, c: [a, 900 + round, 0, undefined][round % 4] }));
    }
    for (const stream of [...together, ...apart]) await sentAtLeast(150, stream);
    await expectNone(apart);
    await expectAll(together, room);
  }, 180_000);

  test('what a change forbids ends with it, flows under way and answers among them; what it allows begins', async () => {
    await rig.tell(objectsOf({ ...APART, b: 10 }));
    const flows = pairs('a1>b1', 'b1>a1', 'a1>b2', 'b2>a1');
    await start(flows);
    for (const flow of flows) await sentAtLeast(20, flow);
    for (const numbers of [APART, { ...APART, b: undefined }]) {
      await rig.tell(objectsOf(numbers));
      for (const name of PODS) await rig.actors[name].forget();
      const before = await rig.actors.a1.sent(ADDRESSES.b1[0], 'a1 0');
      await sentAtLeast(before + 50, flows[0]!);
      await each(flows, async ({ to }, _, text) => expect((await rig.actors[to].heard()).get(text)).toBeUndefined());
    }
    await rig.tell(objectsOf({ ...APART, b: 0 }));
    for (const name of PODS) await rig.actors[name].forget();
    const before = await rig.actors.a1.sent(ADDRESSES.b1[0], 'a1 0');
    await sentAtLeast(before + 50, flows[0]!);
    const end = Date.now() + 30_000;
    await each(flows, async ({ from, to }, address, text) => {
      while (((await rig.actors[to].heard()).get(text) ?? 0) === 0 && Date.now() < end) await pause(10);
      expect((await rig.actors[to].heard()).get(text)).toBeGreaterThan(0);
      await rig.actors[from].stop(address, text);
    });
  }, 120_000);
});

describe('the table', () => {
  const nft = (node: NodeName, ...args: readonly string[]): string =>
    execFileSync('ip', ['netns', 'exec', rig.nodes[node].space.name, 'nft', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
      maxBuffer: 1 << 28,
    });
  /** Elements in one order, without counters. */
  const listing = (node: NodeName): string =>
    ['ip', 'ip6']
      .map(family => nft(node, '-s', 'list', 'table', family, 'peerage-tenants'))
      .map(text =>
        text.replace(/elements = \{([^}]*)\}/g, (_, list: string) =>
          list
            .split(',')
            .map(one => one.trim())
            .sort()
            .join(),
        ),
      )
      .join('\n');

  test('another life finds its work and writes nothing', async () => {
    const before = listing('n1');
    const generation = nft('n1', '-j', 'list', 'ruleset');
    await rig.restart('n1');
    expect(rig.nodes.n1.events.map(({ kind }) => kind)).toEqual(['adopted', 'adopted']);
    expect(listing('n1')).toBe(before);
    // Handles are given anew to whatever is written.
    expect(nft('n1', '-j', 'list', 'ruleset').replace(/"packets".*?\d+/g, '')).toBe(
      generation.replace(/"packets".*?\d+/g, ''),
    );
  }, 60_000);

  test.each([
    ['an element is gone', ['delete', 'element', 'ip', 'peerage-tenants', 'tenants', '{ 10.244.1.2 }']],
    ['a number is another', ['add', 'element', 'ip', 'peerage-tenants', 'members', '{ 0x0000000b . 10.244.1.2 }']],
    ['the rules are gone', ['flush', 'chain', 'ip', 'peerage-tenants', 'denied']],
    ['it is put to sleep', ['add table ip peerage-tenants { flags dormant; }']],
    [
      "a stranger's hook is in it",
      ['add chain ip peerage-tenants s { type filter hook forward priority 0; policy drop; }'],
    ],
    ['all is gone', ['delete', 'table', 'ip6', 'peerage-tenants']],
  ])(
    'is put right when %s',
    async (_, command) => {
      const before = listing('n1');
      rig.nodes.n1.events.length = 0;
      nft('n1', ...command);
      const end = Date.now() + 60_000;
      while (!rig.nodes.n1.events.some(({ kind }) => kind === 'drift') && Date.now() < end) await pause(20);
      await rig.nodes.n1.kernel.idle();
      expect(rig.nodes.n1.events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['drift', 'written']));
      expect(listing('n1')).toBe(before);
    },
    120_000,
  );

  test('a thousand namespaces: one of them joins another by its own addresses alone', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => i);
    const pods = many.flatMap(i =>
      [0, 1, 2].map(n =>
        podObject(`t${i}/p${n}`, [`10.${100 + (i >> 8)}.${i & 255}.${n + 2}`], { node: i < 20 ? 'n1' : 'n2' }),
      ),
    );
    const objects = (numberOf: (i: number) => number): readonly unknown[] => [
      ...objectsOf(APART),
      ...many.map(i => namespaceObject(`t${i}`, { [NUMBER_ANNOTATION]: String(numberOf(i)) })),
      ...pods,
    ];
    await rig.tell(objects(i => 100 + i));
    expect(rig.nodes.n1.kernel.isSettled).toBe(true);
    expect(nft('n1', 'list', 'map', 'ip', 'peerage-tenants', 'tenants').match(/ : 0x/g)).toHaveLength(
      3000 + PODS.length,
    );
    await probeAll(APART);
    rig.nodes.n1.events.length = 0;
    await rig.tell(objects(i => (i === 7 ? 108 : 100 + i)));
    const written = rig.nodes.n1.events.filter(event => event.kind === 'written');
    // Three addresses: each has another number, and is a member of another network of this node's.
    expect(written.map(({ elements }) => elements)).toEqual([9]);
    await rig.tell(objectsOf(APART));
    expect(nodeOf('a1')).toBe('n1');
  }, 180_000);
});
