/**
 * Frees socket buffers soon after use. Impure.
 *
 * Octets read and sent live outside the JavaScript heap; what is left of them on the heap is tiny, so that V8 sees little
 * reason to collect while tens of megabytes wait to be freed. A collection of the young generation, which takes about a
 * millisecond, whenever that much has come together keeps a route reflector's memory near what its table needs.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Octets in buffers since the last collection that make the next one worth its while. */
const WORTHWHILE = 8 << 20;
/** Milliseconds between two looks. */
const INTERVAL = 10;

/** Begins to look after the buffers of this process; the timer keeps nothing alive. */
export function collectBuffers(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  let floor = held();
  setInterval(() => {
    const now = held();
    if (now < floor) floor = now;
    if (now - floor < WORTHWHILE) return;
    collect({ type: 'minor' });
    floor = held();
  }, INTERVAL).unref();
}

function held(): number {
  return process.memoryUsage().arrayBuffers;
}
