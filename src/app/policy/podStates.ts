/** What the kernel has said of the policies of single pods. */

import type { PodName, PolicyDelta } from '../../policy/policyTypes.js';

export interface PodStates {
  /** The kernel has what is wanted for it, as far as we were told. */
  isProgrammed(pod: PodName): boolean;
  /** Undefined: nothing was refused. */
  failureOf(pod: PodName): string | undefined;
  readonly failures: ReadonlyMap<PodName, string>;
  /** What is wanted of these pods is another now. */
  want(pods: PolicyDelta['pods']): void;
  programmed(pods: Iterable<PodName>): void;
  failed(failures: ReadonlyMap<PodName, string>): void;
  recovered(pods: Iterable<PodName>): void;
}

export function createPodStates(): PodStates {
  const programmed = new Set<PodName>();
  const failures = new Map<PodName, string>();
  return {
    failures,
    isProgrammed: pod => programmed.has(pod),
    failureOf: pod => failures.get(pod),
    want: ({ set, removed }) => {
      for (const pod of [...set.keys(), ...removed]) programmed.delete(pod);
      for (const pod of removed) failures.delete(pod);
    },
    programmed: pods => {
      for (const pod of pods) programmed.add(pod);
    },
    failed: found => {
      for (const [pod, text] of found) failures.set(pod, text);
      for (const pod of found.keys()) programmed.delete(pod);
    },
    recovered: pods => {
      for (const pod of pods) failures.delete(pod);
    },
  };
}
