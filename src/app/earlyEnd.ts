/**
 * SIGTERM and SIGINT end the process until somebody listens to them: the first process of a PID namespace, which that of a
 * container is, has no default action for signals. To be imported before everything else. Impure.
 */

const STATUS = { SIGTERM: 143, SIGINT: 130 } as const;

if (process.pid === 1) for (const signal of ['SIGTERM', 'SIGINT'] as const) endUntilOthersListen(signal);

function endUntilOthersListen(signal: keyof typeof STATUS): void {
  const end = (): void => {
    if (process.listenerCount(signal) === 1) process.exit(STATUS[signal]);
    // Who listens may end in order, and is not to be interrupted by asking again.
    process.off(signal, end);
  };
  process.on(signal, end);
}
