/** Carries out requests on an engine: the side of the border where the engine is. */

import { assertNever } from '../../core/assertNever.js';
import type { Engine, EngineNetwork, EnginePeer } from '../../engine/engineTypes.js';
import type { RouteQuery, RouteView } from '../../engine/view.js';
import { ListReceiver } from './listChange.js';
import type { ConfigBase, ConfigChange, EngineRequest, Piece, RouteList } from './messages.js';

/** Milliseconds of listing in one piece: sessions get their turn in between. */
const PIECE_TIME = 2;
/** Routes in one piece, whatever time is left: what crosses a thread is copied in one go. */
const PIECE_ROUTES = 2000;

/** @returns a function that carries out one request; what it answers fits {@link EngineAnswers} */
export function createEngineService(engine: Engine): (request: EngineRequest) => unknown {
  const peers = new ListReceiver<EnginePeer>();
  const networks = new ListReceiver<EngineNetwork>();
  const listings = new Listings();
  let base: ConfigBase | undefined;
  const apply = (change: ConfigChange): unknown => {
    base = change.base ?? base;
    if (base === undefined) throw new Error('the first configuration came without its base');
    return engine.apply({ ...base, peers: peers.apply(change.peers), networks: networks.apply(change.networks) });
  };

  return request => {
    switch (request.kind) {
      case 'apply':
        return apply(request.change);
      case 'setNextHops': {
        engine.setNextHops(request.states);
        return;
      }
      case 'drain': {
        engine.drain(request.on);
        return;
      }
      case 'stop':
        return engine.stop(request.how, request.message);
      case 'summary':
        return engine.summary();
      case 'peers':
        return engine.peers();
      case 'peer':
        return engine.peer(request.name);
      case 'list':
        return listings.open(routesOf(engine, request.list, request.query));
      case 'more':
        return listings.more(request.listing);
      case 'close': {
        listings.close(request.listing);
        return;
      }
      case 'disable':
        return engine.disablePeer(request.name, request.message);
      case 'reset':
        return engine.resetPeer(request.name, request.message);
      case 'enable':
        return engine.enablePeer(request.name);
      case 'refresh':
        return engine.refreshPeer(request.name, request.direction);
      default:
        return assertNever(request);
    }
  };
}

function routesOf(engine: Engine, list: RouteList, query: RouteQuery): Iterable<RouteView> | undefined {
  switch (list.of) {
    case 'routes':
      return engine.routes(query);
    case 'adjIn':
      return engine.adjIn(list.peer, query);
    case 'adjOut':
      return engine.adjOut(list.peer, query);
    default:
      return assertNever(list);
  }
}

/** Listings under way: each stays where it is until its reader asks for more. */
class Listings {
  private readonly under = new Map<number, Iterator<RouteView>>();
  private next = 1;

  open(routes: Iterable<RouteView> | undefined): Piece | undefined {
    if (routes === undefined) return undefined;
    const listing = this.next++;
    this.under.set(listing, routes[Symbol.iterator]());
    return this.more(listing);
  }

  more(listing: number): Piece {
    const iterator = this.under.get(listing);
    if (iterator === undefined) return { items: [], listing: undefined };
    const items: RouteView[] = [];
    const until = performance.now() + PIECE_TIME;
    while (items.length < PIECE_ROUTES && performance.now() < until) {
      const next = iterator.next();
      if (next.done === true) {
        this.under.delete(listing);
        return { items, listing: undefined };
      }
      items.push(next.value);
    }
    return { items, listing };
  }

  close(listing: number): undefined {
    this.under.get(listing)?.return?.();
    this.under.delete(listing);
  }
}
