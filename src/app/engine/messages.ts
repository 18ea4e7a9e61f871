/** What crosses the border of an engine's thread: requests with their answers, and what the engine tells unasked. */

import type { IpAddress } from '../../core/ip.js';
import type {
  ApplyReport,
  EngineConfig,
  EngineEvent,
  EngineNetwork,
  EngineOptions,
  EnginePeer,
  NextHopState,
} from '../../engine/engineTypes.js';
import type { PeerDetail, PeerSummary, RouteQuery, RouterSummary, RouteView } from '../../engine/view.js';
import type { RibChanges } from '../../rib/changes.js';

/** How a list differs from the one before, by numbers that the sender gives its members. */
export interface ListChange<T> {
  readonly set: readonly (readonly [number, T])[];
  readonly removed: readonly number[];
}

export type ConfigBase = Omit<EngineConfig, 'peers' | 'networks'>;

/** A configuration: its long lists as what changed in them, because a cluster has thousands of peers and networks. */
export interface ConfigChange {
  /** Undefined: the same as before. */
  readonly base: ConfigBase | undefined;
  readonly peers: ListChange<EnginePeer>;
  readonly networks: ListChange<EngineNetwork>;
}

export type EngineRequest =
  | { readonly kind: 'apply'; readonly change: ConfigChange }
  | { readonly kind: 'setNextHops'; readonly states: readonly NextHopState[] }
  | { readonly kind: 'drain'; readonly on: boolean }
  | { readonly kind: 'stop'; readonly how: 'shutdown' | 'gracefulRestart'; readonly message: string | undefined }
  | { readonly kind: 'summary' }
  | { readonly kind: 'peers' }
  | { readonly kind: 'peer'; readonly name: string }
  | { readonly kind: 'list'; readonly list: RouteList; readonly query: RouteQuery }
  | { readonly kind: 'more'; readonly listing: number }
  | { readonly kind: 'close'; readonly listing: number }
  | { readonly kind: 'disable' | 'reset'; readonly name: string; readonly message: string | undefined }
  | { readonly kind: 'enable'; readonly name: string }
  | { readonly kind: 'refresh'; readonly name: string; readonly direction: 'in' | 'out' };

export type RouteList = { readonly of: 'routes' } | { readonly of: 'adjIn' | 'adjOut'; readonly peer: string };

/** A piece of a listing; the next one is asked for by its number, which is undefined after the last. */
export interface Piece {
  readonly items: readonly RouteView[];
  readonly listing: number | undefined;
}

export interface EngineAnswers {
  readonly apply: ApplyReport;
  readonly setNextHops: undefined;
  readonly drain: undefined;
  readonly stop: undefined;
  readonly summary: RouterSummary;
  readonly peers: readonly PeerSummary[];
  readonly peer: PeerDetail | undefined;
  /** Undefined: no such peer. */
  readonly list: Piece | undefined;
  readonly more: Piece;
  readonly close: undefined;
  readonly disable: boolean;
  readonly reset: boolean;
  readonly enable: boolean;
  readonly refresh: boolean;
}

/** Puts a request to an engine, wherever it runs. Requests are carried out in the order they are made. */
export type AskEngine = <R extends EngineRequest>(request: R) => Promise<EngineAnswers[R['kind']]>;

export type ToEngine = { readonly id: number; readonly request: EngineRequest };

export type FromEngine =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  /** The engine threw: text and stack of what it threw. */
  | { readonly kind: 'failure'; readonly id: number; readonly text: string }
  | { readonly kind: 'changes'; readonly batch: RibChanges }
  | { readonly kind: 'event'; readonly event: EngineEvent }
  | { readonly kind: 'nextHops'; readonly added: readonly IpAddress[]; readonly removed: readonly IpAddress[] };

/** What the thread is started with. */
export interface EngineThreadData {
  readonly trackNextHops: boolean;
  readonly expectedRoutes: EngineOptions['expectedRoutes'];
  /** Whether best paths are wanted for the kernel. */
  readonly changes: boolean;
}
