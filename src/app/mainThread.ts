/** Puts the thread that does the work before those that help it. Impure. */

import { getPriority, setPriority } from 'node:os';

/** As FRR's service unit has it. */
const PRIORITY = -5;

/**
 * On Linux a priority is a thread's: this one goes before V8's collectors and compilers, which are there already. Without it
 * one change in a hundred waited milliseconds for them where processors are few. Threads and processes that are made later
 * inherit it. Takes CAP_SYS_NICE, without which nothing changes.
 * @returns whether it has that priority, or a better one
 */
export function goBeforeHelpers(): boolean {
  if (getPriority() <= PRIORITY) return true;
  try {
    setPriority(PRIORITY);
    return true;
  } catch {
    // Nothing hangs on it.
    return false;
  }
}
