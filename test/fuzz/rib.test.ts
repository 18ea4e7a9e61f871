/**
 * Valid, spoiled and random UPDATEs of several peers through scanner, RIB and update groups: nothing throws, what is
 * held is what a plain model holds, what is told is valid, and nothing is left when everybody has gone.
 */

import { test } from '@jest/globals';
import { expectThat } from './checks.js';
import { type Random, randomOf, runSeconds, runSeed } from './random.js';
import { RibWorld, SESSIONS } from './ribWorld.js';
import { anyUpdate } from './updates.js';

const seed = runSeed();
/** The wire alone gets the whole of the time; this runs beside it. */
const seconds = runSeconds() / 2;
/** UPDATEs in the life of one RIB. */
const LIFE = 5_000;

/** One thing happens. */
function step(world: RibWorld, random: Random): void {
  const peer = random.below(SESSIONS.length);
  if (random.oneIn(120)) world.down(peer);
  else if (random.oneIn(40)) world.block(random.below(6), random.oneIn(2));
  else if (random.oneIn(8)) world.rib.pump();
  else world.update(peer, anyUpdate(random, SESSIONS[peer]!));
  if (random.oneIn(3)) world.rib.decide();
  if (random.oneIn(100)) world.check();
}

function life(number: number): void {
  const random = randomOf(seed, number);
  const world = new RibWorld();
  for (let i = 0; i < LIFE; i++) step(world, random);
  world.check();
  world.end();
}

test(
  `a RIB survives anything its peers say (seed ${seed})`,
  () => {
    const end = performance.now() + seconds * 1000;
    let lives = 0;
    for (; performance.now() < end || lives === 0; lives++) {
      try {
        life(lives);
      } catch (error) {
        throw new Error(`seed ${seed}, life ${lives}`, { cause: error });
      }
    }
    process.stdout.write(`fuzz: seed ${seed}, ${lives} RIBs of ${LIFE} steps\n`);
    expectThat(lives > 0, 'at least one');
  },
  (seconds + 600) * 1000,
);
