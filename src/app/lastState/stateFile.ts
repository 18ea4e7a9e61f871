/** The file that holds the last good state: written at most once a second, whole or not at all, for nobody else to read. Impure. */

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { RoutingIntent } from '../../routing/intent.js';
import { readIfThere, writeAtomically, writeAtomicallyAside } from '../plumbing/atomicFile.js';
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
  /** What is in the file, or is on its way into it. */
  let written: string | undefined;
  let isWriting = false;
  /** @returns undefined: the file has it already */
  const next = (): string | undefined => {
    const text = due && formatIntent(nodeName, due());
    due = undefined;
    return text === written ? undefined : text;
  };
  const prepare = (): void => {
    mkdirSync(dirname(path), { recursive: true });
    // The mode of what is there is kept.
    closeSync(openSync(path, 'a', MODE));
  };
  const schedule = (): void => {
    timer ??= clock.setTimeout(() => void write(), GATHER_TIME);
  };
  const write = async (): Promise<void> => {
    timer = undefined;
    const text = next();
    if (text === undefined) return;
    written = text;
    isWriting = true;
    let wrong: string | undefined;
    try {
      prepare();
      await writeAtomicallyAside(path, text);
    } catch (error) {
      wrong = textOf(error);
      written = undefined;
    }
    isWriting = false;
    failed(wrong);
    if (due !== undefined) schedule();
  };
  return {
    saved: read(path, nodeName, failed),
    save: intent => {
      due = intent;
      if (!isWriting) schedule();
    },
    close: () => {
      timer?.cancel();
      // What is on its way may never arrive.
      const text = next() ?? (isWriting ? written : undefined);
      if (text === undefined) return;
      failed(
        whyNot(() => {
          prepare();
          writeAtomically(path, text);
        }),
      );
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
    return textOf(error);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
