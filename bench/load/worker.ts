/** The loop of a load process: one command after another, each answered, until the run's end of the channel closes. */

import { Envelope, type Answer, type Command } from './commands.js';

export function serve(handle: (command: Command) => Promise<Answer>): void {
  process.on('message', (message: unknown) => {
    const { id, command } = Envelope.parse(message);
    handle(command).then(
      answer => process.send?.({ id, answer }),
      (error: unknown) => process.send?.({ id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}

/** Tells the run that a session ended by itself. */
export function reportLost(reason: string): void {
  process.send?.({ lost: reason });
}

/** Milliseconds of CPU since the last call. */
export function cpuMeter(): () => number {
  let last = process.cpuUsage();
  return () => {
    const used = process.cpuUsage(last);
    last = process.cpuUsage();
    return (used.user + used.system) / 1000;
  };
}
