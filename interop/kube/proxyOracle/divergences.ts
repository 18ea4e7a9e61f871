/** Where we differ from kube-proxy on purpose; docs/proxy-modes.md has the same list. Pure. */

import type { Difference } from './outcomes.js';

export interface Divergence {
  readonly name: string;
  /** What kube-proxy does, what we do, and why. */
  readonly text: string;
  readonly explains: (difference: Difference) => boolean;
}

export const DIVERGENCES: readonly Divergence[] = [];
