/** How long a speaker is silent towards a quiet peer while it works off a full table again and again. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Family } from '../../src/bgp/families.js';
import { ASN, SPEAKER, WATCHER } from '../load/addresses.js';
import type { SessionSpec } from '../load/commands.js';
import { LoadProcess } from '../measure/loadProcess.js';
import type { BenchNetwork } from '../measure/netns.js';
import { sleep } from '../measure/processUsage.js';
import type { SpeakerProgram } from '../speakers/speaker.js';
import type { Scenario } from './scenarios.js';
import { withSpeaker, type Load } from './trial.js';

/** Short, so that the few seconds of a run hold many keepalives: RFC 4271 allows no less than 3. */
const HOLD_TIME = 3;

export const LoopDelay = z.object({ p50: z.number(), p99: z.number(), p999: z.number(), max: z.number() });

export interface KeepaliveResult {
  /** Seconds between keepalives as configured: a third of the hold time. */
  readonly interval: number;
  /** Seconds: the longest silence, as seen by the quiet peer and by the feeder. */
  readonly largestGap: number;
  /** How often the table was announced, changed and withdrawn meanwhile. */
  readonly rounds: number;
  /** Milliseconds; only of our own speaker. */
  readonly loopDelay?: z.infer<typeof LoopDelay>;
}

/** @param probed the speaker runs with loopDelayProbe, which begins and ends at SIGUSR2 */
export async function runKeepaliveTrial(
  scenario: Scenario,
  program: SpeakerProgram,
  network: BenchNetwork,
  load: Load,
  probed: boolean,
): Promise<KeepaliveResult> {
  const watcher = new LoadProcess(network.load, 'receivers.js');
  const family: Family = scenario.family === 'ipv4-unicast' ? 'ipv6-unicast' : 'ipv4-unicast';
  try {
    await watcher.ask({ kind: 'prepare', table: { kind: 'generated', family, size: 10 }, feeds: [], feeder: 0 });
    return await withSpeaker(scenario, program, network, load, HOLD_TIME, async speaker => {
      const session: SessionSpec = {
        localAddress: WATCHER,
        remoteAddress: SPEAKER,
        asn: ASN,
        holdTime: HOLD_TIME,
        families: [family],
      };
      await watcher.ask({ kind: 'connect', sessions: [session], patienceMs: 10_000 });
      await sleep(HOLD_TIME * 1000);
      await watcher.ask({ kind: 'gaps' });
      if (probed) process.kill(speaker.pid, 'SIGUSR2');
      const seconds = scenario.seconds ?? 10;
      const feeder = load.feeders[0]!;
      const churn = await feeder.ask(
        { kind: 'churn', feeds: ['first', 'changed', 'withdraw'], seconds },
        seconds + 120,
      );
      const quiet = await watcher.ask({ kind: 'gaps' });
      const busy = await feeder.ask({ kind: 'gaps' });
      if (watcher.lost !== undefined) throw new Error(`the quiet session was lost: ${watcher.lost}`);
      return {
        interval: HOLD_TIME / 3,
        largestGap: Math.max(quiet.largestGapMs ?? 0, busy.largestGapMs ?? 0) / 1000,
        rounds: churn.rounds ?? 0,
        ...(probed ? await loopDelay(speaker.pid, speaker.folder) : {}),
      };
    });
  } finally {
    watcher.stop();
  }
}

async function loopDelay(pid: number, folder: string): Promise<{ loopDelay?: z.infer<typeof LoopDelay> }> {
  process.kill(pid, 'SIGUSR2');
  await sleep(500);
  try {
    return { loopDelay: LoopDelay.parse(JSON.parse(readFileSync(join(folder, 'loop-delay.json'), 'utf8'))) };
  } catch {
    return {};
  }
}
