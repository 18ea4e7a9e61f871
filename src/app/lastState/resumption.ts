/**
 * Life on the last good state: what a former process wanted is wanted again until the cluster has told all, and then only
 * what has become of it in the meantime changes.
 */

import type { KeyedDelta, RoutingIntent } from '../../routing/intent.js';
import type { RoutingOutcome } from '../../routing/routing.js';

const OWNER = 'last good state';
const PROBLEM = {
  subject: 'cluster',
  text: 'is not known yet: the sessions and networks of the last good state are in force',
};

export interface Resumption {
  /** @returns undefined when there is no state, or it is too late */
  restore(): RoutingOutcome | undefined;
  /** Takes out of force what was restored and is no more. @param intent what routing wants after the outcome */
  correct(outcome: RoutingOutcome, intent: RoutingIntent): RoutingOutcome;
}

export function createResumption(saved: RoutingIntent | undefined): Resumption {
  let state: 'waiting' | 'resumed' | 'over' = saved === undefined ? 'over' : 'waiting';
  return {
    restore: () => {
      if (saved === undefined || state !== 'waiting') return undefined;
      state = 'resumed';
      return {
        delta: {
          own: saved.own,
          ownChanged: true,
          peers: all(saved.peers),
          networks: all(saved.networks),
          services: all(saved.services),
          policies: saved.policies,
        },
        problems: new Map([[OWNER, [PROBLEM]]]),
        recomputed: [],
      };
    },
    correct: (outcome, intent) => {
      const isDue = state === 'resumed';
      state = 'over';
      if (!isDue || saved === undefined) return outcome;
      const { delta } = outcome;
      return {
        ...outcome,
        delta: {
          own: intent.own,
          ownChanged: true,
          peers: without(delta.peers, saved.peers, intent.peers),
          networks: without(delta.networks, saved.networks, intent.networks),
          services: without(delta.services, saved.services, intent.services),
          policies: intent.policies,
        },
        problems: new Map([...outcome.problems, [OWNER, []]]),
      };
    },
  };
}

function all<T>(set: ReadonlyMap<string, T>): KeyedDelta<T> {
  return { set, removed: new Set() };
}

function without<T>(
  delta: KeyedDelta<T>,
  saved: ReadonlyMap<string, T>,
  wanted: ReadonlyMap<string, T>,
): KeyedDelta<T> {
  const gone = [...saved.keys()].filter(key => !wanted.has(key));
  return { set: delta.set, removed: new Set([...delta.removed, ...gone]) };
}
