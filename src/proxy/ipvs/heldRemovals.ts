/**
 * Frontends with source ranges leave the firewall when their servers have gone: the other way round a server would be open to
 * all for a moment. Pure.
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
  const restricted = new Set<FrontendKey>();
  const held = new Set<FrontendKey>();
  return {
    hold: delta => {
      const { set, removed } = delta.frontends;
      const now = new Set(removed);
      for (const key of removed)
        if (restricted.delete(key)) {
          held.add(key);
          now.delete(key);
        }
      for (const [key, { sourceRanges }] of set) {
        held.delete(key);
        if (sourceRanges === undefined) restricted.delete(key);
        else restricted.add(key);
      }
      return now.size === removed.size ? delta : { ...delta, frontends: { set, removed: now } };
    },
    release: gone => {
      const removed = new Set(gone.filter(key => held.delete(key)));
      return removed.size === 0
        ? undefined
        : { frontends: { set: NONE.set, removed }, backends: NONE, addresses: NONE };
    },
  };
}
