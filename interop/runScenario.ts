/** Runs one scenario against one make of daemon and tells how it went. Impure. */

import type { Topology } from '../lab/topology/topology.js';
import type { Daemon, DaemonKind } from './daemons/daemon.js';
import { LACKING } from './lacks.js';
import { buildRig, type Scenario } from './rig.js';

export type Outcome =
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'fail'; readonly error: string; readonly logs: string }
  | { readonly kind: 'lacks'; readonly reason: string };

/** Octets of each log that a failure shows. */
const LOG_TAIL = 3000;

/** @param topology with a rack built by `buildRack`, on which no other scenario runs meanwhile */
export async function runScenario(topology: Topology, kind: DaemonKind, scenario: Scenario): Promise<Outcome> {
  const lacking = scenario.needs?.find(feature => kind.lacks[feature] !== undefined);
  const started = performance.now();
  const rig = buildRig(topology, kind, scenario);
  const running: Daemon[] = [];
  try {
    for (const daemon of rig.all) {
      running.push(daemon);
      await daemon.start();
    }
    if (lacking !== undefined) {
      await LACKING[lacking](rig);
      return { kind: 'lacks', reason: kind.lacks[lacking] ?? '' };
    }
    await scenario.run(rig);
    return { kind: 'pass', seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    const logs = running.map(daemon => `--- ${daemon.plan.host}\n${logOf(daemon)}`).join('\n');
    return { kind: 'fail', error: error instanceof Error ? error.message : String(error), logs };
  } finally {
    await Promise.all(running.map(daemon => end(daemon)));
  }
}

function logOf({ program }: { readonly program: { log(): string } }): string {
  return program.log().slice(-LOG_TAIL);
}

async function end(daemon: Daemon): Promise<void> {
  try {
    await daemon.program.end();
  } catch {
    // It never came to be.
  }
}
