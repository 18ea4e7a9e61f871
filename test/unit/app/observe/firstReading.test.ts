import { expect, test } from '@jest/globals';
import { awaitFirstReading } from '../../../../src/app/observe/firstReading.js';
import { concernsAll } from '../../../../src/app/observe/health.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import { VirtualClock } from '../../core/virtualClock.js';

function waiting() {
  const [clock, problems] = [new VirtualClock(), createProblemSet()];
  const reading = awaitFirstReading(clock, 60, report => void problems.report(report));
  return { clock, reading, texts: () => problems.list(concernsAll).map(({ subject, text }) => `${subject} ${text}`) };
}

test('a reading in time is nobody’s business', () => {
  const { clock, reading, texts } = waiting();
  clock.advance(59_999);
  reading.complete();
  clock.advance(60_000);
  expect(texts()).toEqual([]);
});

test('a late one is told, degrades health, and is forgotten once it is there', () => {
  const { clock, reading, texts } = waiting();
  clock.advance(60_000);
  expect(texts()).toEqual([expect.stringContaining('has not been read as a whole for 60 s')]);
  reading.complete();
  expect(texts()).toEqual([]);
});

test('nothing is told after the end', () => {
  const { clock, reading, texts } = waiting();
  reading.stop();
  clock.advance(120_000);
  expect(texts()).toEqual([]);
});
