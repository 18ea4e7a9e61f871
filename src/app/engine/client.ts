/** An engine as the rest of the program uses it, wherever it runs. */

import type { Answered } from '../../api/view.js';
import type { ApplyReport, EngineConfig, EngineNetwork, EnginePeer, NextHopState } from '../../engine/engineTypes.js';
import type { PeerDetail, PeerSummary, RouteQuery, RouterSummary, RouteView } from '../../engine/view.js';
import { ListSender } from './listChange.js';
import type { AskEngine, ConfigBase, Piece, RouteList } from './messages.js';

export interface EngineClient {
  /** Peers and networks that stay the same must be the same objects as last time; others count as changed. */
  apply(config: EngineConfig): Promise<ApplyReport>;
  setNextHops(states: readonly NextHopState[]): void;
  /** See Engine.drain. */
  drain(on: boolean): Promise<void>;
  /** See Engine.stop. The engine cannot be used afterwards. */
  stop(how: 'shutdown' | 'gracefulRestart', message?: string): Promise<void>;
  summary(): Promise<RouterSummary>;
  peers(): Promise<readonly PeerSummary[]>;
  peer(name: string): Promise<PeerDetail | undefined>;
  routes(query: RouteQuery): AsyncIterable<RouteView>;
  adjIn(peer: string, query: RouteQuery): Promise<AsyncIterable<RouteView> | undefined>;
  adjOut(peer: string, query: RouteQuery): Promise<AsyncIterable<RouteView> | undefined>;
  disablePeer(name: string, message: string | undefined): Promise<boolean>;
  enablePeer(name: string): Promise<boolean>;
  resetPeer(name: string, message: string | undefined): Promise<boolean>;
  refreshPeer(name: string, direction: 'in' | 'out'): Promise<boolean>;
}

/** @param ask puts a request to the engine @param end frees the engine's thread, if it has one */
export function createEngineClient(ask: AskEngine, end: () => Answered<unknown>): EngineClient {
  const peers = new ListSender<EnginePeer>();
  const networks = new ListSender<EngineNetwork>();
  let former: ConfigBase | undefined;
  const listOf = async (list: RouteList, query: RouteQuery): Promise<AsyncIterable<RouteView> | undefined> => {
    const first = await ask({ kind: 'list', list, query });
    return first === undefined ? undefined : pieces(ask, first);
  };
  return {
    apply: ({ peers: allPeers, networks: allNetworks, ...base }) => {
      const isSame = former !== undefined && sameParts(former, base);
      former = base;
      const lists = { peers: peers.change(allPeers), networks: networks.change(allNetworks) };
      return ask({ kind: 'apply', change: { base: isSame ? undefined : base, ...lists } });
    },
    setNextHops: states => {
      if (states.length > 0) void ask({ kind: 'setNextHops', states });
    },
    drain: on => ask({ kind: 'drain', on }),
    stop: async (how, message) => {
      await ask({ kind: 'stop', how, message });
      await end();
    },
    summary: () => ask({ kind: 'summary' }),
    peers: () => ask({ kind: 'peers' }),
    peer: name => ask({ kind: 'peer', name }),
    routes: query => allOf(listOf({ of: 'routes' }, query)),
    adjIn: (peer, query) => listOf({ of: 'adjIn', peer }, query),
    adjOut: (peer, query) => listOf({ of: 'adjOut', peer }, query),
    disablePeer: (name, message) => ask({ kind: 'disable', name, message }),
    enablePeer: name => ask({ kind: 'enable', name }),
    resetPeer: (name, message) => ask({ kind: 'reset', name, message }),
    refreshPeer: (name, direction) => ask({ kind: 'refresh', name, direction }),
  };
}

/** Shallow: parts that stay the same are the same objects. */
function sameParts(a: ConfigBase, b: ConfigBase): boolean {
  const [before, after] = [new Map<string, unknown>(Object.entries(a)), Object.entries(b)];
  return before.size === after.length && after.every(([key, part]) => before.get(key) === part);
}

async function* allOf(listing: Promise<AsyncIterable<RouteView> | undefined>): AsyncIterable<RouteView> {
  const routes = await listing;
  if (routes !== undefined) yield* routes;
}

/** Asks for piece after piece; a reader that stops early frees the listing. */
async function* pieces(ask: AskEngine, first: Piece): AsyncIterable<RouteView> {
  let { items, listing } = first;
  try {
    for (;;) {
      yield* items;
      if (listing === undefined) return;
      ({ items, listing } = await ask({ kind: 'more', listing }));
    }
  } finally {
    if (listing !== undefined) void ask({ kind: 'close', listing });
  }
}
