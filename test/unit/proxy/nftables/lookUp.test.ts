/** What is asked of a table to tell one frontend of it. */

import { expect, test } from '@jest/globals';
import { readLookedUp, type ElementLookup } from '../../../../src/proxy/nftables/lookUp.js';

/** A chain of keys, each the value of the one before. */
function follow(present: ElementLookup, from: string): readonly string[] {
  const next = present.get(from);
  return next === undefined ? [from] : [from, ...follow(present, next)];
}

test('it goes on until nothing is missing, and asks for nothing twice', async () => {
  const table = new Map(Array.from({ length: 10_000 }, (_, i) => [`set ${i}`, `set ${i * 10}`]));
  const asked: string[] = [];
  const found = await readLookedUp(
    present => [follow(present, 'set 7'), follow(present, 'set 70'), present.has('set 5'), present.has('other 5')],
    key => {
      asked.push(key);
      return Promise.resolve(table.get(key));
    },
  );
  const chain = ['set 7', 'set 70', 'set 700', 'set 7000', 'set 70000'];
  expect(found).toEqual([chain, chain.slice(1), true, false]);
  expect([...asked].sort()).toEqual([...chain, 'set 5', 'other 5'].sort());
});

test('what nobody asks for costs nothing', async () => {
  expect(
    await readLookedUp(
      () => 1,
      () => Promise.reject(new Error('asked')),
    ),
  ).toBe(1);
});

test('an error of the kernel is the reader’s', async () => {
  const read = readLookedUp(
    present => present.get('x'),
    () => Promise.reject(new Error('no answer')),
  );
  await expect(read).rejects.toThrow('no answer');
});
