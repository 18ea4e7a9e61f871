/** Says so when the first complete reading of the cluster takes long: nothing of the cluster is acted upon before. */

import type { Clock } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';

export interface FirstReading {
  /** The cluster has told all. */
  complete(): void;
  stop(): void;
}

/** Owner of the problem; it degrades health. */
export const FIRST_READING = 'first reading';

/** @param seconds after which it counts as long */
export function awaitFirstReading(
  clock: Clock,
  seconds: number,
  report: (problems: ProblemReport) => void,
): FirstReading {
  let isLate = false;
  const timer = clock.setTimeout(() => {
    isLate = true;
    const text = `has not been read as a whole for ${seconds} s: what was known last, or nothing, is acted upon`;
    report(new Map([[FIRST_READING, [{ subject: 'cluster', text }]]]));
  }, seconds * 1000);
  return {
    complete: () => {
      timer.cancel();
      if (isLate) report(new Map([[FIRST_READING, []]]));
      isLate = false;
    },
    stop: () => timer.cancel(),
  };
}
