/** A peer's refreshes that have begun and not ended: RFC 7313 section 4, by family. */

import type { FamilyIndex } from '../bgp/families.js';
import type { Clock, TimerHandle } from '../core/clock.js';

/** Seconds in which a peer that began a refresh must end it. */
const REFRESH_TIME = 360;

export class Refreshing {
  private readonly timers: [TimerHandle | undefined, TimerHandle | undefined] = [undefined, undefined];

  /** @param over what was not announced again since the refresh began can go */
  constructor(
    private readonly clock: Clock,
    private readonly over: (family: FamilyIndex) => void,
  ) {}

  /** A refresh begins, or begins anew. */
  begin(family: FamilyIndex): void {
    this.timers[family]?.cancel();
    this.timers[family] = this.clock.setTimeout(() => this.end(family), REFRESH_TIME * 1000);
  }

  /** It ends; the end of one that never began means nothing. */
  end(family: FamilyIndex): void {
    if (this.timers[family] === undefined) return;
    this.forget(family);
    this.over(family);
  }

  /** The session is over, and all of its refreshes with it. */
  cancel(): void {
    this.forget(0);
    this.forget(1);
  }

  private forget(family: FamilyIndex): void {
    this.timers[family]?.cancel();
    this.timers[family] = undefined;
  }
}
