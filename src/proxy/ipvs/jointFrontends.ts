/** A frontend that two parts of the kernel serve together is served when both say so, and gone when neither has it. Pure. */

import { assertNever } from '../../core/assertNever.js';
import type { ProxyEvent } from '../proxyBackend.js';
import type { FrontendKey, ProxyDelta } from '../proxyTypes.js';

export type Part = 'servers' | 'firewall';

export interface JointFrontends {
  /** Told before the parts are. */
  apply(delta: ProxyDelta): void;
  /** @returns what there is to tell of what a part has told */
  take(part: Part, event: ProxyEvent): ProxyEvent | undefined;
  /** Whether a part has told of a frontend, since it is wanted, that it is programmed. */
  isDone(part: Part, key: FrontendKey): boolean;
}

interface State {
  readonly done: Set<Part>;
  readonly failed: Set<Part>;
  isWanted: boolean;
}

/** @param parts all that a frontend needs */
export function createJointFrontends(parts: readonly Part[]): JointFrontends {
  const states = new Map<FrontendKey, State>();

  /** Parts that are done with what is wanted now. */
  const done = (part: Part, keys: readonly FrontendKey[], isWanted: boolean): readonly FrontendKey[] =>
    keys.filter(key => {
      const state = states.get(key);
      if (state?.isWanted !== isWanted) return false;
      state.done.add(part);
      const isDone = parts.every(one => state.done.has(one));
      if (isDone && !isWanted) states.delete(key);
      return isDone;
    });
  const recovered = (part: Part, keys: readonly FrontendKey[]): readonly FrontendKey[] =>
    keys.filter(key => {
      const failed = states.get(key)?.failed;
      return failed === undefined || (failed.delete(part) && failed.size === 0);
    });

  return {
    isDone: (part, key) => {
      const state = states.get(key);
      return state?.isWanted === true && state.done.has(part);
    },
    apply: ({ frontends }) => {
      for (const key of frontends.removed) {
        const state = states.get(key);
        if (state === undefined) continue;
        state.isWanted = false;
        state.done.clear();
        state.failed.clear();
      }
      for (const key of frontends.set.keys()) {
        const state = states.get(key);
        if (state?.isWanted !== true) states.set(key, { done: new Set(), failed: new Set(), isWanted: true });
      }
    },
    take: (part, event) => {
      switch (event.kind) {
        case 'programmed':
          return tell(event.kind, done(part, event.frontends, true));
        case 'removed':
          return tell(event.kind, done(part, event.frontends, false));
        case 'recovered':
          return tell(event.kind, recovered(part, event.frontends));
        case 'failed':
          for (const key of event.failures.keys()) states.get(key)?.failed.add(part);
          return event;
        case 'adopted':
          // Both have the same ones; the servers are counted.
          return part === 'servers' ? event : undefined;
        case 'drift':
        case 'committed':
        case 'conntrack':
        case 'error':
          return event;
        default:
          return assertNever(event);
      }
    },
  };
}

function tell(kind: 'programmed' | 'removed' | 'recovered', frontends: readonly FrontendKey[]): ProxyEvent | undefined {
  return frontends.length === 0 ? undefined : { kind, frontends };
}
