/**
 * What /healthz and /readyz answer. Health is about whether a restart would help: an API server that is away, or a route
 * that the kernel refuses, is told as degraded and costs nobody the router; only a part that has stopped answering does.
 */

import type { Problem } from '../../kube/problems.js';

/** Milliseconds without a sign of life after which a part counts as stuck. */
export const STUCK_AFTER = 30_000;

export interface HealthFacts {
  /** Milliseconds since each part last gave a sign of life. */
  readonly silence: Readonly<Record<string, number>>;
  /** What hinders the router as a whole; single objects' problems are none. */
  readonly hindrances: readonly Problem[];
  /** The engine has its configuration: sessions run. */
  readonly configured: boolean;
}

export interface HealthAnswer {
  readonly status: 200 | 500 | 503;
  readonly body: {
    readonly status: 'ok' | 'degraded' | 'stuck' | 'waiting';
    /** One line each. */
    readonly parts: readonly string[];
  };
}

/** Live: 500 only when something hangs. */
export function liveness({ silence, hindrances }: HealthFacts): HealthAnswer {
  const stuck = Object.entries(silence).filter(([, time]) => time >= STUCK_AFTER);
  if (stuck.length > 0) {
    const parts = stuck.map(([part, time]) => `${part}: no sign of life for ${Math.round(time / 1000)} s`);
    return { status: 500, body: { status: 'stuck', parts } };
  }
  const parts = hindrances.map(({ subject, text }) => `${subject}: ${text}`);
  return { status: 200, body: { status: parts.length === 0 ? 'ok' : 'degraded', parts } };
}

/** Ready: the router has something to speak of. One that lives on its last good state is ready too. */
export function readiness(facts: HealthFacts): HealthAnswer {
  const live = liveness(facts);
  if (live.status !== 200 || facts.configured) return live;
  return {
    status: 503,
    body: { status: 'waiting', parts: ['router: waits for its configuration', ...live.body.parts] },
  };
}

/** Owners of problems (kube/problems.ts) that concern the router as a whole. */
const OF_THE_WHOLE = [
  'own node',
  'configuration',
  'configuration file',
  'overlay',
  'watch',
  'last good state',
  'first reading',
  'load balancer lease',
];

export function concernsAll(owner: string): boolean {
  return owner.startsWith('API server ') || OF_THE_WHOLE.includes(owner);
}
