/** The reader of the journal on behalf of the kernel: best paths with their multipath sets, as batches of typed arrays. */

import { growU32 } from '../core/columns.js';
import type { IpAddress } from '../core/ip.js';
import type { AttributeStore } from './attributeStore.js';
import type { NextHopSet, RibChanges } from './changes.js';
import type { DecisionProcess } from './decision.js';
import type { JournalReader } from './journal.js';
import type { LocRib } from './locRib.js';
import { SELF_NEXT_HOP, type NextHopId, type NextHops } from './nextHops.js';
import type { PathTable } from './pathTable.js';
import { LOCAL_PEER } from './peerTable.js';

/** Most changes in one batch. */
const BATCH = 1 << 13;
/** More next hops for one prefix than anybody configures. */
const MAX_PATHS = 256;

interface SetEntry {
  readonly id: number;
  readonly members: readonly NextHopId[];
  prefixes: number;
}

/** Next-hop sets by content, for both families. An id, once given, never stands for another set. */
export class NextHopSets {
  private readonly single = new Map<number, SetEntry>();
  private readonly several = new Map<string, SetEntry>();
  private readonly byId = new Map<number, SetEntry>();
  private nextId = 1;

  constructor(private readonly nextHops: NextHops) {}

  /** The set of the first `count` ids, made when new. @param made told of a new set */
  idOf(members: Uint32Array, count: number, made: (set: NextHopSet) => void): number {
    const key = count === 1 ? '' : members.slice(0, count).sort().join();
    const known = count === 1 ? this.single.get(members[0]!) : this.several.get(key);
    if (known !== undefined) return known.id;
    const ids = Array.from(members.subarray(0, count), id => id as NextHopId);
    const entry: SetEntry = { id: this.nextId++, members: ids, prefixes: 0 };
    for (const id of ids) this.nextHops.retain(id);
    if (count === 1) this.single.set(ids[0]!, entry);
    else this.several.set(key, entry);
    this.byId.set(entry.id, entry);
    made({ id: entry.id, nextHops: ids.map((id): IpAddress => this.nextHops.forwardingAddress(id)) });
    return entry.id;
  }

  retain(id: number): void {
    this.byId.get(id)!.prefixes++;
  }

  release(id: number): void {
    const entry = this.byId.get(id)!;
    if (--entry.prefixes > 0) return;
    this.byId.delete(id);
    if (entry.members.length === 1) this.single.delete(entry.members[0]!);
    else this.several.delete(Uint32Array.from(entry.members).sort().join());
    for (const member of entry.members) this.nextHops.release(member);
  }
}

export class KernelFeed {
  /** By prefix: the next-hop set told last, 0 for none. */
  private told: Uint32Array;
  private readonly reader: JournalReader;
  private readonly rows = new Uint32Array(MAX_PATHS);
  private readonly members = new Uint32Array(MAX_PATHS);

  constructor(
    private readonly rib: LocRib,
    private readonly paths: PathTable,
    private readonly attributes: AttributeStore,
    private readonly sets: NextHopSets,
    private readonly emit: (batch: RibChanges) => void,
  ) {
    this.told = new Uint32Array(rib.prefixes.capacity);
    this.reader = rib.journal.open();
  }

  /** Emits at most one batch. @returns true when more waits */
  advance(decision: DecisionProcess): boolean {
    const { journal, prefixes } = this.rib;
    if (this.reader.cursor >= journal.length) return false;
    if (prefixes.capacity > this.told.length) this.told = growU32(this.told, prefixes.capacity);
    const end = Math.min(journal.length, this.reader.cursor + BATCH);
    const room = end - this.reader.cursor;
    const addresses = new Uint32Array(room * prefixes.stride);
    const lengths = new Uint8Array(room);
    const nextHopSets = new Uint32Array(room);
    const definitions: NextHopSet[] = [];
    let count = 0;
    for (let i = this.reader.cursor; i < end; i++) {
      if (!journal.isLast(i)) continue;
      const prefix = journal.entries[i]!;
      const set = this.setOf(prefix, decision, definitions);
      const old = this.told[prefix]!;
      if (set === old) continue;
      if (set !== 0) this.sets.retain(set);
      if (old !== 0) this.sets.release(old);
      this.told[prefix] = set;
      for (let w = 0; w < prefixes.stride; w++)
        addresses[count * prefixes.stride + w] = prefixes.words[prefix * prefixes.stride + w]!;
      lengths[count] = prefixes.lengths[prefix]!;
      nextHopSets[count++] = set;
    }
    this.reader.cursor = end;
    if (count > 0) {
      this.emit({
        family: this.rib.family,
        count,
        addresses: addresses.subarray(0, count * prefixes.stride),
        lengths: lengths.subarray(0, count),
        nextHopSets: nextHopSets.subarray(0, count),
        definitions,
      });
    }
    return this.reader.cursor < journal.length;
  }

  /** The next-hop set of a prefix now; 0 for none, and for networks of our own, which the kernel knows without us. */
  private setOf(prefix: number, decision: DecisionProcess, definitions: NextHopSet[]): number {
    const best = this.rib.best[prefix]!;
    if (best === 0 || this.paths.peer[best] === LOCAL_PEER) return 0;
    const count = decision.multipath(this.rib.head[prefix]!, best, this.rows);
    let distinct = 0;
    for (let i = 0; i < count; i++) {
      const nextHop = this.attributes.nextHop[this.paths.attr[this.rows[i]!]!]!;
      if (nextHop === SELF_NEXT_HOP || this.members.subarray(0, distinct).includes(nextHop)) continue;
      this.members[distinct++] = nextHop;
    }
    return distinct === 0 ? 0 : this.sets.idOf(this.members, distinct, set => definitions.push(set));
  }
}
