/** Watching something all the while other things happen: what must hold from beginning to end, not only at both ends. */

import { sleep } from '../lab/topology/commands.js';

/** Milliseconds from the end of one look to the next. */
const PACE = 50;

/**
 * Looks again and again while `during` runs, and once more after it.
 * @returns every look, oldest first @throws Error of `during`, or of the first look that failed
 */
export async function sampled<T>(look: () => Promise<T>, during: () => Promise<void>): Promise<readonly T[]> {
  const looks: T[] = [await look()];
  let going = true;
  const watcher = (async (): Promise<void> => {
    while (going) {
      looks.push(await look());
      await sleep(PACE);
    }
  })();
  // Both are awaited whatever becomes of the other, so that no look is under way when the programs are ended.
  const [course, watched] = await Promise.allSettled([during().finally(() => (going = false)), watcher]);
  if (watched.status === 'rejected') throw watched.reason;
  if (course.status === 'rejected') throw course.reason;
  looks.push(await look());
  return looks;
}

/** What follows what, without repetitions: `a a b a` is `a b a`. */
export function phases(looks: readonly string[]): string[] {
  return looks.filter((look, i) => look !== looks[i - 1]);
}
