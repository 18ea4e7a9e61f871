/**
 * Preloaded into our speaker (`node --import`) for the keepalive workload only: measures how late its event loop turns
 * between the first SIGUSR2 and the second, and writes it beside the configuration file.
 */

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/** The histogram counts the timer's own period too; it is taken off again. */
const RESOLUTION_MS = 2;

if (isMainThread) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let measuring = false;
  process.on('SIGUSR2', () => {
    if (!measuring) {
      measuring = histogram.enable();
      return;
    }
    histogram.disable();
    const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
    const result = {
      p50: ms(histogram.percentile(50)),
      p99: ms(histogram.percentile(99)),
      p999: ms(histogram.percentile(99.9)),
      max: ms(histogram.max),
    };
    const config = process.argv[process.argv.indexOf('--config') + 1] ?? '.';
    writeFileSync(join(dirname(config), 'loop-delay.json'), JSON.stringify(result));
  });
}
