/**
 * Frontends leave the firewall when their servers and addresses have gone: the other way round a server with source ranges
 * would be open to all for a moment, and so would be what listens on this machine at an address that nobody guards. Pure.
 */

import type { FrontendKey, ProxyDelta } from '../proxyTypes.js';

export interface HeldRemovals {
  /** @returns what the firewall may be told now */
  hold(delta: ProxyDelta): ProxyDelta;
  /** @param gone frontends that have no servers any more @returns what the firewall may be told of them; undefined: nothing */
  release(gone: readonly FrontendKey[]): ProxyDelta | undefined;
}

const NONE = { set: new Map<never, never>(), removed: new Set<never>() };

export function createHeldRemovals(): HeldRemovals {
  const known = new Set<FrontendKey>();
  const held = new Set<FrontendKey>();
  return {
    hold: delta => {
      const { set, removed } = delta.frontends;
      for (const key of removed) if (known.delete(key)) held.add(key);
      for (const key of set.keys()) {
        held.delete(key);
        known.add(key);
      }
      return removed.size === 0 ? delta : { ...delta, frontends: { set, removed: new Set() } };
    },
    release: gone => {
      const removed = new Set(gone.filter(key => held.delete(key)));
      return removed.size === 0
        ? undefined
        : { frontends: { set: NONE.set, removed }, backends: NONE, addresses: NONE };
    },
  };
}
