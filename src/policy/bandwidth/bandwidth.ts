/** Keeps account of the limits of one node's pods, object by object. */

import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import { describe, keyOf } from '../../kube/objects.js';
import type { Pod } from '../../kube/objectTypes.js';
import type { Problem } from '../../kube/problems.js';
import { limitsOf, sameLimits, type PodLimits } from './podLimits.js';

export interface BandwidthOutcome {
  /** By pod; undefined: nothing is to be limited any more. */
  readonly changes: ReadonlyMap<string, PodLimits | undefined>;
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

/** @returns owns the account; the first batch has all of the cluster's (or of the node's) pods */
export function createBandwidth(nodeName: string): (batch: ObjectBatch) => BandwidthOutcome {
  const known = new Map<string, PodLimits>();
  const complained = new Set<string>();
  return batch => {
    const changes = new Map<string, PodLimits | undefined>();
    const problems = new Map<string, readonly Problem[]>();
    for (const { change, object } of changesOf(batch, 'Pod')) {
      const texts: string[] = [];
      const isOurs = change !== 'deleted' && object.nodeName === nodeName;
      const limits = isOurs ? limitsOf(object, text => texts.push(text)) : undefined;
      note(known, changes, object, limits);
      const owner = `bandwidth ${keyOf(object)}`;
      if (texts.length > 0 || complained.has(owner))
        problems.set(
          owner,
          texts.map(text => ({ subject: describe(object), text, reason: 'InvalidAnnotation' })),
        );
      if (texts.length > 0) complained.add(owner);
      else complained.delete(owner);
    }
    return { changes, problems };
  };
}

function note(
  known: Map<string, PodLimits>,
  changes: Map<string, PodLimits | undefined>,
  { namespace, name }: Pod,
  limits: PodLimits | undefined,
): void {
  const pod = `${namespace}/${name}`;
  const before = known.get(pod);
  if (limits === undefined) {
    if (known.delete(pod)) changes.set(pod, undefined);
  } else if (before === undefined || !sameLimits(before, limits)) {
    known.set(pod, limits);
    changes.set(pod, limits);
  }
}
