/** The file that holds the last good state: written at most once a second, whole or not at all, for nobody else to read. Impure. */

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { RoutingIntent } from '../../routing/intent.js';
import { readIfThere, writeAtomically } from '../plumbing/atomicFile.js';
import { formatIntent, parseIntent } from './savedIntent.js';

/** Its name, beside the control socket. */
export const STATE_FILE = 'routing.json';

/** Milliseconds over which changes are gathered. */
const GATHER_TIME = 1000;
/** Passwords of sessions may be in it. */
const MODE = 0o600;

export interface StateFileOptions {
  readonly path: string;
  readonly nodeName: string;
  readonly clock: Clock;
  /** Told why it cannot be read or written; undefined: it can. */
  readonly failed: (text: string | undefined) => void;
}

export interface StateFile {
  /** What a former process left; undefined: nothing that can be used. */
  readonly saved: RoutingIntent | undefined;
  /** Has it written soon. @param intent is asked then */
  save(intent: () => RoutingIntent): void;
  /** Writes what is due. */
  close(): void;
}

export function openStateFile({ path, nodeName, clock, failed }: StateFileOptions): StateFile {
  let timer: TimerHandle | undefined;
  let due: (() => RoutingIntent) | undefined;
  let written: string | undefined;
  const write = (): void => {
    timer = undefined;
    const text = due && formatIntent(nodeName, due());
    due = undefined;
    if (text === undefined || text === written) return;
    failed(
      whyNot(() => {
        mkdirSync(dirname(path), { recursive: true });
        // The mode of what is there is kept.
        closeSync(openSync(path, 'a', MODE));
        writeAtomically(path, text);
        written = text;
      }),
    );
  };
  return {
    saved: read(path, nodeName, failed),
    save: intent => {
      due = intent;
      timer ??= clock.setTimeout(write, GATHER_TIME);
    },
    close: () => {
      timer?.cancel();
      write();
    },
  };
}

function read(path: string, nodeName: string, failed: (text: string) => void): RoutingIntent | undefined {
  let text: string | undefined;
  const wrong = whyNot(() => (text = readIfThere(path)));
  if (wrong !== undefined) failed(wrong);
  if (text === undefined || text === '') return undefined;
  const parsed = parseIntent(nodeName, text);
  if (parsed.ok) return parsed.value;
  failed(`${parsed.error}: it is written anew`);
  return undefined;
}

function whyNot(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
