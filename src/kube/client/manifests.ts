/**
 * The folder source: reads manifests from a directory tree, watches it, and tells what changes.
 *
 * Events only say that a look is due. It comes a moment later, so that editors and redirections can finish; and the
 * whole tree is looked at from time to time, because events get lost (links swapped beneath, network file systems,
 * watch limits).
 */

import { watch } from 'chokidar';
import { Observable, type Subscriber } from 'rxjs';
import { openFolder, type SourceEvent } from './folder.js';

export interface ManifestOptions {
  readonly directory: string;
  /** Milliseconds a file must have been left alone before it is read. Not below 60: the watcher drops a change that follows another within 50. */
  readonly settleTime?: number;
  /** Milliseconds between looks when nothing happens. */
  readonly rescanTime?: number;
}

const SETTLE_TIME = 100;
const RESCAN_TIME = 10_000;

/**
 * Watches a folder for as long as somebody subscribes. The first value is everything there is.
 * @returns never completes; fails only when the folder cannot be read at the start, with the system's error
 */
export function manifests(options: ManifestOptions): Observable<SourceEvent> {
  return new Observable(subscriber => {
    const looks = lookRepeatedly(options, subscriber);
    const watcher = watch(options.directory, { ignoreInitial: true })
      .on('all', () => {
        looks.soon();
      })
      // Events that came before the watcher was ready are not told.
      .on('ready', () => {
        looks.soon();
      })
      .on('error', error => {
        const text = `cannot be watched (${String(error)}); it is looked at from time to time instead`;
        const problem = { subject: `folder ${options.directory}`, text };
        subscriber.next({
          batch: { changes: new Map(), synced: false },
          problems: new Map([['watch', [problem]]]),
        });
      });
    return () => {
      looks.stop();
      void watcher.close();
    };
  });
}

/** Runs one look at a time and decides when the next one is due. */
function lookRepeatedly(
  { directory, settleTime = SETTLE_TIME, rescanTime = RESCAN_TIME }: ManifestOptions,
  subscriber: Subscriber<SourceEvent>,
): { soon(): void; stop(): void } {
  const folder = openFolder(directory);
  let timer: NodeJS.Timeout | undefined;
  let state: 'first' | 'looking' | 'idle' | 'soon' = 'first';
  let again = false;

  const schedule = (soon: boolean): void => {
    state = soon ? 'soon' : 'idle';
    clearTimeout(timer);
    timer = setTimeout(() => void look(settleTime), soon ? settleTime : rescanTime);
  };
  const looked = (unsettled: boolean): void => {
    schedule(unsettled || again);
  };
  const look = async (quietTime: number): Promise<void> => {
    const isFirst = state === 'first';
    state = 'looking';
    again = false;
    try {
      const { unsettled, batch, problems } = await folder.look(quietTime);
      if (subscriber.closed) return;
      if (isFirst || batch.changes.size > 0 || problems.size > 0) subscriber.next({ batch, problems });
      looked(unsettled);
    } catch (error) {
      subscriber.error(error);
    }
  };
  // The first look waits for nothing: what is still being written is read again soon after.
  void look(0);
  return {
    // A look that is already due stays where it is, or a busy folder would never be read.
    soon: () => {
      if (state === 'looking' || state === 'first') again = true;
      else if (state === 'idle') schedule(true);
    },
    stop: () => {
      clearTimeout(timer);
    },
  };
}
