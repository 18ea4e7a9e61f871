/** From limits of pods and the links that lead to them to what each link shall have. */

import type { PodLink, PodLinks } from '../../kernel/podLinks.js';
import { sameBucket, type TokenBucket } from '../../kernel/tc.js';
import { DIRECTIONS, type Direction, type PodLimits } from './podLimits.js';

/** One link in one direction of its pod: `17 ingress`. */
export type ShapeKey = `${number} ${Direction}`;

export interface Shape {
  readonly ifindex: number;
  readonly direction: Direction;
  /** Undefined: there is something of ours that does not work as it stands (read only, never wanted). */
  readonly bucket: TokenBucket | undefined;
}

export function shapeKey(ifindex: number, direction: Direction): ShapeKey {
  return `${ifindex} ${direction}`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.bucket !== undefined && b.bucket !== undefined && sameBucket(a.bucket, b.bucket);
}

export interface LinkPlan {
  readonly shapes: ReadonlyMap<ShapeKey, Shape>;
  /** The link of each pod that has one. */
  readonly links: ReadonlyMap<string, PodLink>;
  /** Pods without a link on this machine. */
  readonly missing: readonly string[];
}

export function planLinks(pods: Iterable<PodLimits>, known: PodLinks): LinkPlan {
  const shapes = new Map<ShapeKey, Shape>();
  const links = new Map<string, PodLink>();
  const missing: string[] = [];
  for (const limits of pods) {
    const link = limits.addresses.map(address => known.get(address)).find(found => found !== undefined);
    if (link === undefined) {
      missing.push(limits.pod);
      continue;
    }
    links.set(limits.pod, link);
    for (const direction of DIRECTIONS) {
      const limit = limits[direction];
      if (limit === undefined) continue;
      const key = shapeKey(link.ifindex, direction);
      const bucket = bucketFor(limit, link.mtu);
      const other = shapes.get(key)?.bucket;
      // Two pods of one link (an address has just changed hands): nobody gets more than allowed.
      if (other === undefined || bucket.rate < other.rate)
        shapes.set(key, { ifindex: link.ifindex, direction, bucket });
    }
  }
  return { shapes, links, missing };
}

/** Seconds' worth of the rate that may go at once: few enough to stay true, enough for timers to be late. */
const BURST = 0.02;
/** Seconds' worth that wait: what TCP needs to find the rate, and no more, since it is delay. */
const QUEUE = 0.05;
/** Octets of the largest packet that one machine hands on in one piece (GSO, GRO). */
const LARGEST = 65_536;
/** Frames that may go at once however low the rate. */
const FRAMES = 4;
/** Octets: memory has bounds, and nobody's link goes beyond 100 Gbit/s. */
const MOST = 1 << 26;
/** Octets of an Ethernet header, which a bucket counts. */
const HEADER = 14;

/** @param limit bits a second  @param mtu octets */
export function bucketFor(limit: number, mtu: number): TokenBucket {
  const rate = Math.max(1, Math.floor(limit / 8));
  const burst = Math.min(MOST, Math.max(Math.ceil(rate * BURST), FRAMES * (mtu + HEADER)));
  // A packet that does not fit into what is left of the queue is lost whole.
  const queue = burst + Math.min(MOST, Math.max(Math.ceil(rate * QUEUE), LARGEST));
  return { rate, burst, queue };
}
