/** Asks the others in rounds while the API server is not heard of, and says when this node lets its addresses go. Impure: time. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import {
  answered,
  asked,
  heard,
  isDeaf,
  newTie,
  ROUND,
  suspectAt,
  whyShut,
  type Tie,
  type Word,
} from './holderFence.js';

export interface FenceParts {
  readonly clock: Clock;
  /** @returns in a second or so; never throws */
  readonly ask: (node: string) => Promise<Word>;
  /** @param why this node holds nothing any more, a clause; undefined: it may again */
  readonly changed: (why: string | undefined) => void;
}

export interface Fence {
  readonly isShut: boolean;
  /** For others that ask: this node does not hear of the API server. */
  readonly isDeaf: boolean;
  /** @param others nodes that might take over; undefined: this one may not either */
  among(others: ReadonlySet<string> | undefined): void;
  /** The API server has answered what was sent then. What is shut stays so. */
  heard(sentAt: number): void;
  shut(why: string): void;
  /** What this node knows of the cluster is true again. */
  open(): void;
  stop(): void;
}

export function createFence(parts: FenceParts): Fence {
  return new Running(parts);
}

class Running implements Fence {
  private tie: Tie | undefined;
  private others: ReadonlySet<string> = new Set();
  private timer: TimerHandle | undefined;
  private why: string | undefined;

  constructor(private readonly parts: FenceParts) {}

  get isShut(): boolean {
    return this.why !== undefined;
  }

  get isDeaf(): boolean {
    return this.tie !== undefined && isDeaf(this.tie, this.parts.clock.now());
  }

  among(others: ReadonlySet<string> | undefined): void {
    this.others = others ?? new Set();
    if (others === undefined) {
      this.stop();
      this.open();
    } else if (this.tie === undefined) {
      this.tie = newTie(this.parts.clock.now());
      this.plan();
    }
  }

  heard(sentAt: number): void {
    if (this.tie === undefined) return;
    this.tie = heard(this.tie, sentAt);
    this.plan();
  }

  shut(why: string): void {
    if (this.why !== undefined) return;
    this.why = why;
    this.parts.changed(why);
  }

  open(): void {
    if (this.why === undefined) return;
    this.why = undefined;
    this.parts.changed(undefined);
  }

  stop(): void {
    this.timer?.cancel();
    // An answer that is still on its way begins nothing anew.
    this.tie = undefined;
  }

  private plan(): void {
    if (this.tie === undefined) return;
    const { clock } = this.parts;
    this.timer?.cancel();
    this.timer = clock.setTimeout(() => this.round(), Math.max(0, suspectAt(this.tie) - clock.now()));
  }

  private round(): void {
    if (this.tie === undefined) return;
    const { clock, ask } = this.parts;
    const now = clock.now();
    this.tie = asked(this.tie, now);
    const why = whyShut(this.tie, this.others, now);
    if (why !== undefined) this.shut(why);
    // Once shut, only the API server opens it again.
    if (!this.isShut)
      for (const node of this.others)
        void ask(node).then(word => {
          if (this.tie !== undefined) this.tie = answered(this.tie, node, word, now);
        });
    this.timer = clock.setTimeout(() => this.round(), ROUND);
  }
}
