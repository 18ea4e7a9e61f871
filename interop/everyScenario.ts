/** Declares every scenario against one daemon as tests, and keeps what came of them for the matrix. Needs root. */

import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Topology } from '../lab/topology/topology.js';
import type { Daemon } from './kinds.js';
import { OUTCOMES } from './matrix.js';
import { buildRack } from './rig.js';
import { runScenario, type Outcome } from './runScenario.js';
import { SCENARIOS } from './scenarios.js';

/** Each daemon has a rack, and a test file, of its own, so that two of them run at once. */
export function everyScenario({ key, kind }: Daemon): void {
  const outcomes: Record<string, Outcome> = {};
  let topology: Topology;

  beforeAll(async () => {
    topology = await Topology.open(`pgi${key.slice(0, 2)}`);
    await buildRack(topology);
  });
  afterAll(async () => {
    await topology.close();
    mkdirSync(OUTCOMES, { recursive: true });
    writeFileSync(join(OUTCOMES, `${key}.json`), JSON.stringify(outcomes));
  });

  describe(kind.name, () => {
    test.each(SCENARIOS)(
      '$name',
      async scenario => {
        const outcome = await runScenario(topology, kind, scenario);
        outcomes[scenario.name] = outcome;
        if (outcome.kind === 'fail') throw new Error(`${outcome.error}\n${outcome.logs}`);
      },
      600_000,
    );
  });
}
