/** Where we differ from kube-proxy on purpose; docs/proxy-modes.md has the same list. Pure. */

import { HEADLESS_LABEL } from './cases.js';
import type { Difference } from './outcomes.js';

export interface Divergence {
  readonly name: string;
  /** What kube-proxy does, what we do, and why. */
  readonly text: string;
  readonly explains: (difference: Difference) => boolean;
}

export const DIVERGENCES: readonly Divergence[] = [
  {
    name: 'headless by label',
    text: 'kube-proxy reads the label service.kubernetes.io/headless on EndpointSlices only: a Service that has it still has its cluster IP served or refused. We leave such a Service alone altogether, as kube-router does.',
    explains: ({ question }) => question.of?.service.metadata.labels?.[HEADLESS_LABEL] !== undefined,
  },
];
