/** Seeded choices, by which generated services are the same on every machine. Pure. */

import { randomBelow, randomWords } from '../../../bench/workload/random.js';

export interface Choices {
  pick<T>(from: readonly T[]): T;
  /** @param share 0 to 1 */
  chance(share: number): boolean;
  /** At least one of them, in their order. */
  some<T>(from: readonly T[]): readonly T[];
}

export function choicesOf(seed: number): Choices {
  const words = randomWords(seed);
  const pick = <T>(from: readonly T[]): T => {
    const choice = from[randomBelow(words, from.length)];
    if (choice === undefined) throw new Error('nothing to choose from');
    return choice;
  };
  const chance = (share: number): boolean => randomBelow(words, 1000) < share * 1000;
  return {
    pick,
    chance,
    some: from => {
      const taken = from.filter(() => chance(0.5));
      return taken.length > 0 ? taken : [pick(from)];
    },
  };
}
