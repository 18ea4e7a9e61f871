/** Nodes that may hold egress addresses look after each other: whose machine is gone is written down within seconds, nobody else. */

import { expect, test } from '@jest/globals';
import { lostKey, lostNodes } from '../../../../src/policy/egress/lostNodes.js';
import { settled } from '../loadBalancer/fakeCluster.js';
import { LEASE, NAMESPACE, World } from './holderWorld.js';

test('all well, nobody is written down, and each asks once a second', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(60);
  expect(world.lost).toEqual([]);
  expect(world.requests).toBeLessThan(3 * 65);
  expect([...world.objects.keys()].sort()).toEqual([NAMESPACE, LEASE].sort());
});

test('a machine that is gone is written down within eight seconds, and takes itself out when it is back', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(10);
  world.off.add('b');
  world.cutOff.add('b');
  await world.die('b');
  expect(world.lost).toEqual([]);
  await world.pass(4);
  expect(world.lost).toEqual(['b']);
  await world.pass(25);
  world.off.delete('b');
  world.cutOff.delete('b');
  world.start('b');
  await world.pass(2);
  expect(world.lost).toEqual([]);
  expect(world.problems).toEqual(new Map());
});

test('an agent that ends costs nothing while its machine answers', async () => {
  const world = new World('a', 'b');
  await world.pass(10);
  await world.die('b');
  await world.pass(30);
  expect(world.lost).toEqual([]);
});

test('a node that gives signs is there, whether it can be reached from here or not', async () => {
  const world = new World('a', 'b');
  world.off.add('b');
  await world.pass(60);
  expect(world.lost).toEqual([]);
});

test('a server that nobody reaches for long changes nothing, and no silence of that time counts', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(10);
  for (const name of ['a', 'b', 'c']) {
    world.cutOff.add(name);
    world.off.add(name);
  }
  await world.pass(20);
  expect(world.problems.get('a')).toMatch(/^no answer: .* no longer Ready$/);
  world.cutOff.clear();
  world.off.clear();
  await world.pass(20);
  expect(world.lost).toEqual([]);
  expect(world.problems).toEqual(new Map());
});

test('who is cut off from server and network is written down by the others, and writes nobody down', async () => {
  const world = new World('a', 'b', 'c');
  await world.pass(10);
  world.cutOff.add('c');
  world.off.add('c');
  await world.pass(8);
  expect(world.lost).toEqual(['c']);
  world.cutOff.delete('c');
  await world.pass(5);
  expect(world.lost).toEqual([]);
});

test('a node without the label keeps quiet', async () => {
  const world = new World('a', 'b');
  const candidates = new Map([...world.candidates].filter(([name]) => name !== 'a'));
  world.agents.get('a')!.watch.update({ candidates, lost: new Set(), eligible: new Set(['b']) });
  await world.agents.get('b')!.watch.stop();
  world.requests = 0;
  world.clock.advance(5000);
  await settled();
  expect(world.requests).toBeLessThanOrEqual(1);
});

test('an annotation that does not name the node of its key says nothing', () => {
  expect(lostNodes({ annotations: { [lostKey('a')]: 'b', [lostKey('c')]: 'c', other: 'a' } })).toEqual(['c']);
});
