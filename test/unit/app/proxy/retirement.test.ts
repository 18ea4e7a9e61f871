import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createRetirement, type Retirement } from '../../../../src/app/proxy/retirement.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import { createProxy } from '../../../../src/proxy/proxy.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import type { KeyedChange, ProxyDelta } from '../../../../src/proxy/proxyTypes.js';
import { batchOf } from '../../routing/cluster.js';
import { RULES, serviceOf, sliceOf } from '../../proxy/proxyCluster.js';

/** What a kernel has that does as it is told. */
class Kernel {
  readonly frontends = new Map<string, unknown>();
  readonly backends = new Map<string, unknown>();
  readonly addresses = new Map<string, unknown>();

  take({ frontends, backends, addresses }: ProxyDelta): this {
    follow(this.frontends, frontends);
    follow(this.backends, backends);
    follow(this.addresses, addresses);
    return this;
  }

  get text(): string {
    return [this.frontends, this.backends, this.addresses].map(map => [...map.keys()].sort().join(' ')).join('\n');
  }
}

function follow(map: Map<string, unknown>, { set, removed }: KeyedChange<string, unknown>): void {
  for (const key of removed) map.delete(key);
  for (const [key, value] of set) map.set(key, value);
}

function setUp(): {
  apply(change: 'added' | 'changed' | 'deleted', object: KubeObject): readonly IpText[];
  kernel: Kernel;
  retirement: Retirement;
} {
  const proxy = createProxy('n1', RULES);
  const retirement = createRetirement();
  const kernel = new Kernel();
  return {
    kernel,
    retirement,
    apply: (change, object) => {
      const { delta, retiring } = retirement.hold(proxy.apply(batchOf(change, object)).delta);
      kernel.take(delta);
      return retiring;
    },
  };
}

test('a service that goes is served until its address may go', () => {
  const { apply, kernel, retirement } = setUp();
  const service = serviceOf({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] });
  apply('added', service);
  apply('added', sliceOf([{ node: 'n1' }]));
  const retiring = apply('deleted', service);
  expect(retiring).toEqual(['10.96.0.10']);
  // Node ports are announced by nobody.
  expect(kernel.text).toBe('4|10.96.0.10|TCP|80\n4|demo/web||TCP\n10.96.0.10');
  kernel.take(retirement.release(retiring));
  expect(kernel.text).toBe('\n\n');
  expect(retirement.release(retiring).frontends.removed.size).toBe(0);
});

test('an address that is wanted again keeps nothing of the past, and a late release costs nothing', () => {
  const { apply, kernel, retirement } = setUp();
  apply(
    'added',
    serviceOf({
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81 },
      ],
    }),
  );
  const retiring = apply('deleted', serviceOf());
  apply('added', serviceOf({ ports: [{ name: 'a', port: 80 }] }));
  expect(kernel.text).toBe('4|10.96.0.10|TCP|80\n4|demo/web|a|TCP\n10.96.0.10');
  kernel.take(retirement.release(retiring));
  expect(kernel.text).toBe('4|10.96.0.10|TCP|80\n4|demo/web|a|TCP\n10.96.0.10');
});

test('a port that goes while its address stays goes at once', () => {
  const { apply, kernel } = setUp();
  apply(
    'added',
    serviceOf({
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81 },
      ],
    }),
  );
  expect(apply('changed', serviceOf({ ports: [{ name: 'a', port: 80 }] }))).toEqual([]);
  expect(kernel.text).toBe('4|10.96.0.10|TCP|80\n4|demo/web|a|TCP\n10.96.0.10');
});

test('whatever happens, when all may go that asked for it the kernel has what is wanted', () => {
  const someService = fc
    .record({
      name: fc.constantFrom('a', 'b', 'c'),
      externalIPs: fc.subarray(['192.0.2.1', '192.0.2.2']),
      ports: fc.subarray([
        { name: 'x', port: 80 },
        { name: 'y', port: 81 },
      ]),
    })
    .map(({ name, ...spec }) => serviceOf({ ...spec, clusterIPs: [`10.96.0.${name.charCodeAt(0)}`] }, { name }));
  const someStep = fc.record({ object: someService, isDeleted: fc.boolean(), releases: fc.boolean() });
  fc.assert(
    fc.property(fc.array(someStep, { maxLength: 25 }), history => {
      const { apply, kernel, retirement } = setUp();
      const world = new Map<string, KubeObject>();
      const waiting = new Set<IpText>();
      for (const { object, isDeleted, releases } of history) {
        if (isDeleted && !world.has(object.name)) continue;
        const change = isDeleted ? 'deleted' : world.has(object.name) ? 'changed' : 'added';
        if (isDeleted) world.delete(object.name);
        else world.set(object.name, object);
        for (const address of apply(change, object)) waiting.add(address);
        if (releases) kernel.take(retirement.release(waiting));
      }
      kernel.take(retirement.release(waiting));
      const plain = new Kernel().take(createProxy('n1', RULES).apply(batchOf('added', ...world.values())).delta);
      expect(kernel.text).toBe(plain.text);
    }),
    { numRuns: 300 },
  );
}, 60_000);
