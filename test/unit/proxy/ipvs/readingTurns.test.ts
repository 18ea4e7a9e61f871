/** Whose destinations are read in which reading. */

import { expect, test } from '@jest/globals';
import type { ServerId } from '../../../../src/kernel/ipvs/messages.js';
import { createReadingTurns, type ReadingTurns } from '../../../../src/proxy/ipvs/readingTurns.js';
import { serverKey } from '../../../../src/proxy/ipvs/virtualServers.js';
import { address } from './ipvsWorld.js';

const SERVERS = Array.from({ length: 100 }, (_, i): ServerId => ({
  address: address(i % 2 === 0 ? `10.96.0.${i}` : `fd96::${i}`),
  protocol: 6,
  port: 80 + (i % 7),
}));

function read(turns: ReadingTurns, servers = SERVERS): readonly ServerId[] {
  const isTurn = turns.next(servers.length);
  const own = servers.filter(isTurn);
  turns.done();
  return own;
}

test('all the first time; then each once in so many readings, and some in each', () => {
  const turns = createReadingTurns(10);
  expect(read(turns)).toEqual(SERVERS);
  const parts = Array.from({ length: 10 }, () => read(turns));
  expect(parts.flat().map(serverKey).sort()).toEqual(SERVERS.map(serverKey).sort());
  for (const part of parts) expect(part.length).toBeLessThan(30);
});

test('few are all read every time', () => {
  const turns = createReadingTurns(100);
  for (let i = 0; i < 3; i++) expect(read(turns)).toEqual(SERVERS);
});

test('who is suspected has his turn at once, and once', () => {
  const turns = createReadingTurns(1);
  read(turns);
  turns.suspect(serverKey(SERVERS[42]!));
  expect(read(turns)).toContain(SERVERS[42]);
  const later = Array.from({ length: 99 }, () => read(turns).includes(SERVERS[42]!));
  expect(later.filter(isTurn => isTurn).length).toBeLessThan(2);
});

test('after a failure of which nothing is known, all are read until a reading has come to its end', () => {
  const turns = createReadingTurns(10);
  read(turns);
  turns.suspectAll();
  // Broken off.
  expect(SERVERS.every(turns.next(SERVERS.length))).toBe(true);
  expect(read(turns)).toEqual(SERVERS);
  expect(read(turns).length).toBeLessThan(30);
});
