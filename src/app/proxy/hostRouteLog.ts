/** Tells people what becomes of this machine's routes to services. */

import type { Logger } from 'pino';
import type { ReconcilerEvent } from '../../core/reconciler.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';

export interface HostRouteLogOptions {
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
}

/** @returns a listener for events of the routes, which are named by their prefixes */
export function createHostRouteLog({ logger, report }: HostRouteLogOptions): (event: ReconcilerEvent<string>) => void {
  const failures = new Map<string, string>();
  let broken: string | undefined;
  const tell = (): void => {
    const refused = [...failures].map(([prefix, text]): Problem => ({ subject: `route to ${prefix}`, text }));
    const whole = broken === undefined ? [] : [{ subject: 'routes to services', text: broken }];
    report(new Map([['host routes', [...whole, ...refused]]]));
  };
  return event => {
    switch (event.kind) {
      case 'adopted':
        logger.debug({ routes: event.count }, 'routes of a former life to services are in the kernel');
        return;
      case 'written':
        logger.info({ set: event.set.length, removed: event.removed.length }, 'routes to services written');
        if (broken !== undefined) {
          broken = undefined;
          tell();
        }
        return;
      case 'failed':
        for (const [key, text] of event.failures) failures.set(key, text);
        tell();
        return;
      case 'recovered':
        for (const key of event.keys) failures.delete(key);
        tell();
        return;
      case 'drift':
        logger.warn({ routes: event.keys.slice(0, 10), count: event.keys.length }, 'routes to services were changed');
        return;
      case 'error':
        broken = event.text;
        tell();
    }
  };
}
