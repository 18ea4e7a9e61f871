/** Every scenario against every daemon, with the matrix of both at the end. Needs root and the daemons (scripts/setup.sh). */

import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { Topology } from '../lab/topology/topology.js';
import { KINDS } from './kinds.js';
import { matrix } from './matrix.js';
import { buildRack } from './rig.js';
import { runScenario, type Outcome } from './runScenario.js';
import { SCENARIOS } from './scenarios.js';

const outcomes = new Map<string, Map<string, Outcome>>();

describe.each(KINDS)('$kind.name', ({ key, kind }) => {
  let topology: Topology;
  const row = new Map<string, Outcome>();
  outcomes.set(kind.name, row);

  beforeAll(async () => {
    topology = await Topology.open(`pgi${key.slice(0, 2)}`);
    await buildRack(topology);
  }, 30_000);
  afterAll(async () => {
    await topology.close();
  }, 30_000);

  test.each(SCENARIOS)(
    '$name',
    async scenario => {
      const outcome = await runScenario(topology, kind, scenario);
      row.set(scenario.name, outcome);
      if (outcome.kind === 'fail') throw new Error(`${outcome.error}\n${outcome.logs}`);
    },
    180_000,
  );
});

afterAll(() => {
  process.stderr.write(`\n${matrix(outcomes)}\n`);
});
