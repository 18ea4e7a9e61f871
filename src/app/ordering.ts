/**
 * The order between data planes and announcements: an address is announced only while every data plane serves it, and a
 * plane takes it out only after it has been withdrawn and traffic had time to turn away.
 *
 * A plane (the service proxy, a tunnel) plugs in so:
 *   const plane = ordering.register('proxy', keys => takeOut(keys));
 *   plane.programmed(keys)  these addresses are in the kernel
 *   plane.retire(keys)      it wants to take these out; the callback says when it may
 *   plane.lost(keys)        these are gone already, whyever
 *   plane.synced()          it has looked at everything there was at the start
 * Keys are prefix texts, as in routing's intent. Without planes an address is announced at once.
 */

import type { Clock, TimerHandle } from '../core/clock.js';
import type { KeyedDelta } from '../routing/intent.js';

export interface Plane {
  programmed(keys: Iterable<string>): void;
  retire(keys: Iterable<string>): void;
  lost(keys: Iterable<string>): void;
  synced(): void;
  /** It is no plane any more: nothing waits for it. */
  close(): void;
}

/** What BGP waits for at the start, and no address ever after: policies in the kernel. */
export interface StartGate {
  open(): void;
}

export interface Ordering<T> {
  /** What routing wants announced. @returns what to announce and withdraw right now; the rest comes through `changed` */
  want(delta: KeyedDelta<T>): KeyedDelta<T>;
  /** @param release told which keys may be taken out */
  register(name: string, release: (keys: readonly string[]) => void): Plane;
  /** `isSettled` waits until it is open. */
  gate(): StartGate;
  /** Every plane has said `synced`, and every gate is open. What is missing now is missing on purpose. */
  readonly isSettled: boolean;
  /** On: withdraws everything and announces nothing until it is off again. Planes go on serving. */
  hold(isOn: boolean): void;
}

export interface OrderingOptions<T> {
  readonly clock: Clock;
  /** Milliseconds that traffic has to turn away after a withdrawal. */
  readonly settleTime: number;
  /** Told what to announce and withdraw, outside of `want`. */
  readonly changed: (delta: KeyedDelta<T>) => void;
  /** Told when `isSettled` has become true. */
  readonly settled?: () => void;
}

interface PlaneState {
  readonly release: (keys: readonly string[]) => void;
  readonly serves: Set<string>;
  readonly retiring: Set<string>;
  isSynced: boolean;
}

interface State<T> extends OrderingOptions<T> {
  readonly wanted: Map<string, T>;
  readonly announced: Map<string, T>;
  /** When a key was withdrawn, until it has settled. */
  readonly withdrawnAt: Map<string, number>;
  readonly planes: Map<string, PlaneState>;
  readonly gates: Set<StartGate>;
  isHeld: boolean;
  timer: TimerHandle | undefined;
}

export function createOrdering<T>(options: OrderingOptions<T>): Ordering<T> {
  const state: State<T> = {
    ...options,
    wanted: new Map(),
    announced: new Map(),
    withdrawnAt: new Map(),
    planes: new Map(),
    gates: new Set(),
    isHeld: false,
    timer: undefined,
  };
  return {
    want: ({ set, removed }) => {
      for (const key of removed) state.wanted.delete(key);
      for (const [key, value] of set) state.wanted.set(key, value);
      const delta = review(state, new Set([...removed, ...set.keys()]));
      letGo(state);
      return delta;
    },
    register: (name, release) => register(state, name, release),
    gate: () => {
      const gate = { open: () => settling(state, () => state.gates.delete(gate)) };
      state.gates.add(gate);
      return gate;
    },
    get isSettled() {
      return isSettled(state);
    },
    hold: isOn => {
      state.isHeld = isOn;
      tell(state, state.wanted.keys());
    },
  };
}

function register<T>(state: State<T>, name: string, release: PlaneState['release']): Plane {
  if (state.planes.has(name)) throw new Error(`there is a data plane "${name}" already`);
  const plane: PlaneState = { release, serves: new Set(), retiring: new Set(), isSynced: false };
  state.planes.set(name, plane);
  tell(state, [...state.announced.keys()]);
  return {
    programmed: keys => {
      const news = [...keys];
      for (const key of news) {
        plane.serves.add(key);
        plane.retiring.delete(key);
      }
      tell(state, news);
    },
    retire: keys => {
      const news = [...keys];
      for (const key of news) plane.retiring.add(key);
      tell(state, news);
    },
    lost: keys => {
      const news = [...keys];
      for (const key of news) {
        plane.serves.delete(key);
        plane.retiring.delete(key);
      }
      tell(state, news);
    },
    synced: () => settling(state, () => (plane.isSynced = true)),
    close: () =>
      settling(state, () => {
        state.planes.delete(name);
        tell(state, state.wanted.keys());
      }),
  };
}

function settling<T>(state: State<T>, change: () => void): void {
  const wasSettled = isSettled(state);
  change();
  if (!wasSettled && isSettled(state)) state.settled?.();
}

function isSettled<T>({ planes, gates }: State<T>): boolean {
  return gates.size === 0 && [...planes.values()].every(plane => plane.isSynced);
}

/** Looks at some keys again, tells what changed, and gives planes the permissions that are due. */
function tell<T>(state: State<T>, keys: Iterable<string>): void {
  const delta = review(state, keys);
  if (delta.set.size + delta.removed.size > 0) state.changed(delta);
  letGo(state);
}

/** Brings the announcements of some keys to what they shall be. */
function review<T>(state: State<T>, keys: Iterable<string>): KeyedDelta<T> {
  const set = new Map<string, T>();
  const removed = new Set<string>();
  for (const key of keys) {
    const value = announceable(state, key);
    if (value === state.announced.get(key)) continue;
    if (value === undefined) {
      state.announced.delete(key);
      state.withdrawnAt.set(key, state.clock.now());
      removed.add(key);
    } else {
      state.announced.set(key, value);
      state.withdrawnAt.delete(key);
      set.set(key, value);
    }
  }
  return { set, removed };
}

function announceable<T>({ wanted, planes, isHeld }: State<T>, key: string): T | undefined {
  const isServed = [...planes.values()].every(plane => plane.serves.has(key) && !plane.retiring.has(key));
  return isServed && !isHeld ? wanted.get(key) : undefined;
}

/** Lets planes take out what has been withdrawn for long enough, and comes back when the next is due. */
function letGo<T>(state: State<T>): void {
  const { clock, withdrawnAt, settleTime, planes, announced } = state;
  const now = clock.now();
  for (const [key, at] of withdrawnAt) if (at + settleTime <= now) withdrawnAt.delete(key);
  const releases = [...planes.values()].map(plane => {
    const keys = [...plane.retiring].filter(key => !announced.has(key) && !withdrawnAt.has(key));
    for (const key of keys) {
      plane.retiring.delete(key);
      plane.serves.delete(key);
    }
    return { plane, keys };
  });
  wakeUp(state, now);
  // Last: a plane may answer at once.
  for (const { plane, keys } of releases) if (keys.length > 0) plane.release(keys);
}

function wakeUp<T>(state: State<T>, now: number): void {
  const { clock, withdrawnAt, settleTime, timer } = state;
  if (timer !== undefined) clock.clearTimeout(timer);
  // Withdrawals are noted in order of time.
  const [first] = withdrawnAt.values();
  state.timer = first === undefined ? undefined : clock.setTimeout(() => letGo(state), first + settleTime - now);
}
