/** Which new servers may be made now: one that the firewall does not guard yet would be open to all. Impure: waits. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { Delta } from '../../core/deltaTable.js';
import { serverKey } from './virtualServers.js';
import type { Wish, WishKey } from './wishes.js';

export interface ServerGuardOptions {
  readonly clock: Clock;
  /** Resolves when the firewall beside the servers has done what it can. */
  readonly guarded?: (() => Promise<void>) | undefined;
  /** Whether the firewall keeps out whom a server is not for. One that is not guarded is not made. */
  readonly isGuarded?: ((server: string) => boolean) | undefined;
}

type WishSet = Delta<WishKey, Wish>['set'];

/** Milliseconds that new servers wait for the firewall at most: one that is never done must not keep open services away. */
const PATIENCE = 1000;
const UNGUARDED = 'waits for its source ranges to be in the firewall';

/** @param failures are told what has to wait @returns the rest */
export async function guardedSet(
  set: WishSet,
  failures: Map<WishKey, string>,
  options: ServerGuardOptions,
): Promise<WishSet> {
  const added = [...set.values()].flatMap(({ value, before }) =>
    value.kind === 'server' && before === undefined ? [serverKey(value.server)] : [],
  );
  if (added.length === 0) return set;
  await firewallIdle(options);
  const open = new Set(added.filter(server => options.isGuarded?.(server) === false));
  if (open.size === 0) return set;
  const left = new Map(set);
  for (const [key, { value }] of set) {
    if ((value.kind !== 'server' && value.kind !== 'destination') || !open.has(serverKey(value.server))) continue;
    left.delete(key);
    failures.set(key, UNGUARDED);
  }
  return left;
}

async function firewallIdle({ guarded, clock }: ServerGuardOptions): Promise<void> {
  if (guarded === undefined) return;
  let timer: TimerHandle | undefined;
  const limit = new Promise<void>(resolve => (timer = clock.setTimeout(resolve, PATIENCE)));
  await Promise.race([guarded(), limit]);
  timer?.cancel();
}
