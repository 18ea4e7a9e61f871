/** The graph's stage for bandwidth: from objects to limits of this node's pods. Pure. */

import type { ObjectBatch } from '../../kube/objectBatch.js';
import { createBandwidth, type BandwidthOutcome } from '../../policy/bandwidth/bandwidth.js';

export interface BandwidthUpdate extends BandwidthOutcome {
  /** The cluster has told all it had: what is not wanted may be taken out. */
  readonly isComplete: boolean;
}

/** Owns the account. Of batches that say nothing new, nothing comes out. */
export function createBandwidthStage(nodeName: string): (batch: ObjectBatch) => BandwidthUpdate | undefined {
  const bandwidth = createBandwidth(nodeName);
  let isComplete = false;
  return batch => {
    const outcome = bandwidth(batch);
    const isNews = outcome.changes.size > 0 || outcome.problems.size > 0 || (batch.synced && !isComplete);
    isComplete ||= batch.synced;
    return isNews ? { ...outcome, isComplete } : undefined;
  };
}
