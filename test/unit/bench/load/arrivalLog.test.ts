import { expect, test } from '@jest/globals';
import { ArrivalLog, READ_SIZE } from '../../../../bench/load/arrivalLog.js';
import { randomBelow, randomWords } from '../../../../bench/workload/random.js';

test('nothing is visited before it is asked for, then everything once, in order, with its time', () => {
  const seen: [string, number][] = [];
  const log = new ArrivalLog(0, (octets, at) => seen.push([Buffer.from(octets).toString(), at]));
  log.arrived(log.space().write('one'), 1);
  log.arrived(log.space().write('two'), 2);
  expect(seen).toEqual([]);
  expect(log.replay(1)).toBe(true);
  expect(log.replay(1)).toBe(false);
  expect(seen).toEqual([
    ['one', 1],
    ['two', 2],
  ]);
  expect(log.isEmpty).toBe(true);
});

test('a ring of any fill level loses and repeats nothing', () => {
  const words = randomWords(5);
  let sent = 0;
  let received = 0;
  const log = new ArrivalLog(3 * READ_SIZE, octets => {
    expect(octets[0]).toBe(received & 255);
    expect(octets.at(-1)).toBe(received & 255);
    received++;
  });
  for (let step = 0; step < 2000; step++) {
    const length = 1 + randomBelow(words, READ_SIZE);
    log.space().fill(sent & 255, 0, length);
    log.arrived(length, sent);
    sent++;
    if (randomBelow(words, 4) === 0) log.replay(randomBelow(words, 3 * READ_SIZE));
  }
  while (log.replay(READ_SIZE));
  expect(received).toBe(sent);
});

test('a full ring is visited at once', () => {
  let visited = 0;
  const log = new ArrivalLog(2 * READ_SIZE, () => visited++);
  for (let i = 0; i < 2; i++) {
    log.space();
    log.arrived(READ_SIZE, i);
  }
  log.space();
  expect(visited).toBe(2);
});
