/** What the control API shows: the engine's view of itself, and the kernel's routes beside it. */

import type { EngineView, RouteQuery } from '../engine/view.js';
import type { BandwidthView } from './bandwidthView.js';
import type { EgressView } from './egressView.js';
import type { PoliciesView } from './policyView.js';
import type { ServicesView } from './serviceView.js';
import type { TenantsView } from './tenantView.js';

export { FAMILIES, type Family } from '../bgp/families.js';
export type * from '../engine/view.js';
export type * from './bandwidthView.js';
export type * from './egressView.js';
export type * from './policyView.js';
export type * from './serviceView.js';
export type * from './tenantView.js';

export interface FibRouteView {
  readonly prefix: string;
  readonly nextHops: readonly { readonly gateway: string; readonly device: string | null }[];
  /** `pending`: on its way; `failed`: the kernel refused it and it is retried. */
  readonly state: 'installed' | 'pending' | 'failed' | 'unresolved';
  readonly error: string | null;
}

/** What is wrong at this moment, outside of single sessions and routes. */
export interface ProblemView {
  /** What it is about: `Node node-2`, a file, or `router`. */
  readonly subject: string;
  readonly text: string;
  /** ISO 8601; null where nobody noted it. */
  readonly since: string | null;
}

/** At once, or later when who knows it runs on another thread. */
export type Answered<T> = T | Promise<T>;

type Listed<T> = T extends Iterable<infer Item> ? Iterable<Item> | AsyncIterable<Item> : T;

/** Answered by the running router; the control server knows nothing else of it. */
export type RouterView = {
  readonly [K in keyof EngineView]: (...args: Parameters<EngineView[K]>) => Answered<Listed<ReturnType<EngineView[K]>>>;
} & {
  fib(query: RouteQuery): Iterable<FibRouteView>;
  /** Oldest first. There also before the router has a configuration. */
  problems(): Answered<readonly ProblemView[]>;
  /** On: everything announced carries GRACEFUL_SHUTDOWN (RFC 8326). */
  drain(isOn: boolean): Answered<void>;
  /** Of the service proxy; absent where none runs. */
  readonly services?: ServicesView;
  /** Of the firewall; absent where none runs. */
  readonly policies?: PoliciesView;
  /** Of limits of pods; absent where nobody limits them. */
  readonly bandwidth?: BandwidthView;
  /** Of tenants; absent where namespaces are not kept apart. */
  readonly tenants?: TenantsView;
  /** Of egress addresses; absent where nobody can have any. */
  readonly egress?: EgressView;
};

/** Thrown by a RouterView that has no configuration yet, such as an agent that waits for its Node. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}
