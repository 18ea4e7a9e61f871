/** What is wrong with each service at this moment, for who asks about one of them. Pure. */

import type { Problem, ProblemReport } from '../../kube/problems.js';

export interface Complaints {
  /** Takes the owners' problems in place of what they reported before. */
  take(found: ProblemReport): void;
  /** @param service `namespace/name` @returns sentences */
  of(service: string): readonly string[];
}

export function createComplaints(): Complaints {
  /** Of those only with whom something is wrong. */
  const byOwner = new Map<string, readonly Problem[]>();
  return {
    take: found => {
      for (const [owner, problems] of found)
        if (problems.length === 0) byOwner.delete(owner);
        else byOwner.set(owner, problems);
    },
    of: service => {
      const own = [...byOwner.values()].flat().filter(({ subject }) => subject === `Service ${service}`);
      return own.map(({ text }) => text);
    },
  };
}
