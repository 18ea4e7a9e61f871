/** The nftables backend of the service proxy with real packets, both families. Needs root. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import type { Answer, Question } from './proxyActor.js';
import {
  ADDRESSES,
  backendOn,
  deltaOf,
  openProxyRig,
  prefixOf,
  SETTINGS,
  type ActorName,
  type ProxyRig,
  type ServiceShape,
} from './proxyRig.js';

let rig: ProxyRig;
beforeAll(async () => {
  rig = await openProxyRig('pknp');
  rig.proxy.configure(SETTINGS);
  rig.proxy.begin();
  await rig.proxy.idle();
});
afterAll(() => rig.close());

/** Runs with these services, and takes them away again. */
async function withServices(services: readonly ServiceShape[], act: () => Promise<void>): Promise<void> {
  rig.proxy.apply(deltaOf(services));
  await rig.proxy.idle();
  try {
    await act();
  } finally {
    rig.proxy.apply(deltaOf([], services));
    await rig.proxy.idle();
  }
}

/** How long nothing has to come until it is taken for dropped, in milliseconds. */
const SILENCE = 1500;

function ask(actor: ActorName, address: string, more: Partial<Question> = {}): Promise<Answer> {
  return rig.actors[actor].ask({ protocol: 'tcp', address, port: 80, ...more });
}

/** All the answers of so many questions, each once. */
async function answers(times: number, question: () => Promise<Answer>): Promise<readonly Answer[]> {
  const found = new Set<Answer>();
  for (let i = 0; i < times; i++) found.add(await question());
  return [...found].sort();
}

describe.each([4, 6] as const)('IPv%i', family => {
  const vip = (n: number): string => (family === 4 ? `10.96.0.${n}` : `fd96::${n}`);
  const external = (n: number): string => (family === 4 ? `203.0.113.${n}` : `fdcc::${n}`);
  const at = ADDRESSES[family];
  /** Addresses of the node on the links to a and c: what a masqueraded packet comes from. */
  const nodeAt = family === 4 ? { a: '10.1.1.1', c: '10.1.3.1' } : { a: 'fdee:1::1', c: 'fdee:3::1' };
  const [b, c] = [backendOn(family, 'b'), backendOn(family, 'c')];
  const base = { family, name: 'web' };

  test('a cluster IP is balanced over its backends, and pods keep their address', async () => {
    await withServices([{ ...base, cluster: [b, c], frontends: [{ address: vip(1) }] }], async () => {
      expect(await answers(40, () => ask('a', vip(1)))).toEqual([`b ${at.a}`, `c ${at.a}`]);
    });
  });

  test('weights are shares, and weight 0 takes nothing', async () => {
    const cluster = [backendOn(family, 'a', { weight: 0 }), { ...b, weight: 9 }, { ...c, weight: 3 }];
    await withServices([{ ...base, cluster, frontends: [{ address: vip(1) }] }], async () => {
      const [frontend] = await rig.proxy.read([
        ...deltaOf([{ ...base, cluster, frontends: [{ address: vip(1) }] }]).frontends.set.keys(),
      ]);
      expect(frontend?.backends.map(({ address, weight }) => [address, weight])).toEqual([
        [at.b, 3],
        [at.c, 1],
      ]);
      expect(await answers(40, () => ask('client', vip(1)).then(text => text.split(' ')[0]!))).toEqual(['b', 'c']);
    });
  });

  test('TCP and UDP of one port are two things', async () => {
    const tcp: ServiceShape = { ...base, cluster: [b], frontends: [{ address: vip(1) }] };
    await withServices([tcp, { ...tcp, protocol: 'UDP', cluster: [c] }], async () => {
      expect(await ask('a', vip(1))).toBe(`b ${at.a}`);
      expect(await ask('a', vip(1), { protocol: 'udp' })).toBe(`c ${at.a}`);
    });
  });

  test('traffic to a cluster IP from elsewhere is masqueraded, and so is the own of the node', async () => {
    await withServices([{ ...base, cluster: [c], frontends: [{ address: vip(1) }] }], async () => {
      expect(await ask('client', vip(1))).toBe(`c ${nodeAt.c}`);
      expect(await ask('node', vip(1))).toBe(`c ${nodeAt.c}`);
    });
  });

  test('a pod that comes back to itself is masqueraded', async () => {
    const own = backendOn(family, 'a');
    await withServices([{ ...base, cluster: [own], frontends: [{ address: vip(1) }] }], async () => {
      expect(await ask('a', vip(1))).toBe(`a ${nodeAt.a}`);
      expect(await ask('a', vip(1), { protocol: 'tcp' })).toBe(`a ${nodeAt.a}`);
      expect(await ask('b', vip(1))).toBe(`a ${at.b}`);
    });
  });

  test('masquerade always takes the node’s address even for pods', async () => {
    await withServices(
      [{ ...base, cluster: [c], frontends: [{ address: vip(1), masquerade: 'always' }] }],
      async () => {
        expect(await ask('a', vip(1))).toBe(`c ${nodeAt.c}`);
      },
    );
  });

  test('a node port serves every address of the node but loopback, and only this node', async () => {
    const node = { address: undefined, kind: 'nodePort', port: 30080, masquerade: 'always' } as const;
    await withServices([{ ...base, cluster: [c], frontends: [{ address: vip(1) }, node] }], async () => {
      expect(await ask('client', at.node, { port: 30080 })).toBe(`c ${nodeAt.c}`);
      expect(await ask('a', nodeAt.a, { port: 30080 })).toBe(`c ${nodeAt.c}`);
      expect(await ask('node', at.node, { port: 30080 })).toBe(`c ${nodeAt.c}`);
      expect(await ask('node', family === 4 ? '127.0.0.1' : '::1', { port: 30080 })).toBe('refused');
      expect(await ask('client', at.b, { port: 30080 })).toBe('refused');
    });
  });

  test('an external address leads to the same backends, masqueraded', async () => {
    const frontends = [
      { address: vip(1) },
      { address: external(1), kind: 'externalIp', masquerade: 'always' },
    ] as const;
    await withServices([{ ...base, cluster: [b, c], frontends }], async () => {
      const names = await answers(40, () => ask('client', external(1)));
      expect(names.map(text => text.split(' ')[0])).toEqual(['b', 'c']);
      expect(names.some(text => text.includes(at.client))).toBe(false);
    });
  });

  test.each([undefined, 'node port'] as const)(
    'policy Local keeps outsiders local, with their address (%s)',
    async kind => {
      const outer =
        kind === undefined
          ? ({ address: external(1), kind: 'loadBalancer' } as const)
          : ({ address: undefined, kind: 'nodePort' } as const);
      const local = { ...outer, port: 30080, policy: 'local', shortCircuit: true, masquerade: 'never' } as const;
      const goal = outer.address ?? at.node;
      await withServices([{ ...base, cluster: [b, c], frontends: [{ address: vip(1) }, local] }], async () => {
        expect(await answers(20, () => ask('client', goal, { port: 30080 }))).toEqual([`b ${at.client}`]);
        // Pods and the node itself use all endpoints.
        expect(await answers(40, () => ask('a', goal, { port: 30080 }))).toEqual([`b ${at.a}`, `c ${at.a}`]);
        const own = await answers(40, () => ask('node', goal, { port: 30080 }));
        expect(own.map(text => text.split(' ')[0])).toEqual(['b', 'c']);
      });
    },
  );

  test('policy Local without a local endpoint drops outsiders; short circuits work', async () => {
    const local = {
      address: external(1),
      kind: 'loadBalancer',
      policy: 'local',
      shortCircuit: true,
      masquerade: 'never',
    } as const;
    await withServices([{ ...base, cluster: [c], frontends: [{ address: vip(1) }, local] }], async () => {
      expect(await ask('client', external(1), { patience: SILENCE })).toBe('silence');
      expect(await ask('a', external(1))).toBe(`c ${at.a}`);
      expect(await ask('node', external(1))).toBe(`c ${nodeAt.c}`);
    });
  });

  test('internal policy Local uses local endpoints, and drops without any', async () => {
    const frontends = [{ address: vip(1), policy: 'local' }] as const;
    await withServices([{ ...base, cluster: [b, c], frontends }], async () => {
      expect(await answers(20, () => ask('a', vip(1)))).toEqual([`b ${at.a}`]);
    });
    await withServices([{ ...base, cluster: [c], frontends }], async () => {
      expect(await ask('a', vip(1), { patience: SILENCE })).toBe('silence');
      expect(await ask('node', vip(1), { patience: SILENCE })).toBe('silence');
    });
  });

  test('without any endpoint everything is rejected', async () => {
    const frontends = [
      { address: vip(1) },
      { address: external(1), kind: 'externalIp' },
      { address: undefined, kind: 'nodePort', port: 30080 },
    ] as const;
    const tcp: ServiceShape = { ...base, cluster: [], frontends };
    await withServices([tcp, { ...tcp, protocol: 'UDP' }], async () => {
      for (const actor of ['a', 'client', 'node'] as const) {
        for (const protocol of ['tcp', 'udp'] as const) {
          expect(await ask(actor, vip(1), { protocol })).toBe('refused');
          expect(await ask(actor, external(1), { protocol })).toBe('refused');
        }
      }
      expect(await ask('client', at.node, { port: 30080 })).toBe('refused');
    });
  });

  test('another port of a cluster IP is rejected, an address nobody has is dropped', async () => {
    await withServices([{ ...base, cluster: [b], frontends: [{ address: vip(1) }] }], async () => {
      for (const actor of ['a', 'client', 'node'] as const) {
        expect(await ask(actor, vip(1), { port: 81 })).toBe('refused');
        expect(await ask(actor, vip(77), { patience: SILENCE })).toBe('silence');
      }
    });
  });

  test('source ranges let in who is in them', async () => {
    const range = (text: string) => ({
      address: external(1),
      kind: 'loadBalancer' as const,
      masquerade: 'always' as const,
      sourceRanges: [prefixOf(text)],
    });
    const host = family === 4 ? 32 : 128;
    const service = (text: string): ServiceShape => ({
      ...base,
      cluster: [c],
      frontends: [{ address: vip(1) }, range(text)],
    });
    await withServices([service(`${at.client}/${host}`)], async () => {
      expect(await ask('client', external(1))).toBe(`c ${nodeAt.c}`);
      expect(await ask('a', external(1), { patience: SILENCE })).toBe('silence');
      expect(await ask('a', vip(1))).toBe(`c ${at.a}`);
      // Changed while it stands.
      rig.proxy.apply(deltaOf([service(`${at.a}/${host}`)]));
      await rig.proxy.idle();
      expect(await ask('client', external(1), { patience: SILENCE })).toBe('silence');
      expect(await ask('a', external(1))).toBe(`c ${nodeAt.c}`);
    });
  });

  test('session affinity keeps a client at its backend, on every frontend, until the backend goes', async () => {
    const frontends = [
      { address: vip(1), affinity: 3600 },
      { address: external(1), kind: 'externalIp', affinity: 3600 },
      { address: undefined, kind: 'nodePort', port: 30080, affinity: 3600 },
    ] as const;
    const service: ServiceShape = { ...base, cluster: [b, c], frontends };
    const name = (text: Answer): string => text.split(' ')[0]!;
    await withServices([service], async () => {
      const first = name(await ask('client', vip(1)));
      expect(await answers(15, () => ask('client', vip(1)).then(name))).toEqual([first]);
      expect(await answers(15, () => ask('client', external(1)).then(name))).toEqual([first]);
      expect(await answers(15, () => ask('client', at.node, { port: 30080 }).then(name))).toEqual([first]);
      const other = first === 'b' ? c : b;
      rig.proxy.apply(deltaOf([{ ...service, cluster: [other] }]));
      await rig.proxy.idle();
      const second = name(await ask('client', vip(1)));
      expect(second).not.toBe(first);
      // The new record holds when the old backend is back.
      rig.proxy.apply(deltaOf([service]));
      await rig.proxy.idle();
      expect(await answers(15, () => ask('client', vip(1)).then(name))).toEqual([second]);
    });
  });

  test('an open TCP connection outlives its endpoint', async () => {
    const service: ServiceShape = { ...base, cluster: [b], frontends: [{ address: vip(1) }] };
    await withServices([service], async () => {
      expect(await ask('a', vip(1), { keep: `old-${family}` })).toBe(`b ${at.a}`);
      rig.proxy.apply(deltaOf([{ ...service, cluster: [c] }]));
      await rig.proxy.idle();
      expect(await rig.actors.a.askKept(`old-${family}`)).toBe(`b ${at.a}`);
      expect(await ask('a', vip(1))).toBe(`c ${at.a}`);
    });
  });

  test('stale UDP flows are deleted, others stay', async () => {
    const udp = { ...base, protocol: 'UDP' } as const;
    const frontends = [{ address: vip(1) }, { address: undefined, kind: 'nodePort', port: 30053 }] as const;
    const service: ServiceShape = { ...udp, cluster: [b], frontends };
    const other: ServiceShape = { ...udp, name: 'other', cluster: [b, c], frontends: [{ address: vip(2) }] };
    const question = { protocol: 'udp', fromPort: 40000 } as const;
    const deleted = (): number =>
      rig.events.reduce((sum, event) => sum + (event.kind === 'conntrack' ? event.deleted : 0), 0);
    await withServices([service, other], async () => {
      const fixed = await ask('a', vip(2), { ...question, fromPort: 40001 });
      expect(await ask('a', vip(1), question)).toBe(`b ${at.a}`);
      expect(await ask('client', at.node, { ...question, port: 30053 })).toContain('b ');
      const before = deleted();
      // An endpoint goes, another comes: the same source port must reach the new one.
      rig.proxy.apply(deltaOf([{ ...service, cluster: [c] }]));
      await rig.proxy.idle();
      expect(deleted() - before).toBe(2);
      expect(await ask('a', vip(1), question)).toBe(`c ${at.a}`);
      expect(await ask('client', at.node, { ...question, port: 30053 })).toContain('c ');
      expect(await ask('a', vip(2), { ...question, fromPort: 40001 })).toBe(fixed);
    });
  });

  test('SCTP has rules like the others', async () => {
    await withServices([{ ...base, protocol: 'SCTP', cluster: [b], frontends: [{ address: vip(1) }] }], () => {
      // This kernel has no SCTP sockets: what nft(8) reads in the maps has to do.
      const table = [family === 4 ? 'ip' : 'ip6', 'peerage-proxy'];
      const list = (map: string): string =>
        execFileSync('ip', ['netns', 'exec', rig.node.name, 'nft', 'list', 'map', ...table, map], { encoding: 'utf8' });
      expect(list('services')).toContain(`${vip(1)} . sctp . 80 : goto own-cluster-1`);
      expect(list('backends')).toContain(`${at.b} . 8080`);
      return Promise.resolve();
    });
  });
});
