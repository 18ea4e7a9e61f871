/** Scenarios by hand: `node build/interop/main.js [daemon [part of a scenario's name]]`. Impure. */

import { Topology } from '../lab/topology/topology.js';
import { KINDS } from './kinds.js';
import { buildRack } from './rig.js';
import { runScenario } from './runScenario.js';
import { SCENARIOS } from './scenarios.js';

const [daemon = '', part = ''] = process.argv.slice(2);

for (const { key, kind } of KINDS.filter(({ key }) => key.startsWith(daemon))) {
  const topology = await Topology.open(`pgh${key.slice(0, 2)}`);
  try {
    await buildRack(topology);
    for (const scenario of SCENARIOS.filter(({ name }) => name.includes(part))) {
      const outcome = await runScenario(topology, kind, scenario);
      const more =
        outcome.kind === 'pass'
          ? `${outcome.seconds.toFixed(1)} s`
          : outcome.kind === 'fail'
            ? outcome.error
            : outcome.reason;
      console.log(`${outcome.kind.padEnd(5)} ${kind.name}: ${scenario.name}: ${more}`);
      if (outcome.kind === 'fail' && part !== '') console.log(outcome.logs);
    }
  } finally {
    await topology.close();
  }
}
