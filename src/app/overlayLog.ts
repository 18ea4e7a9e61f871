/** What the overlay does, for the log and for the list of problems. */

import type { Logger } from 'pino';
import { assertNever } from '../core/assertNever.js';
import type { OverlayEvent } from '../fib/overlay/overlay.js';
import { NO_DEVICE } from '../fib/overlay/overlayTarget.js';
import type { Problem } from '../kube/problems.js';

/** Keys named in one line of the log. */
const SAMPLE = 10;

export function logOverlayEvent(logger: Logger, event: OverlayEvent): void {
  switch (event.kind) {
    case 'adopted':
      if (event.count > 0) logger.info({ objects: event.count }, 'overlay adopted');
      return;
    case 'written':
      logger.info({ set: sample(event.set), removed: sample(event.removed) }, 'overlay changed');
      return;
    case 'failed':
      logger.error(
        { failures: sample([...event.failures].map(entry => entry.join(': '))) },
        'the kernel refused parts of the overlay; trying again',
      );
      return;
    case 'recovered':
      logger.info({ objects: sample(event.keys) }, 'parts of the overlay that the kernel had refused are in place');
      return;
    case 'drift':
      logger.warn(
        { objects: sample(event.keys) },
        'somebody changed or removed parts of our overlay; putting them back',
      );
      return;
    case 'error':
      logger.error({ reason: event.text }, 'the overlay could not be read or written; trying again');
      return;
    default:
      assertNever(event);
  }
}

/** One problem for each reason the kernel gives: a missing module fails for every node alike. */
export function overlayProblems(failures: ReadonlyMap<string, string>): readonly Problem[] {
  const byReason = new Map<string, string[]>();
  for (const [key, reason] of failures)
    if (reason !== NO_DEVICE) byReason.set(reason, [...(byReason.get(reason) ?? []), key]);
  return [...byReason].map(([reason, keys]) => {
    const others = keys.length > 1 ? ` and ${keys.length - 1} more` : '';
    return { subject: 'overlay', text: `${keys[0] ?? ''}${others} cannot be set up: ${reason}` };
  });
}

function sample(keys: readonly string[]): { readonly count: number; readonly first: readonly string[] } {
  return { count: keys.length, first: keys.slice(0, SAMPLE) };
}
