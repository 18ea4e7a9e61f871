import { describe, expect, test } from '@jest/globals';
import { formatAddress, formatIpv4 } from '../../../src/core/ip.js';
import type { RibChanges } from '../../../src/rib/changes.js';
import { DECISION, RibFixture } from './ribFixture.js';

/** The kernel's side: what each prefix goes to after the batches so far, as text. */
class Kernel {
  readonly routes = new Map<string, string>();
  batches = 0;
  private readonly sets = new Map<number, string>();

  take(batch: RibChanges): void {
    this.batches++;
    for (const { id, nextHops } of batch.definitions) {
      expect(this.sets.has(id)).toBe(false);
      this.sets.set(id, nextHops.map(formatAddress).sort().join(' '));
    }
    for (let i = 0; i < batch.count; i++) {
      const prefix = `${formatIpv4(batch.addresses[i]!)}/${batch.lengths[i]!}`;
      const set = batch.nextHopSets[i]!;
      if (set === 0) expect(this.routes.delete(prefix)).toBe(true);
      else this.routes.set(prefix, this.sets.get(set)!);
    }
  }
}

function withKernel(): { fixture: RibFixture; kernel: Kernel } {
  const kernel = new Kernel();
  return { fixture: new RibFixture({ kernel: batch => kernel.take(batch) }), kernel };
}

const base = { prefixes: [1], med: 0 };

describe('the kernel feed', () => {
  test('tells equal paths as one set, and the set again when a member goes', () => {
    const { fixture, kernel } = withKernel();
    const peers = [0, 1, 2].map(i => fixture.peer(`p${i}`));
    peers.forEach((peer, i) => fixture.update(peer, [], { ...base, nextHop: 0x0a000001 + i }));
    fixture.settle();
    expect(kernel.routes).toEqual(new Map([['10.0.1.0/24', '10.0.0.1 10.0.0.2 10.0.0.3']]));
    // The best one stays; the set changes all the same.
    fixture.update(peers[2]!, [1]);
    fixture.settle();
    expect(kernel.routes.get('10.0.1.0/24')).toBe('10.0.0.1 10.0.0.2');
  });

  test('says nothing when only attributes that the kernel does not know change', () => {
    const { fixture, kernel } = withKernel();
    const peer = fixture.peer('p0');
    fixture.update(peer, [], base);
    fixture.settle();
    fixture.update(peer, [], { ...base, med: 9 });
    fixture.settle();
    expect(kernel.batches).toBe(1);
  });

  test('a route that came and went between two batches is not told', () => {
    const { fixture, kernel } = withKernel();
    const peer = fixture.peer('p0');
    fixture.update(peer, [], base);
    fixture.update(peer, [1]);
    fixture.settle();
    expect(kernel.batches).toBe(0);
  });

  test('shares no load beyond the configured number of paths', () => {
    const kernel = new Kernel();
    const fixture = new RibFixture({
      kernel: batch => kernel.take(batch),
      decision: { ...DECISION, maximumPaths: { ebgp: 1, ibgp: 2 } },
    });
    [0, 1, 2].forEach(i => fixture.update(fixture.peer(`p${i}`), [], { ...base, nextHop: 0x0a000001 + i }));
    fixture.settle();
    expect(kernel.routes.get('10.0.1.0/24')?.split(' ')).toHaveLength(2);
  });

  test('next hops out of use are reported and forgotten', () => {
    const { fixture } = withKernel();
    const peer = fixture.peer('p0');
    fixture.update(peer, [], base);
    fixture.settle();
    expect(fixture.rib.nextHops.takeChanges().added.map(formatAddress)).toEqual(['10.0.0.1']);
    fixture.update(peer, [1]);
    fixture.settle();
    expect(fixture.rib.nextHops.takeChanges().removed.map(formatAddress)).toEqual(['10.0.0.1']);
  });
});
