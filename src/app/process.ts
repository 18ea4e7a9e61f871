/** The process around a router: signals, and the end when something that must not happen happened. Impure. */

import type { Logger } from 'pino';

export interface ProcessHooks {
  readonly logger: Logger;
  /** SIGHUP. */
  readonly reload: () => void;
}

/** Resolves at SIGTERM or SIGINT. */
export async function runUntilSignal({ logger, reload }: ProcessHooks): Promise<void> {
  process.on('SIGHUP', reload);
  await new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        logger.info({ signal }, 'stopping');
        resolve();
      });
    }
  });
  process.off('SIGHUP', reload);
}

/**
 * An exception nobody caught is a bug of ours: name it and end. Kernel routes stay as they are, and the next process
 * adopts them, so the data plane does not notice. A SIGHUP, on the other hand, may come before anybody reloads, and must
 * not end anything.
 */
export function endOnBug(logger: Logger): void {
  process.on('SIGHUP', () => logger.debug('SIGHUP'));
  process.on('uncaughtException', error => endNow(logger, 'uncaught exception', error));
  process.on('unhandledRejection', error => endNow(logger, 'unhandled rejection', error));
}

/** Ends the process for a bug of ours, named by where it showed: nothing that is left can be trusted to stop in order. */
export function endNow(logger: Logger, stage: string, error: unknown): never {
  logger.fatal({ err: error, stage }, 'internal error; kernel routes are left in place');
  process.exit(1);
}
