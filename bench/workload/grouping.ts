/** How prefixes share attribute sets: many sets of one or two prefixes, few of hundreds, and an exact number of sets. */

import type { Grouping } from './feed.js';
import { apportion, randomWords } from './random.js';

/** Sets for each prefix in a table of today: 166,860 for a million. */
const SETS_PER_PREFIX = 0.16686;
const LARGEST_SET = 600;

/** @param order the prefixes as they are announced; neighbours fall into one set */
export function groupPrefixes(order: Uint32Array, seed: number): Grouping {
  const sets = Math.max(1, Math.round(order.length * SETS_PER_PREFIX));
  const words = randomWords(seed);
  // A Pareto tail with exponent 1.3, cut off: the mean set has six prefixes and the median two or three.
  const weights = Array.from({ length: sets }, () =>
    Math.min(LARGEST_SET, ((words() + 1) / 0x1_0000_0000) ** (-1 / 1.3) - 1),
  );
  const extra = apportion(order.length - sets, weights);
  const starts = new Uint32Array(sets + 1);
  for (let set = 0; set < sets; set++) starts[set + 1] = starts[set]! + 1 + extra[set]!;
  return { order, starts };
}
