/** What the FIB tells and shows to the rest of the program. */

import type { Family, FamilyIndex } from '../bgp/families.js';
import type { RibChanges } from '../rib/changes.js';

/** A list for a log line: how many there are, and the first few by name. */
export interface Sample<T> {
  readonly count: number;
  readonly first: readonly T[];
}

export interface RouteFailure {
  readonly prefix: string;
  /** `10.0.0.1 dev eth0` */
  readonly nextHops: readonly string[];
  /** Errno by name, then the kernel's own words. */
  readonly error: string;
}

export type FibEvent =
  /** The first reading of the kernel: routes of a former life of ours that were found. */
  | { readonly kind: 'adopted'; readonly family: Family; readonly routes: number }
  /** The sources are complete: adopted routes that nobody wants are deleted. */
  | { readonly kind: 'swept'; readonly family: Family; readonly routes: number }
  /** The kernel refuses routes; they are tried again, from 250 ms up to every 30 s. */
  | { readonly kind: 'failed'; readonly family: Family; readonly routes: Sample<RouteFailure> }
  | { readonly kind: 'recovered'; readonly family: Family; readonly routes: Sample<string> }
  /** A route that is not ours stands in the place (destination and metric) of ours and is left alone. */
  | { readonly kind: 'conflict'; readonly family: Family; readonly routes: Sample<string> }
  /** Somebody else, or the kernel, deleted or changed routes of ours; they are written again. */
  | { readonly kind: 'drift'; readonly family: Family; readonly routes: Sample<string> }
  /** The kernel could not be read or written at all; tried again. */
  | { readonly kind: 'error'; readonly text: string };

/** What one batch has changed in the kernel, for metrics. */
export interface WrittenBatch {
  readonly family: Family;
  readonly added: number;
  readonly removed: number;
  /** Routes of ours in the kernel now. */
  readonly installed: number;
  /** From composing it to the last answer. */
  readonly seconds: number;
}

/** Shape of a route for the control API. */
export interface FibRoute {
  readonly prefix: string;
  readonly nextHops: readonly { readonly gateway: string; readonly device: string | null }[];
  readonly state: 'installed' | 'pending' | 'failed' | 'unresolved';
  readonly error: string | null;
}

export interface FibQuery {
  readonly family?: Family;
  /** Only this prefix, or with `longer` also what it covers; a bare address: the routes that match it, longest first. */
  readonly prefix?: string;
  readonly longer?: boolean;
}

export interface FibCounts {
  /** Prefixes the FIB knows of. */
  readonly prefixes: number;
  /** Routes in the kernel. */
  readonly installed: number;
  /** Differences waiting to be written. */
  readonly queued: number;
  readonly failed: number;
}

export interface Fib {
  /** Takes what changed in the RIB; writing happens later, in batches. The arrays are not kept. */
  apply(batch: RibChanges): void;
  /** Everybody who could want a route has said so: adopted routes that nobody asked for are deleted from now on. */
  sourcesComplete(): void;
  /** @returns resolves when all that was queued is written or has failed */
  idle(): Promise<void>;
  /** Writes what is queued and ends; without `keepRoutes` deletes all our routes first. */
  stop(options: { readonly keepRoutes: boolean }): Promise<void>;
  routes(query: FibQuery): Iterable<FibRoute>;
  counts(family: FamilyIndex): FibCounts;
}
