/** What is wrong with the cluster's objects at this moment: a keyed set, told when an entry appears and when it clears. */

/** One line for `peerage show problems` and for the log. */
export interface Problem {
  /** What it is about: `Node node-2`, or a file. */
  readonly subject: string;
  readonly text: string;
  /** A word for machines, where the cluster is told of it too, by an Event: `AddressConflict`. */
  readonly reason?: string;
}

export interface StandingProblem extends Problem {
  readonly since: Date;
}

export interface ProblemDelta {
  readonly appeared: readonly Problem[];
  readonly cleared: readonly Problem[];
}

/**
 * The complete problems of some owners: what an owner does not repeat has cleared. Owners are whatever reports as a
 * unit, such as a manifest file or one node's derivation.
 */
export type ProblemReport = ReadonlyMap<string, readonly Problem[]>;

export interface ProblemSet {
  /** Takes the owners' problems in place of what they reported before. A problem that stays is in neither list. */
  report(report: ProblemReport): ProblemDelta;
  /** Oldest first. @param isWanted of which owners; all unless told */
  list(isWanted?: (owner: string) => boolean): readonly StandingProblem[];
}

/** @param now the wall clock */
export function createProblemSet(now: () => Date = () => new Date()): ProblemSet {
  const byOwner = new Map<string, readonly StandingProblem[]>();
  return {
    report: report => {
      const at = now();
      const deltas = [...report].map(([owner, problems]) => {
        const before = byOwner.get(owner) ?? [];
        if (problems.length === 0) byOwner.delete(owner);
        else
          byOwner.set(
            owner,
            problems.map(problem => before.find(sameAs(problem)) ?? { ...problem, since: at }),
          );
        return {
          appeared: problems.filter(problem => !before.some(sameAs(problem))),
          cleared: before.filter(problem => !problems.some(sameAs(problem))),
        };
      });
      return { appeared: deltas.flatMap(d => d.appeared), cleared: deltas.flatMap(d => d.cleared) };
    },
    list: (isWanted = () => true) =>
      [...byOwner]
        .flatMap(([owner, problems]) => (isWanted(owner) ? problems : []))
        .sort((a, b) => a.since.getTime() - b.since.getTime()),
  };
}

function sameAs(problem: Problem): (other: Problem) => boolean {
  return other => other.subject === problem.subject && other.text === problem.text;
}
