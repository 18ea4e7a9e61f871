/** The overlay in virtual time, against a kernel in memory: nothing is broken before its successor stands. */

import { describe, expect, test } from '@jest/globals';
import type { Delta } from '../../../../src/core/deltaTable.js';
import { createOverlay, type NodeWay, type Overlay, type OverlayEvent } from '../../../../src/fib/overlay/overlay.js';
import { DEFAULT_OVERLAY, type OverlayOptions } from '../../../../src/fib/overlay/overlayOptions.js';
import type { OverlayTarget } from '../../../../src/fib/overlay/overlayTarget.js';
import type { OverlayNode, OverlayObject, OverlayOwnNode } from '../../../../src/fib/overlay/overlayTypes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { address, prefix } from '../routeText.js';

const OWN: OverlayOwnNode = {
  name: 'own',
  v4: address('10.1.0.10'),
  v6: undefined,
  podCidrs: [prefix('10.244.1.0/24')],
};
const FAR: OverlayNode = { name: 'far', v4: address('10.2.0.20'), v6: undefined };
const FAR_ADDRESS = address('10.2.0.20');
const UNDERLAY = { subnets: [prefix('10.1.0.0/24')], mtuFor: () => 1500 };

class FakeTarget implements OverlayTarget {
  readonly state = new Map<string, OverlayObject>();
  readonly log: string[] = [];
  /** Keys that are refused, by a part of them. */
  refuse = '';
  private readonly numbers = new Map<string, number>();

  ifindexOf(name: string): number | undefined {
    return this.state.has(`device ${name}`) ? this.numbers.get(name) : undefined;
  }

  read(): Promise<ReadonlyMap<string, OverlayObject>> {
    return Promise.resolve(new Map(this.state));
  }

  commit(delta: Delta<string, OverlayObject>): Promise<ReadonlyMap<string, string>> {
    const failed = new Map<string, string>();
    for (const [key, { value }] of delta.set) {
      if (this.refuse !== '' && key.includes(this.refuse)) {
        failed.set(key, 'ENOTSUP: Unknown device type');
        continue;
      }
      this.state.set(key, value);
      this.log.push(`+ ${key}`);
      if (value.kind === 'device') this.numbers.set(value.device.name, this.numbers.size + 10);
    }
    for (const key of delta.removed.keys()) {
      this.state.delete(key);
      this.log.push(`- ${key}`);
    }
    return Promise.resolve(failed);
  }
}

interface Rig {
  readonly target: FakeTarget;
  readonly overlay: Overlay;
  readonly events: OverlayEvent[];
  /** How often ways were said to have changed. */
  told(): number;
  way(): NodeWay | undefined;
  /** Lets promises settle, and time pass. */
  run(milliseconds?: number): Promise<void>;
  /** Keeps routes from being written until this is called again. */
  holdRoutes(): () => void;
}

function rig(options: Partial<OverlayOptions> = {}, target = new FakeTarget()): Rig {
  const clock = new VirtualClock();
  const events: OverlayEvent[] = [];
  let told = 0;
  let written = Promise.resolve();
  const overlay = createOverlay({
    target,
    clock,
    readBackInterval: 60_000,
    routesWritten: () => written,
    onEvent: event => events.push(event),
  });
  overlay.onWaysChanged(() => (told += 1));
  overlay.underlayChanged(UNDERLAY);
  overlay.configure({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan', ...options });
  return {
    target,
    overlay,
    events,
    told: () => told,
    way: () => overlay.wayTo(FAR_ADDRESS),
    run: async (milliseconds = 0) => {
      for (let left = milliseconds; ; left -= 100) {
        clock.advance(Math.min(100, Math.max(0, left)));
        for (let i = 0; i < 4; i++) await new Promise(resolve => setImmediate(resolve));
        if (left <= 0) return;
      }
    },
    holdRoutes: () => {
      let release = (): void => undefined;
      written = new Promise(resolve => (release = resolve));
      return release;
    },
  };
}

const set = (...nodes: readonly OverlayNode[]): Parameters<Overlay['update']>[1] => ({
  set: new Map(nodes.map(node => [node.name, node])),
  removed: new Set(),
});
const gone = (...names: readonly string[]): Parameters<Overlay['update']>[1] => ({
  set: new Map(),
  removed: new Set(names),
});

describe('start', () => {
  test('until the own node is known, nothing is written and no next hop is a node', async () => {
    const { overlay, target, way, run } = rig();
    overlay.update(undefined, set(FAR));
    await run(5000);
    expect([target.log, way()]).toEqual([[], undefined]);
    overlay.update(OWN, set());
    expect(way()).toEqual({ kind: 'blocked', reason: 'tunnel: it is being set up' });
    await run();
    expect(way()).toMatchObject({ kind: 'tunnel', hop: { gateway: FAR_ADDRESS, ifindex: 10, onlink: true } });
  });

  test('what stands already is used at once, and not written again', async () => {
    const before = rig();
    before.overlay.update(OWN, set(FAR));
    await before.run();
    await before.overlay.stop({ keep: true });
    before.target.log.length = 0;
    const after = rig({}, before.target);
    after.overlay.update(OWN, set(FAR));
    await after.run();
    expect(after.target.log).toEqual([]);
    expect(after.way()?.kind).toBe('tunnel');
    expect(after.events).toEqual([{ kind: 'adopted', count: 5 }]);
  });
});

describe('make before break', () => {
  test('another device is made, then packets go through it, then the old one goes', async () => {
    const { overlay, target, way, run } = rig();
    overlay.update(OWN, set(FAR));
    await run();
    expect(way()).toMatchObject({ kind: 'tunnel', hop: { ifindex: 10 } });
    target.log.length = 0;
    overlay.configure({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan', vni: 187 });
    expect(way()).toMatchObject({ kind: 'tunnel', hop: { ifindex: 10 } });
    await run();
    expect(way()).toMatchObject({ kind: 'tunnel', hop: { ifindex: 11 } });
    expect(target.log.filter(line => line.startsWith('-'))).toEqual([]);
    await run(2100);
    expect(target.log.filter(line => line.startsWith('- device'))).toEqual(['- device pgx4-56-3p1']);
  });

  test('as long as the new one is refused, packets go through the old one, which stays', async () => {
    const { overlay, target, way, run } = rig();
    overlay.update(OWN, set(FAR));
    await run();
    expect(way()?.kind).toBe('tunnel');
    target.refuse = 'pgi4';
    overlay.configure({ ...DEFAULT_OVERLAY, encapsulation: 'ipip' });
    await run(10_000);
    expect(way()).toMatchObject({ kind: 'tunnel', hop: { ifindex: 10 } });
    expect(target.state.has('device pgx4-56-3p1')).toBe(true);
    target.refuse = '';
    await run(40_000);
    expect(way()).toMatchObject({ kind: 'tunnel', hop: { ifindex: 11 } });
    expect([...target.state.keys()].filter(key => key.includes('pgx4'))).toEqual([]);
  });

  test('with nothing to fall back on, a refused tunnel says why', async () => {
    const { overlay, target, way, run } = rig();
    target.refuse = 'device';
    overlay.update(OWN, set(FAR));
    await run();
    expect(way()).toEqual({ kind: 'blocked', reason: 'tunnel: ENOTSUP: Unknown device type' });
  });

  test('nothing goes before routes have moved, however long that takes', async () => {
    const { overlay, target, run, holdRoutes } = rig();
    overlay.update(OWN, set(FAR));
    await run();
    const release = holdRoutes();
    overlay.configure({ ...DEFAULT_OVERLAY, enabled: false });
    await run(20_000);
    expect(target.state.size).toBe(5);
    release();
    await run(200);
    expect(target.state.size).toBe(0);
  });

  test('from direct to full, the direct way serves until the tunnel stands', async () => {
    const { overlay, way, run } = rig({ type: 'subnet' });
    overlay.update(OWN, set({ ...FAR, v4: address('10.1.0.11') }));
    await run();
    expect(overlay.wayTo(address('10.1.0.11'))).toEqual({ kind: 'direct' });
    overlay.configure({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan', type: 'full' });
    expect(overlay.wayTo(address('10.1.0.11'))).toEqual({ kind: 'direct' });
    await run();
    expect(overlay.wayTo(address('10.1.0.11'))?.kind).toBe('tunnel');
    expect(way()).toBeUndefined();
  });
});

describe('nodes that leave', () => {
  test('their way stays for two seconds, and is told to be gone', async () => {
    const { overlay, target, told, way, run } = rig();
    overlay.update(OWN, set(FAR));
    await run();
    expect(way()?.kind).toBe('tunnel');
    overlay.update(undefined, gone('far'));
    await run(1900);
    expect(way()?.kind).toBe('tunnel');
    const before = told();
    await run(200);
    expect(way()).toBeUndefined();
    expect(told()).toBeGreaterThan(before);
    expect(target.state.size).toBe(0);
  });

  test('and that come back within two seconds notice nothing', async () => {
    const { overlay, target, way, run } = rig();
    overlay.update(OWN, set(FAR));
    await run();
    target.log.length = 0;
    overlay.update(undefined, gone('far'));
    await run(1000);
    overlay.update(undefined, set(FAR));
    await run(10_000);
    expect([target.log, way()?.kind]).toEqual([[], 'tunnel']);
  });
});

describe('end', () => {
  test.each([
    [true, 5],
    [false, 0],
  ])('keep %s leaves %s objects', async (keep, left) => {
    const { overlay, target, run } = rig();
    overlay.update(OWN, set(FAR));
    await run();
    const stopped = overlay.stop({ keep });
    await run();
    await stopped;
    expect(target.state.size).toBe(left);
  });
});
