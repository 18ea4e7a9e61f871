/** What is wanted and what is there, by key, and the difference between the two: forty changes to one key cost one entry. */

import { SpreadMap } from './spreadMap.js';

/** What to write: what to put in, with what stands there now, and what to take out. */
export interface Delta<K, V> {
  readonly set: ReadonlyMap<K, { readonly value: V; readonly before: V | undefined }>;
  readonly removed: ReadonlyMap<K, V>;
}

/** Changes of what is wanted; a value of undefined takes the key out. */
export type WantedChanges<K, V> = Iterable<readonly [key: K, value: V | undefined]>;

export interface DeltaTable<K, V> {
  /** Wants these, in memory only. */
  want(changes: WantedChanges<K, V>): void;
  /** Wants exactly these. */
  wantAll(values: ReadonlyMap<K, V>): void;
  /** This is what is there, all of it. @returns keys of which something else was believed */
  found(values: ReadonlyMap<K, V>): readonly K[];
  /** What was written is there now. @param failed keys of the delta of which nothing may have changed */
  applied(delta: Delta<K, V>, failed: { has(key: K): boolean }): void;
  /** The difference, without keys for which `skip` answers true. */
  delta(skip?: (key: K) => boolean): Delta<K, V>;
  /** Wanted, and there. */
  isSettled(key: K): boolean;
  /** Keys that differ. */
  readonly pending: number;
  readonly present: Present<K, V>;
}

/** What is there, as far as is known, in no order. */
export interface Present<K, V> {
  get(key: K): V | undefined;
  has(key: K): boolean;
  keys(): Iterable<K>;
  entries(): Iterable<readonly [K, V]>;
}

/** @param equal whether writing the one over the other would change nothing */
export function createDeltaTable<K, V>(equal: (a: V, b: V) => boolean): DeltaTable<K, V> {
  return new Table(equal);
}

/** Both of one key where they are not the very same. */
class Pair<V> {
  constructor(
    public wanted: V | undefined,
    public present: V | undefined,
  ) {}
}

/** A key is in one of the two: this runs for each of hundreds of thousands of keys. */
class Table<K, V> implements DeltaTable<K, V> {
  /** Wanted and there: mostly the same value. */
  private readonly settled = new SpreadMap<K, V | Pair<V>>();
  private readonly differing = new Map<K, Pair<V>>();
  readonly present: Present<K, V>;

  constructor(private readonly equal: (a: V, b: V) => boolean) {
    const presentOf = (key: K): V | undefined => this.presentOf(key);
    this.present = {
      get: presentOf,
      has: key => presentOf(key) !== undefined,
      keys: () => this.presentKeys(),
      entries: () => this.presentEntries(),
    };
  }

  get pending(): number {
    return this.differing.size;
  }

  want(changes: WantedChanges<K, V>): void {
    // Without an array for each entry.
    if (changes instanceof Map) changes.forEach((value: V | undefined, key: K) => this.wantOne(key, value));
    else for (const [key, value] of changes) this.wantOne(key, value);
  }

  wantAll(values: ReadonlyMap<K, V>): void {
    const gone: K[] = [];
    for (const [key] of this.settled.entries()) if (!values.has(key)) gone.push(key);
    for (const [key, { wanted }] of this.differing) if (wanted !== undefined && !values.has(key)) gone.push(key);
    this.want(gone.map(key => [key, undefined]));
    this.want(values);
  }

  found(values: ReadonlyMap<K, V>): readonly K[] {
    const others = [...this.presentKeys()].filter(key => !values.has(key));
    for (const key of others) this.put(key, undefined);
    for (const [key, value] of values) {
      const before = this.presentOf(key);
      if (before !== undefined && this.equal(before, value)) continue;
      others.push(key);
      this.put(key, value);
    }
    return others;
  }

  applied(delta: Delta<K, V>, failed: { has(key: K): boolean }): void {
    delta.set.forEach(({ value }, key) => {
      if (!failed.has(key)) this.put(key, value);
    });
    delta.removed.forEach((_, key) => {
      if (!failed.has(key)) this.put(key, undefined);
    });
  }

  delta(skip?: (key: K) => boolean): Delta<K, V> {
    const set = new Map<K, { readonly value: V; readonly before: V | undefined }>();
    const removed = new Map<K, V>();
    this.differing.forEach(({ wanted, present }, key) => {
      if (skip?.(key) === true) return;
      if (wanted !== undefined) set.set(key, { value: wanted, before: present });
      else if (present !== undefined) removed.set(key, present);
    });
    return { set, removed };
  }

  isSettled(key: K): boolean {
    return this.settled.get(key) !== undefined;
  }

  private wantOne(key: K, value: V | undefined): void {
    const differing = this.differing.get(key);
    if (differing !== undefined) {
      this.update(key, differing, value, differing.present);
      return;
    }
    const stored = this.settled.get(key);
    this.enter(key, stored, value, stored instanceof Pair ? stored.present : stored);
  }

  private put(key: K, value: V | undefined): void {
    const differing = this.differing.get(key);
    if (differing !== undefined) {
      this.update(key, differing, differing.wanted, value);
      return;
    }
    const stored = this.settled.get(key);
    this.enter(key, stored, stored instanceof Pair ? stored.wanted : stored, value);
  }

  /** A key that did not differ. @param stored of it */
  private enter(key: K, stored: V | Pair<V> | undefined, wanted: V | undefined, present: V | undefined): void {
    if (this.isSame(wanted, present)) {
      if (wanted !== undefined) this.settled.set(key, wanted === present ? wanted : new Pair(wanted, present));
      return;
    }
    if (stored !== undefined) this.settled.delete(key);
    this.differing.set(key, new Pair(wanted, present));
  }

  /** A key that differed. */
  private update(key: K, pair: Pair<V>, wanted: V | undefined, present: V | undefined): void {
    pair.wanted = wanted;
    pair.present = present;
    if (!this.isSame(wanted, present)) return;
    this.differing.delete(key);
    if (wanted !== undefined) this.settled.set(key, wanted === present ? wanted : pair);
  }

  private isSame(wanted: V | undefined, present: V | undefined): boolean {
    if (wanted === undefined || present === undefined) return wanted === present;
    return wanted === present || this.equal(wanted, present);
  }

  private presentOf(key: K): V | undefined {
    const differing = this.differing.get(key);
    if (differing !== undefined) return differing.present;
    const stored = this.settled.get(key);
    return stored instanceof Pair ? stored.present : stored;
  }

  private *presentEntries(): Iterable<readonly [K, V]> {
    for (const [key, stored] of this.settled.entries()) {
      const present = stored instanceof Pair ? stored.present : stored;
      if (present !== undefined) yield [key, present];
    }
    for (const [key, { present }] of this.differing) if (present !== undefined) yield [key, present];
  }

  private *presentKeys(): Iterable<K> {
    for (const [key] of this.presentEntries()) yield key;
  }
}
