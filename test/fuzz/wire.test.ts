/**
 * Mutated messages and random octets through everything that reads what a peer sends. PEERAGE_FUZZ_SEED repeats a run,
 * PEERAGE_FUZZ_SECONDS sets its length; every case is made from the seed and its own number, so a failure names both.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { UpdateRecord } from '../../src/bgp/updateRecord.js';
import { scanUpdate } from '../../src/bgp/wire/updateScanner.js';
import { guarded } from '../vectors/guarded.js';
import { hex, join, octets } from '../vectors/hex.js';
import {
  checkNotification,
  checkOpen,
  checkRefresh,
  checkStream,
  checkUpdate,
  expectThat,
  type Tally,
} from './checks.js';
import { CONTEXTS } from './corpus.js';
import { mutant, mutantStream } from './mutate.js';
import { type Random, randomOf, runSeconds, runSeed } from './random.js';

const seed = runSeed();
const seconds = runSeconds();
/** A run of full length is at least so many cases, however slow the machine. */
const MIN_CASES = seconds >= 60 ? 1_000_000 : 1;
/** No message takes so long unless something goes round in circles (milliseconds; a busy machine included). */
const HANG = 5_000;
/** Octets of live heap that may come and go between two collections. */
const HEAP_SLACK = 16 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function liveHeap(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

const record = new UpdateRecord();

/** Every other case is a stream to be split; the rest are single messages, taken for whatever they may be. */
function runCase(random: Random, tally: Tally): void {
  const context = random.pick(CONTEXTS);
  if (random.oneIn(2)) {
    checkStream(mutantStream(random), random.oneIn(2) ? 4096 : 65535, context, tally);
    return;
  }
  const body = mutant(random);
  const start = Math.min(19, body.length);
  checkUpdate(body, start, body.length, context, tally);
  if (random.oneIn(4)) checkOpen(body, start, body.length, tally);
  if (random.oneIn(8)) checkNotification(body, start, body.length, tally);
  if (random.oneIn(8)) checkRefresh(body, start, body.length, tally);
  if (random.oneIn(200)) {
    const source = join(octets('ffff'), body, octets('ffff'));
    scanUpdate(guarded(source, 2, source.length - 2), 2, source.length - 2, context, record);
  }
}

test(
  `no octets do harm (seed ${seed})`,
  () => {
    const tally: Tally = {};
    // Most cases end in a NOTIFICATION, which is an Error: without stacks the run is half as long.
    Error.stackTraceLimit = 0;
    const begin = performance.now();
    const end = begin + seconds * 1000;
    let cases = 0;
    let slowest = 0;
    let baseline = 0;
    for (let now = begin; now < end || cases < MIN_CASES; cases++) {
      const started = now;
      try {
        runCase(randomOf(seed, cases), tally);
      } catch {
        explain(cases);
      }
      now = performance.now();
      slowest = Math.max(slowest, now - started);
      if (cases === 20_000) baseline = liveHeap();
    }
    Error.stackTraceLimit = 10;
    const growth = baseline === 0 ? 0 : liveHeap() - baseline;
    process.stdout.write(
      `fuzz: seed ${seed}, ${cases} cases, slowest ${slowest.toFixed(1)} ms, heap ${growth} octets\n`,
    );
    process.stdout.write(`fuzz: ${JSON.stringify(tally)}\n`);
    expect(slowest).toBeLessThan(HANG);
    expect(growth).toBeLessThan(HEAP_SLACK);
    expectThat(cases < 20_000 || Object.keys(tally).length >= 10, 'kinds of outcomes that were reached');
  },
  (seconds + 600) * 1000,
);

/** Runs a failed case again, with a stack this time, and reports it. */
function explain(caseNumber: number): never {
  Error.stackTraceLimit = 30;
  try {
    runCase(randomOf(seed, caseNumber), {});
  } catch (error) {
    throw new Error(`seed ${seed}, case ${caseNumber}, ${octetsOf(caseNumber)}`, { cause: error });
  }
  throw new Error(`seed ${seed}, case ${caseNumber}: failed once and not again`);
}

/** The octets of a case, made as {@link runCase} makes them. */
function octetsOf(caseNumber: number): string {
  const random = randomOf(seed, caseNumber);
  const context = CONTEXTS.indexOf(random.pick(CONTEXTS));
  const source = random.oneIn(2) ? mutantStream(random) : mutant(random);
  return `context ${context}, octets ${hex(source)}`;
}
