/**
 * What of traffic control on this machine's links is ours, and what of somebody else is in the way. Ours are: token buckets
 * by their handle, IFB devices by kind and name, filters by their priority and where they lead. Pure.
 */

import type { HostLink } from '../../kernel/podLinks.js';
import { TC_H_INGRESS, TC_H_ROOT, type Qdisc } from '../../kernel/tc.js';
import type { IngressFilter } from '../../kernel/tcFilter.js';
import { shapeKey, type Shape, type ShapeKey } from './linkPlan.js';

/** Handle of our buckets, `7065:` in tc(8), and priority of our filters. */
export const OUR_HANDLE = 0x7065_0000;
export const OUR_PRIORITY = 0x7065;

export interface LinkState {
  readonly links: readonly HostLink[];
  readonly qdiscs: readonly Qdisc[];
  /** Of all links with an ingress or clsact qdisc. */
  readonly filters: readonly IngressFilter[];
}

/** The device in which packets of the pod behind a link wait: `pgb17`. */
export function ifbName(ifindex: number): string {
  return `pgb${ifindex}`;
}

/** @returns the link whose pod's packets wait in this one; undefined: it is no device of ours */
export function linkOfIfb({ name, kind }: Pick<HostLink, 'name' | 'kind'>): number | undefined {
  const [, index] = kind === 'ifb' ? (/^pgb(\d+)$/.exec(name) ?? []) : [];
  return index === undefined ? undefined : Number(index);
}

/** What is ours, as it works. */
export function shapesOf(state: LinkState): ReadonlyMap<ShapeKey, Shape> {
  const shapes = new Map<ShapeKey, Shape>();
  const put = (shape: Shape): void => void shapes.set(shapeKey(shape.ifindex, shape.direction), shape);
  const ifbs = new Map(state.links.flatMap(link => (linkOfIfb(link) === undefined ? [] : [[link.index, link]])));
  for (const { ifindex, bucket } of state.qdiscs.filter(isOurBucket))
    if (!ifbs.has(ifindex)) put({ ifindex, direction: 'ingress', bucket });
  // Filters first: without its device, a filter drops all that the pod sends.
  for (const filter of state.filters)
    if (isOurFilter(filter, state)) put({ ifindex: filter.ifindex, direction: 'egress', bucket: undefined });
  for (const ifb of ifbs.values()) {
    const ifindex = linkOfIfb(ifb)!;
    put({
      ifindex,
      direction: 'egress',
      bucket: isReached(ifb, ifindex, state) ? bucketAt(ifb.index, state) : undefined,
    });
  }
  return shapes;
}

function isReached(ifb: HostLink, ifindex: number, { filters }: LinkState): boolean {
  return ifb.up && filters.some(filter => filter.ifindex === ifindex && filter.redirectsTo === ifb.index);
}

function bucketAt(ifindex: number, { qdiscs }: LinkState): Shape['bucket'] {
  return qdiscs.find(qdisc => qdisc.ifindex === ifindex && isOurBucket(qdisc))?.bucket;
}

export function isOurBucket({ handle, kind, parent }: Qdisc): boolean {
  return handle === OUR_HANDLE && kind === 'tbf' && parent === TC_H_ROOT;
}

/** It leads to a device of ours, or to one that is gone, which the kernel tells as 0. */
export function isOurFilter({ priority, redirectsTo }: IngressFilter, { links }: LinkState): boolean {
  if (priority !== OUR_PRIORITY || redirectsTo === undefined) return false;
  const target = links.find(({ index }) => index === redirectsTo);
  return target === undefined || linkOfIfb(target) !== undefined;
}

/** @returns why nothing of ours is put there: a sentence */
export function obstacle({ ifindex, direction }: Shape, state: LinkState): string | undefined {
  const name = state.links.find(({ index }) => index === ifindex)?.name;
  if (name === undefined) return 'the link is gone';
  if (direction === 'ingress') {
    const other = state.qdiscs.find(qdisc => isRootOfOthers(qdisc, ifindex));
    return (
      other && `${name} has a qdisc of somebody else (${other.kind} ${handleText(other.handle)}), which is left alone`
    );
  }
  const ours = state.filters.filter(filter => filter.ifindex === ifindex && filter.priority === OUR_PRIORITY);
  const strangers = state.filters.filter(filter => filter.ifindex === ifindex && filter.priority !== OUR_PRIORITY);
  const taken = ours.some(filter => filter.redirectsTo !== undefined && !isOurFilter(filter, state));
  const [stranger] = taken ? ours : strangers;
  return (
    stranger &&
    `${name} has filters of somebody else for what comes in (${stranger.kind}, pref ${stranger.priority}), which are left alone`
  );
}

function isRootOfOthers(qdisc: Qdisc, ifindex: number): boolean {
  const { handle, parent } = qdisc;
  return qdisc.ifindex === ifindex && parent === TC_H_ROOT && handle !== 0 && !isOurBucket(qdisc);
}

/** What hangs filters at what comes in: `ingress`, which may be ours, or `clsact`, which never is. */
export function ingressKind(ifindex: number, { qdiscs }: LinkState): 'ingress' | 'clsact' | undefined {
  const kind = qdiscs.find(qdisc => qdisc.ifindex === ifindex && qdisc.parent === TC_H_INGRESS)?.kind;
  return kind === 'ingress' || kind === 'clsact' ? kind : undefined;
}

function handleText(handle: number): string {
  return `${(handle >>> 16).toString(16)}:`;
}
