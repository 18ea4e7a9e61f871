/**
 * Frontends of addresses that services give up: they stay in the kernel until the withdrawal of the address has had time
 * to turn traffic away. Pure.
 */

import type { IpText } from '../../kube/objectTypes.js';
import type {
  Frontend,
  FrontendKey,
  KeyedChange,
  ProxyDelta,
  ServiceAddress,
  ServicePortKey,
} from '../../proxy/proxyTypes.js';

export interface Retirement {
  /** @returns what to write now, and addresses to ask for whether their frontends may go */
  hold(delta: ProxyDelta): { readonly delta: ProxyDelta; readonly retiring: readonly IpText[] };
  /** These may go. @returns what to write for it */
  release(addresses: Iterable<string>): ProxyDelta;
}

interface State {
  /** What was handed on, and not taken back: what the kernel shall have. */
  readonly frontends: Map<FrontendKey, Frontend>;
  readonly held: Map<string, Set<FrontendKey>>;
  /** Lists that are wanted for held frontends only. */
  readonly heldLists: Set<ServicePortKey>;
}

export function createRetirement(): Retirement {
  const state: State = { frontends: new Map(), held: new Map(), heldLists: new Set() };
  return {
    hold: delta => {
      const next = withoutHeld(state, delta);
      follow(state.frontends, next.frontends);
      return { delta: next, retiring: [...delta.addresses.removed] };
    },
    release: addresses => {
      const removed = new Set<FrontendKey>();
      const gone = new Set<IpText>();
      for (const address of addresses) {
        const keys = state.held.get(address);
        if (keys === undefined) continue;
        state.held.delete(address);
        gone.add(address as IpText);
        for (const key of keys) if (state.frontends.delete(key)) removed.add(key);
      }
      return {
        frontends: { set: new Map(), removed },
        backends: { set: new Map(), removed: unusedLists(state) },
        addresses: { set: new Map(), removed: gone },
      };
    },
  };
}

function withoutHeld(state: State, { frontends, backends, addresses }: ProxyDelta): ProxyDelta {
  const { held, heldLists } = state;
  const removed = new Set(frontends.removed);
  for (const address of addresses.removed) held.set(address, held.get(address) ?? new Set());
  // An address that is wanted again keeps nothing of the past.
  for (const address of addresses.set.keys()) {
    for (const key of held.get(address) ?? []) if (!frontends.set.has(key)) removed.add(key);
    held.delete(address);
  }
  for (const key of frontends.removed) {
    const address = state.frontends.get(key)?.address;
    const keys = address === undefined ? undefined : held.get(address);
    if (keys === undefined) continue;
    keys.add(key);
    removed.delete(key);
  }
  for (const key of backends.removed) heldLists.add(key);
  for (const key of backends.set.keys()) heldLists.delete(key);
  const left = [...removed].filter(key => state.frontends.has(key));
  for (const key of left) state.frontends.delete(key);
  return {
    frontends: { set: frontends.set, removed: new Set(left) },
    backends: { set: backends.set, removed: unusedLists(state, frontends.set) },
    addresses: { set: addresses.set, removed: new Set() },
  };
}

/** Lists that no frontend is left for. */
function unusedLists(
  { frontends, held, heldLists }: State,
  coming: ReadonlyMap<FrontendKey, Frontend> = new Map(),
): ReadonlySet<ServicePortKey> {
  if (heldLists.size === 0) return new Set();
  const used = new Set<ServicePortKey>();
  for (const keys of held.values())
    for (const key of keys) {
      const frontend = coming.get(key) ?? frontends.get(key);
      if (frontend !== undefined) used.add(frontend.servicePort);
    }
  const unused = [...heldLists].filter(key => !used.has(key));
  for (const key of unused) heldLists.delete(key);
  return new Set(unused);
}

function follow(map: Map<FrontendKey, Frontend>, { set, removed }: KeyedChange<FrontendKey, Frontend>): void {
  for (const key of removed) map.delete(key);
  for (const [key, value] of set) map.set(key, value);
}

/** For whoever wants nothing held: all addresses of a delta, as prefix texts of announcements. */
export function announcementKey({ address, family }: Pick<ServiceAddress, 'address' | 'family'>): string {
  return `${address}/${family === 4 ? 32 : 128}`;
}
