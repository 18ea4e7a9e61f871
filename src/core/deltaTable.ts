/** What is wanted and what is there, by key, and the difference between the two: forty changes to one key cost one entry. */

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
  readonly wanted: ReadonlyMap<K, V>;
  readonly present: ReadonlyMap<K, V>;
}

/** @param equal whether writing the one over the other would change nothing */
export function createDeltaTable<K, V>(equal: (a: V, b: V) => boolean): DeltaTable<K, V> {
  return new Table(equal);
}

class Table<K, V> implements DeltaTable<K, V> {
  readonly wanted = new Map<K, V>();
  readonly present = new Map<K, V>();
  private readonly differing = new Set<K>();

  constructor(private readonly equal: (a: V, b: V) => boolean) {}

  get pending(): number {
    return this.differing.size;
  }

  want(changes: WantedChanges<K, V>): void {
    for (const [key, value] of changes) {
      if (value === undefined) this.wanted.delete(key);
      else this.wanted.set(key, value);
      this.compare(key, value, this.present.get(key));
    }
  }

  wantAll(values: ReadonlyMap<K, V>): void {
    this.want([...this.wanted.keys()].flatMap(key => (values.has(key) ? [] : [[key, undefined] as const])));
    this.want(values);
  }

  found(values: ReadonlyMap<K, V>): readonly K[] {
    const others = [...this.present.keys()].filter(key => !values.has(key));
    for (const key of others) this.put(key, undefined);
    for (const [key, value] of values) {
      const before = this.present.get(key);
      if (before !== undefined && this.equal(before, value)) continue;
      others.push(key);
      this.put(key, value);
    }
    return others;
  }

  applied(delta: Delta<K, V>, failed: { has(key: K): boolean }): void {
    for (const [key, { value }] of delta.set) if (!failed.has(key)) this.put(key, value);
    for (const key of delta.removed.keys()) if (!failed.has(key)) this.put(key, undefined);
  }

  delta(skip: (key: K) => boolean = () => false): Delta<K, V> {
    const set = new Map<K, { readonly value: V; readonly before: V | undefined }>();
    const removed = new Map<K, V>();
    for (const key of this.differing) {
      if (skip(key)) continue;
      const [value, before] = [this.wanted.get(key), this.present.get(key)];
      if (value !== undefined) set.set(key, { value, before });
      else if (before !== undefined) removed.set(key, before);
    }
    return { set, removed };
  }

  isSettled(key: K): boolean {
    return this.wanted.has(key) && !this.differing.has(key);
  }

  private put(key: K, value: V | undefined): void {
    if (value === undefined) this.present.delete(key);
    else this.present.set(key, value);
    this.compare(key, this.wanted.get(key), value);
  }

  /** This runs for each of hundreds of thousands of keys, so nothing is looked up that the caller has in hand. */
  private compare(key: K, wanted: V | undefined, present: V | undefined): void {
    const same =
      wanted === undefined || present === undefined
        ? wanted === present
        : wanted === present || this.equal(wanted, present);
    if (same) this.differing.delete(key);
    else this.differing.add(key);
  }
}
