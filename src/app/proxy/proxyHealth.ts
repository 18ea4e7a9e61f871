/**
 * Whether the service proxy keeps up: it does unless something it was told has waited for too long. What /healthz and
 * /livez of kube-proxy answer follows from it. Pure.
 */

import type { Clock } from '../../core/clock.js';

/** Milliseconds that a change may wait for the kernel: twice kube-proxy's period of synchronisation. */
const PATIENCE = 60_000;

export interface ProxyHealth {
  /** Something is to be written. */
  queued(): void;
  /** Everything that was queued before is written. */
  written(): void;
  /** Nodes that leave the cluster are to get no traffic. */
  setEligible(isEligible: boolean): void;
  readonly isHealthy: boolean;
  /** Node eligibility counts in /healthz only: it is about traffic, /livez about a restart. */
  answer(kind: 'healthz' | 'livez'): ProxyHealthAnswer;
}

export interface ProxyHealthAnswer {
  readonly status: 200 | 503;
  readonly body: { readonly lastUpdated: string; readonly currentTime: string; readonly nodeEligible?: boolean };
}

/** @param date the wall clock, for people */
export function createProxyHealth(clock: Pick<Clock, 'now'>, date: () => Date = () => new Date()): ProxyHealth {
  let waitingSince: number | undefined;
  let lastUpdated = new Date(0);
  let isEligible = true;
  const isHealthy = (): boolean => waitingSince === undefined || clock.now() - waitingSince < PATIENCE;
  return {
    queued: () => (waitingSince ??= clock.now()),
    written: () => {
      waitingSince = undefined;
      lastUpdated = date();
    },
    setEligible: next => (isEligible = next),
    get isHealthy() {
      return isHealthy();
    },
    answer: kind => {
      const now = date();
      const isWell = isHealthy() && (kind === 'livez' || isEligible);
      // As kube-proxy has it: who is well is up to date.
      const updated = isWell ? now : lastUpdated;
      const times = { lastUpdated: updated.toISOString(), currentTime: now.toISOString() };
      return { status: isWell ? 200 : 503, body: kind === 'livez' ? times : { ...times, nodeEligible: isEligible } };
    },
  };
}
