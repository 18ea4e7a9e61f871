import { describe, expect, test } from '@jest/globals';
import { formatAddress, ipv4, type IpAddress } from '../../../src/core/ip.js';
import { NextHopWatch } from '../../../src/engine/nextHopWatch.js';
import { NextHops, type NextHopId } from '../../../src/rib/nextHops.js';
import { address } from '../bgp/session/memoryNetwork.js';

/** Next hops with a resolver that answers once for each address it is told of, as one does whose routes stay. */
class World {
  readonly nextHops = new NextHops(true);
  readonly told: string[] = [];
  private readonly watch = new NextHopWatch(this.nextHops, {
    nextHops: (added, removed) => {
      this.told.push(...removed.map(a => `-${formatAddress(a)}`), ...added.map(a => `+${formatAddress(a)}`));
      for (const one of added) this.nextHops.update(one, true, 7);
      this.watch.answered(added);
    },
  });

  use(id: NextHopId): NextHopId {
    this.nextHops.retain(id);
    return id;
  }

  turn(): void {
    this.watch.tell();
  }

  state(id: NextHopId): readonly [number | undefined, number | undefined] {
    return [this.nextHops.reachable[id], this.nextHops.metric[id]];
  }
}

const v6 = (text: string): IpAddress => address(text);

describe('what is known of a next hop', () => {
  test('is still known when its last route goes and another comes before anybody is told', () => {
    const world = new World();
    const { nextHops } = world;
    const first = world.use(nextHops.idOf4(0x0a000001));
    world.turn();
    expect(world.state(first)).toEqual([1, 7]);
    nextHops.release(first);
    const again = world.use(nextHops.idOf4(0x0a000001));
    world.turn();
    expect([world.told, world.state(again)]).toEqual([['+10.0.0.1'], [1, 7]]);
  });

  test('holds for another next hop that is reached by the same link-local address', () => {
    const world = new World();
    const { nextHops } = world;
    const link = v6('fe80::1%eth0');
    world.use(nextHops.idOf6(v6('2001:db8::1'), link));
    world.turn();
    const second = world.use(nextHops.idOf6(v6('2001:db8::2'), link));
    const alone = world.use(nextHops.idOf6(link, undefined));
    world.turn();
    expect([world.told, world.state(second), world.state(alone)]).toEqual([['+fe80::1%eth0'], [1, 7], [1, 7]]);
    expect([...nextHops.update(link, false, 0)]).toHaveLength(3);
    expect(world.state(alone)).toEqual([0, 0]);
  });

  test('is forgotten once it has been told that nobody uses it', () => {
    const world = new World();
    const { nextHops } = world;
    const first = world.use(nextHops.idOf4(0x0a000001));
    world.turn();
    nextHops.release(first);
    world.turn();
    expect(nextHops.update(ipv4(0x0a000001), true, 9)).toEqual([]);
    const again = nextHops.idOf4(0x0a000001);
    expect(world.state(again)).toEqual([0, 0]);
  });

  test('is told of thousands in the time it takes to look each of them up', () => {
    const world = new World();
    const { nextHops } = world;
    const count = 20_000;
    const ids = Array.from({ length: count }, (_, i) => world.use(nextHops.idOf4(0x0a000000 + i)));
    world.turn();
    expect(ids.every(id => world.state(id)[0] === 1)).toBe(true);
    expect(world.told).toHaveLength(count);
  });
});
