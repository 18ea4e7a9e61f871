import { expect, test } from '@jest/globals';
import { createDraining } from '../../../src/app/draining.js';
import { VirtualClock } from '../core/virtualClock.js';

function drained() {
  const told: boolean[] = [];
  const clock = new VirtualClock();
  const tell = (isOn: boolean): Promise<void> => {
    told.push(isOn);
    return Promise.resolve();
  };
  return { told, clock, draining: createDraining(tell, clock) };
}

test('it lasts until nobody asks for it any more, and is told once', async () => {
  const { told, draining } = drained();
  await draining.set('cordon', true);
  await draining.set('operator', true);
  await draining.set('cordon', false);
  expect(told).toEqual([true]);
  await draining.set('operator', false);
  await draining.set('operator', false);
  expect(told).toEqual([true, false]);
});

test('before the stop, traffic gets its time', async () => {
  const { told, draining, clock } = drained();
  let isOver = false;
  const over = draining.beforeStop(1000).then(() => (isOver = true));
  await Promise.resolve();
  await Promise.resolve();
  clock.advance(999);
  await Promise.resolve();
  expect([told, isOver]).toEqual([[true], false]);
  clock.advance(1);
  await over;
  expect(isOver).toBe(true);
});

test('no time, no draining', async () => {
  const { told, draining, clock } = drained();
  await draining.beforeStop(0);
  expect([told, clock.pending]).toEqual([[], 0]);
});
