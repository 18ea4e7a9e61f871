import { expect, test } from '@jest/globals';
import type { IpAddress } from '../../../src/core/ip.js';
import { Routers, type TestRouter } from './routers.js';

const isConverged = ({ events }: TestRouter): boolean => events.some(({ kind }) => kind === 'converged');

test('the first exchange of routes is not over before the kernel has been told of what was heard', async () => {
  const world = new Routers();
  const asked: IpAddress[] = [];
  let told = 0;
  const one = world.router(1, 65001, {
    changes: ({ count }) => {
      expect(isConverged(one)).toBe(false);
      told += count;
    },
    nextHops: added => void asked.push(...added),
  });
  const two = world.router(2).originate('10.2.0.0/16', '10.3.0.0/16');
  await two.peer(one).apply();
  await one.peer(two).apply();
  await world.settle(30);
  // End-of-RIB has come, and whoever knows the kernel's routes has not answered yet.
  expect(asked).toHaveLength(1);
  expect([isConverged(one), told]).toEqual([false, 0]);
  one.engine.setNextHops(asked.map(address => ({ address, reachable: true, metric: 0 })));
  await world.settle();
  expect([isConverged(one), told]).toEqual([true, 2]);
});
