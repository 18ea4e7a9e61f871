/**
 * Draining: everything announced carries GRACEFUL_SHUTDOWN (RFC 8326), so that traffic turns to other routers before this
 * one stops. Several may ask for it, and it lasts until none does any more.
 */

import type { Clock } from '../core/clock.js';

export type DrainReason = 'operator' | 'cordon' | 'shutdown';

export interface Draining {
  /** Resolves when the engine has begun (or ceased) to tell its peers. */
  set(reason: DrainReason, isOn: boolean): Promise<void>;
  /** Begins for good and gives traffic some time. @param milliseconds 0: nothing is begun and nothing waited for */
  beforeStop(milliseconds: number): Promise<void>;
}

/** @param tell switches draining on or off in the engine */
export function createDraining(tell: (isOn: boolean) => Promise<void>, clock: Clock): Draining {
  const reasons = new Set<DrainReason>();
  const set = async (reason: DrainReason, isOn: boolean): Promise<void> => {
    const before = reasons.size > 0;
    if (isOn) reasons.add(reason);
    else reasons.delete(reason);
    if (before !== reasons.size > 0) await tell(isOn);
  };
  return {
    set,
    beforeStop: async milliseconds => {
      if (milliseconds <= 0) return;
      await set('shutdown', true);
      await new Promise<void>(resolve => {
        clock.setTimeout(resolve, milliseconds);
      });
    },
  };
}
