/** Which addresses and pods direct server return takes. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import { createDsrPlan, type DsrPlan } from '../../../../src/proxy/dsr/dsrPlan.js';
import { packetScript } from '../../../../src/proxy/dsr/packetRules.js';
import {
  frontendKey,
  servicePortKey,
  type BackendLists,
  type Frontend,
  type ProxyDelta,
  type ServiceAddress,
} from '../../../../src/proxy/proxyTypes.js';

const ip = (text: string): IpText => text as IpText;
const VIPS = ['203.0.113.1', '203.0.113.2'].map(ip);
const PODS = ['10.244.1.1', '10.244.1.2', '10.244.2.1'].map(ip);

interface Shape {
  readonly name: string;
  readonly port: number;
  readonly vips: readonly IpText[];
  readonly dsr: boolean;
  readonly pods: readonly IpText[];
}

function frontends({ name, port, vips, dsr }: Shape): readonly Frontend[] {
  return vips.map(address => ({
    key: frontendKey(4, address, 'TCP', port),
    kind: 'loadBalancer',
    family: 4,
    address,
    protocol: 'TCP',
    port,
    service: `demo/${name}`,
    servicePort: servicePortKey(4, `demo/${name}`, '', 'TCP'),
    policy: 'cluster',
    shortCircuit: false,
    masquerade: 'always',
    sourceRanges: undefined,
    affinity: undefined,
    scheduling: { scheduler: 'rr', fallback: false, port: false, flag3: false },
    dsr,
  }));
}

function lists({ name, pods }: Shape): BackendLists {
  // Pods of 10.244.1.0/24 are here.
  const all = pods.map(address => ({
    address,
    port: 80,
    weight: 1,
    isLocal: address.startsWith('10.244.1.'),
    state: 'ready' as const,
  }));
  const servicePort = servicePortKey(4, `demo/${name}`, '', 'TCP');
  return { servicePort, cluster: all, local: all.filter(({ isLocal }) => isLocal), serving: all };
}

const addressOf = (address: IpText): ServiceAddress => ({ address, family: 4, isClusterIp: false });

/** From one set of services to another. */
function deltaOf(before: readonly Shape[], after: readonly Shape[]): ProxyDelta {
  const next = new Map(after.flatMap(frontends).map(one => [one.key, one]));
  const nextLists = new Map(after.map(lists).map(one => [one.servicePort, one]));
  const vips = new Set(after.flatMap(shape => shape.vips));
  const gone = <T>(all: readonly T[], left: { has(key: T): boolean }): Set<T> =>
    new Set(all.filter(key => !left.has(key)));
  return {
    frontends: {
      set: next,
      removed: gone(
        before.flatMap(frontends).map(({ key }) => key),
        next,
      ),
    },
    backends: {
      set: nextLists,
      removed: gone(
        before.map(lists).map(({ servicePort }) => servicePort),
        nextLists,
      ),
    },
    addresses: {
      set: new Map([...vips].map(vip => [vip, addressOf(vip)])),
      removed: gone(
        before.flatMap(shape => shape.vips),
        vips,
      ),
    },
  };
}

/** What was told so far. */
function listener(plan: DsrPlan) {
  const told = { backend: new Set<IpText>(), own: new Set<IpText>(), pods: new Map<IpText, string>() };
  return {
    told,
    apply: (delta: ProxyDelta): void => {
      const changes = plan.apply(delta);
      for (const [set, change] of [
        [told.backend, changes.delta.addresses] as const,
        [told.own, changes.addresses] as const,
      ]) {
        for (const address of change.removed) set.delete(address);
        for (const address of change.set.keys()) set.add(address);
      }
      for (const [pod, vips] of changes.pods) {
        if (vips.size === 0) told.pods.delete(pod);
        else told.pods.set(pod, [...vips].sort().join(' '));
      }
    },
  };
}

const WEB: Shape = { name: 'web', port: 80, vips: [VIPS[0]!], dsr: true, pods: PODS };

describe('plan', () => {
  test('an address of such a service is not the backend’s, and pods of this node get it', () => {
    const { told, apply } = listener(createDsrPlan());
    apply(deltaOf([], [WEB]));
    expect([...told.backend]).toEqual([]);
    expect([...told.own]).toEqual([VIPS[0]]);
    expect([...told.pods]).toEqual([
      [PODS[0], VIPS[0]],
      [PODS[1], VIPS[0]],
    ]);
  });

  test('without the annotation it is the backend’s again', () => {
    const { told, apply } = listener(createDsrPlan());
    apply(deltaOf([], [WEB]));
    apply(deltaOf([WEB], [{ ...WEB, dsr: false }]));
    expect([...told.backend]).toEqual([VIPS[0]]);
    expect([...told.own]).toEqual([]);
    expect([...told.pods]).toEqual([]);
  });

  test('what other services have is handed on as it is', () => {
    const plan = createDsrPlan();
    const delta = deltaOf([], [{ ...WEB, dsr: false }]);
    expect(plan.apply(delta).delta).toEqual(delta);
  });

  const shape = fc.record({
    vips: fc.subarray(VIPS, { minLength: 1 }),
    dsr: fc.boolean(),
    pods: fc.subarray(PODS),
  });
  const cluster = fc
    .tuple(fc.option(shape), fc.option(shape))
    .map(shapes =>
      shapes.flatMap((given, i): readonly Shape[] =>
        given === null ? [] : [{ ...given, name: `s${i}`, port: 80 + i }],
      ),
    );

  test('whatever the history, what was told in steps is what a plan from nothing says', () => {
    fc.assert(
      fc.property(fc.array(cluster, { minLength: 1, maxLength: 8 }), history => {
        const steps = listener(createDsrPlan());
        let before: readonly Shape[] = [];
        for (const after of history) {
          steps.apply(deltaOf(before, after));
          before = after;
        }
        const fresh = listener(createDsrPlan());
        fresh.apply(deltaOf([], before));
        expect(new Set(steps.told.backend)).toEqual(new Set(fresh.told.backend));
        expect(new Set(steps.told.own)).toEqual(new Set(fresh.told.own));
        expect(new Map([...steps.told.pods].sort())).toEqual(new Map([...fresh.told.pods].sort()));
        for (const vip of fresh.told.own) expect(before.some(one => one.dsr && one.vips.includes(vip))).toBe(true);
        for (const vip of fresh.told.backend) expect(before.some(one => one.dsr && one.vips.includes(vip))).toBe(false);
      }),
    );
  });
});

test('packets are marked, and segments leave room for the outer header, by family', () => {
  const vips = [VIPS[0]!, ip('fdcc::7')];
  const script = packetScript(vips, 1500);
  expect(script).toContain('ip daddr { 203.0.113.1 } meta mark set meta mark | 8192');
  expect(script).toContain('ip saddr { 203.0.113.1 } tcp flags & (syn | rst) == syn tcp option maxseg size set 1440');
  expect(script).toContain('ip6 saddr { fdcc::7 } tcp flags & (syn | rst) == syn tcp option maxseg size set 1400');
  expect(packetScript(vips, undefined)).not.toContain('maxseg');
  expect(packetScript([], 1500)).not.toContain('chain');
});
