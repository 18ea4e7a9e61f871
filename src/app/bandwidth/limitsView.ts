/** Lists limits for people: what is wanted, beside what the kernel has. Pure. */

import type { PodLimitView } from '../../api/bandwidthView.js';
import type { Qdisc } from '../../kernel/tc.js';
import { shapeKey } from '../../policy/bandwidth/linkPlan.js';
import { ifbName, isOurBucket, type LinkState } from '../../policy/bandwidth/linkState.js';
import { DIRECTIONS, type Direction } from '../../policy/bandwidth/podLimits.js';
import type { BandwidthState } from './bandwidthPlane.js';

export function listLimits(
  state: BandwidthState,
  kernel: Pick<LinkState, 'links' | 'qdiscs'>,
): readonly PodLimitView[] {
  const indices = new Map(kernel.links.map(({ name, index }) => [name, index]));
  const buckets = new Map(kernel.qdiscs.filter(isOurBucket).map(qdisc => [qdisc.ifindex, qdisc]));
  const bucketOf = (ifindex: number, direction: Direction): Qdisc | undefined =>
    buckets.get(direction === 'ingress' ? ifindex : (indices.get(ifbName(ifindex)) ?? -1));
  return [...state.pods.values()]
    .sort((a, b) => (a.pod < b.pod ? -1 : 1))
    .flatMap(limits =>
      DIRECTIONS.flatMap(direction => {
        const limit = limits[direction];
        return limit === undefined ? [] : [viewOf(state, limits.pod, direction, limit, bucketOf)];
      }),
    );
}

function viewOf(
  state: BandwidthState,
  pod: string,
  direction: Direction,
  limit: number,
  bucketOf: (ifindex: number, direction: Direction) => Qdisc | undefined,
): PodLimitView {
  const link = state.plan.links.get(pod);
  const key = link && shapeKey(link.ifindex, direction);
  const reason = (key === undefined ? undefined : state.failures.get(key)) ?? null;
  const counters = link && bucketOf(link.ifindex, direction)?.counters;
  const isInForce = key !== undefined && state.isInForce(key);
  return {
    pod,
    direction,
    limit,
    link: link?.name ?? null,
    state: isInForce ? 'in force' : reason === null ? 'pending' : 'failed',
    reason,
    octets: counters?.octets ?? null,
    packets: counters?.packets ?? null,
    dropped: counters?.dropped ?? null,
    waiting: counters?.waiting ?? null,
  };
}
