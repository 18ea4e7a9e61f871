/** What is shown of tenants, and how one is asked to change. */

import type { Result } from '../core/result.js';

/** One namespace. */
export interface TenantView {
  readonly namespace: string;
  /** Number of its network; 0: it reaches all and is reached by all. Null: none that can be used, so that it is closed. */
  readonly tenant: number | null;
  /** Other namespaces of the same network; none of a global one. */
  readonly with: readonly string[];
  /** Addresses of its pods that are known here, in the whole cluster and on this node. */
  readonly addresses: number;
  readonly localAddresses: number;
  /** Packets that pods of this node were not sent, and may not send, since the agent runs; null: they cannot be read. */
  readonly deniedTo: number | null;
  readonly deniedFrom: number | null;
  /** A change that is asked for and not made yet: `join:b`. */
  readonly asked: string | null;
  /** What is wrong. */
  readonly problem: string | null;
}

/** Answered by the running agent. */
export interface TenantsView {
  tenants(): Promise<readonly TenantView[]>;
  /** @param change `join:NAMESPACE`, `isolate` or `global` @returns what hinders it */
  ask(namespace: string, change: string): Promise<Result<void, string>>;
}
