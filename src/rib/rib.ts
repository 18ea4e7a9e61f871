/**
 * The RIB as the engine sees it: peers in, UPDATEs in, work in slices, update groups and kernel batches out.
 *
 * Nothing here waits or has a timer: `receive` and `decide` run while a socket is read, `pump` does the rest in slices
 * of about a millisecond, so that keepalives are never late.
 */

import type { PerFamily } from '../bgp/families.js';
import type { UpdateFraming } from '../bgp/updateFraming.js';
import type { UpdateRecord } from '../bgp/updateRecord.js';
import { octetsOf, type MakeResident } from '../core/columns.js';
import type { IpAddress } from '../core/ip.js';
import { AttributeStore } from './attributeStore.js';
import type { RibChanges } from './changes.js';
import { DecisionProcess, type DecisionOptions } from './decision.js';
import type { ExportAudience } from './exportRules.js';
import { KernelFeed, NextHopSets } from './kernelFeed.js';
import { LocRib, type Sweep } from './locRib.js';
import { NextHops, type NextHopId } from './nextHops.js';
import { RecentNextHops } from './recentNextHops.js';
import { applyNlri, WITHDRAW } from './nlri.js';
import { PathFlag, PathTable } from './pathTable.js';
import { PeerTable, type PeerFacts, type PeerId } from './peerTable.js';
import type { ExportFilter } from './policy/exportFilter.js';
import type { ImportFilter } from './policy/importFilter.js';
import { UpdateBatch } from './updateBatch.js';
import { emptyOut, UpdateGroup, type FormerGroup, type MemberSink, type OutColumns } from './updateGroup.js';

export interface RibOptions {
  readonly routerId: number;
  /** See {@link NextHops}. */
  readonly trackNextHops: boolean;
  readonly decision: DecisionOptions;
  /** Receives best paths for the kernel; absent: none are prepared. */
  readonly kernel?: (batch: RibChanges) => void;
  /** What to have room and memory for before the first route comes. */
  readonly reserve?: Reserve;
  /** Prefixes, paths and sets of attributes that the columns have room for at first, a power of two; the Internet's table. */
  readonly firstCapacity?: number;
}

export interface Reserve {
  /** Prefixes that are expected. */
  readonly routes: PerFamily<number>;
  readonly makeResident: MakeResident;
}

/** Prefixes that share a set of attributes in the Internet's table, at the least. */
const PREFIXES_PER_SET = 6;

/** What the meaning of a session's routes depends on besides the UPDATE itself. */
export interface ReceiveContext {
  readonly addPath: PerFamily<boolean>;
  readonly allowOwnAs: number;
  /** Link the peer is on, for its link-local next hops. */
  readonly zone: string | undefined;
  /** Import policies by family; absent: routes are taken as they are. */
  readonly filters?: PerFamily<ImportFilter | undefined>;
}

/** What joining an update group may bring along. */
export interface JoinOptions {
  /** Export policy, made when the group is new; the group's key must tell it from others. */
  readonly filter?: (() => ExportFilter | undefined) | undefined;
  /** What the peer has been told by another group that it has just left. */
  readonly former?: FormerGroup | undefined;
}

/** Whether and how far a next hop can be reached. */
export interface NextHopState {
  readonly address: IpAddress;
  readonly reachable: boolean;
  readonly metric: number;
}

/** Long work that is done in slices: where it goes on. */
interface Task {
  readonly rib: LocRib;
  /** Peer whose rows are swept; undefined for work on next hops. */
  readonly peer: PeerId | undefined;
  /** @returns the next place, 0 when done */
  step(from: number): number;
  from: number;
  readonly done: () => void;
}

export class Rib {
  readonly nextHops: NextHops;
  readonly attributes: AttributeStore;
  readonly peers: PeerTable;
  readonly families: PerFamily<LocRib>;

  private readonly decisions: [DecisionProcess, DecisionProcess];
  private readonly batches: PerFamily<UpdateBatch>;
  private readonly feeds: readonly KernelFeed[];
  private readonly groups = new Map<string, { readonly group: UpdateGroup; readonly number: number }>();
  private readonly tasks: Task[] = [];
  /** Filters that hold on to attributes since the last decision. */
  private readonly busyFilters = new Set<ImportFilter>();
  private groupsMade = 0;
  /** Reserved for the first update group of each family. */
  private readonly spareOut: [OutColumns | undefined, OutColumns | undefined] = [undefined, undefined];
  private readonly recentNextHops: RecentNextHops;

  constructor(options: RibOptions) {
    this.nextHops = new NextHops(options.trackNextHops);
    this.recentNextHops = new RecentNextHops(this.nextHops);
    this.attributes = new AttributeStore(this.nextHops, options.firstCapacity);
    this.peers = new PeerTable(options.routerId);
    const { firstCapacity } = options;
    const ribs = ([0, 1] as const).map(
      family => new LocRib(family, new PathTable(firstCapacity), this.attributes, firstCapacity),
    );
    this.families = [ribs[0]!, ribs[1]!];
    this.decisions = [this.decisionFor(ribs[0]!, options.decision), this.decisionFor(ribs[1]!, options.decision)];
    const batch = (rib: LocRib): UpdateBatch =>
      new UpdateBatch(rib.prefixes, this.attributes, this.nextHops, this.peers);
    this.batches = [batch(ribs[0]!), batch(ribs[1]!)];
    const sets = new NextHopSets(this.nextHops);
    const { kernel } = options;
    this.feeds =
      kernel === undefined ? [] : ribs.map(rib => new KernelFeed(rib, rib.paths, this.attributes, sets, kernel));
    if (options.reserve !== undefined) this.reserve(options.reserve);
  }

  private reserve({ routes, makeResident }: Reserve): void {
    const sets = Math.ceil((routes[0] + routes[1]) / PREFIXES_PER_SET);
    if (sets > 0) this.attributes.reserve(sets, makeResident);
    this.families.forEach((rib, family) => {
      const count = routes[family]!;
      if (count === 0) return;
      rib.reserve(count, makeResident);
      this.batches[family]!.reserve(sets, makeResident);
      const out = emptyOut(rib);
      makeResident(octetsOf(out.attr, count + 1));
      makeResident(octetsOf(out.peer, count + 1));
      this.spareOut[family] = out;
    });
  }

  /** Applies a scanned UPDATE to the Adj-RIB-In of `peer`. Follow the last one of a read with {@link decide}. */
  receive(peer: PeerId, record: UpdateRecord, context: ReceiveContext): void {
    const [rib4] = this.families;
    const { octets } = record;
    const flags = record.localAsCount > context.allowOwnAs || record.reflectionLoop ? PathFlag.loop : 0;
    const accept = record.verdict === 'accept';
    if (record.withdrawnEnd > record.withdrawnStart)
      applyNlri(rib4, octets, record.withdrawnStart, record.withdrawnEnd, peer, WITHDRAW, 0, context.addPath[0]);
    if (record.mpUnreachFamily >= 0) {
      const family = record.mpUnreachFamily === 0 ? 0 : 1;
      applyNlri(
        this.families[family],
        octets,
        record.mpUnreachStart,
        record.mpUnreachEnd,
        peer,
        WITHDRAW,
        0,
        context.addPath[family],
      );
    }
    if (record.nlriEnd > record.nlriStart) {
      const attr = accept ? this.attributes.intern(record, this.nextHops.idOf4(record.nextHop4)) : WITHDRAW;
      applyNlri(
        rib4,
        octets,
        record.nlriStart,
        record.nlriEnd,
        peer,
        attr,
        flags,
        context.addPath[0],
        this.filter(0, record, context),
      );
      if (attr !== WITHDRAW) this.attributes.release(attr);
    }
    if (record.mpReachFamily >= 0 && record.mpReachEnd > record.mpReachStart) {
      const family = record.mpReachFamily === 0 ? 0 : 1;
      const attr = accept ? this.attributes.intern(record, this.mpNextHop(record, context.zone)) : WITHDRAW;
      applyNlri(
        this.families[family],
        octets,
        record.mpReachStart,
        record.mpReachEnd,
        peer,
        attr,
        flags,
        context.addPath[family],
        this.filter(family, record, context),
      );
      if (attr !== WITHDRAW) this.attributes.release(attr);
    }
  }

  /** Runs the decision for all prefixes touched since the last call. */
  decide(): void {
    this.families[0].decide();
    this.families[1].decide();
    if (this.busyFilters.size === 0) return;
    for (const filter of this.busyFilters) filter.clear();
    this.busyFilters.clear();
  }

  /**
   * Puts what is held from a peer through its import policy again, over the following {@link pump}s.
   * @param filter asked for at each slice, so that the newest counts
   */
  refilter(family: 0 | 1, peer: PeerId, filter: () => ImportFilter | undefined): void {
    const rib = this.families[family];
    this.task(rib, peer, from => {
      const current = filter();
      const next = rib.refilter(peer, current, from);
      current?.clear();
      return next;
    });
  }

  /** Changes how best paths are chosen; takes effect over the following {@link pump}s. */
  setDecision(options: DecisionOptions): void {
    this.families.forEach((rib, family) => {
      this.decisions[family] = this.decisionFor(rib, options);
      this.task(rib, undefined, from => rib.markAll(from));
    });
  }

  /** What is known of next hops now; routes through them are decided again over the following {@link pump}s. */
  setNextHops(states: Iterable<NextHopState>): void {
    const ids: NextHopId[] = [];
    for (const { address, reachable, metric } of states) ids.push(...this.nextHops.update(address, reachable, metric));
    if (ids.length === 0) return;
    const chosen = new Uint8Array(this.nextHops.reachable.length);
    for (const id of ids) chosen[id] = 1;
    for (const rib of this.families) this.task(rib, undefined, from => rib.markNextHops(chosen, from));
  }

  /** Sets what is known of a peer; what is held from it is judged again, where that matters, over the following {@link pump}s. */
  setPeer(peer: PeerId, facts: PeerFacts): void {
    const { kind, client, routerId } = this.peers.get(peer);
    this.peers.set(peer, facts);
    if (facts.kind === kind && facts.client === client && facts.routerId === routerId) return;
    for (const rib of this.families)
      if (rib.received[peer]! > 0) this.task(rib, undefined, from => rib.markPeer(peer, from));
  }

  /** Removes paths of a peer over the following {@link pump}s. @param done called at the end */
  sweep(family: 0 | 1, peer: PeerId, what: Exclude<Sweep, 'markStale'>, done: () => void = nothing): void {
    const rib = this.families[family];
    this.task(rib, peer, from => rib.sweep(peer, what, from), done);
  }

  /** Marks all paths of a peer as kept over its restart (RFC 4724 section 4.2). At once: the peer may be back soon. */
  markStale(family: 0 | 1, peer: PeerId): void {
    for (let from = 1; from !== 0;) from = this.families[family].sweep(peer, 'markStale', from);
  }

  /** Completes what {@link sweep} has left of a peer, before it may announce again. */
  finishSweeps(peer: PeerId): void {
    for (const task of this.tasks.filter(t => t.peer === peer)) {
      while (task.from !== 0) task.from = task.step(task.from);
    }
    this.decide();
    this.dropFinished();
  }

  /** Adds a peer to the update group that `key` names, made with `framing` when it is new. @returns the group's number */
  join(
    family: 0 | 1,
    key: string,
    audience: ExportAudience,
    framing: () => UpdateFraming,
    peer: PeerId,
    sink: MemberSink,
    options: JoinOptions = {},
  ): number {
    const name = `${family} ${key}`;
    let entry = this.groups.get(name);
    if (entry === undefined) {
      const group = new UpdateGroup(
        this.families[family],
        this.attributes,
        this.peers,
        audience,
        framing(),
        this.batches[family],
        options.filter?.(),
        this.spareOut[family],
      );
      this.spareOut[family] = undefined;
      this.groups.set(name, (entry = { group, number: ++this.groupsMade }));
    }
    entry.group.join(peer, sink, options.former);
    return entry.number;
  }

  leave(family: 0 | 1, key: string, peer: PeerId): void {
    const name = `${family} ${key}`;
    const entry = this.groups.get(name);
    if (entry === undefined) return;
    entry.group.leave(peer);
    if (entry.group.memberCount > 0) return;
    entry.group.close();
    this.groups.delete(name);
  }

  group(family: 0 | 1, key: string): UpdateGroup | undefined {
    return this.groups.get(`${family} ${key}`)?.group;
  }

  /** Does a slice of everything that waits: sweeps, update groups, kernel batches, ids. @returns true when more waits */
  pump(): boolean {
    let more = this.runTasks();
    for (const { group } of this.groups.values()) if (group.advance()) more = true;
    this.feeds.forEach((feed, family) => {
      if (feed.advance(this.decisions[family]!)) more = true;
    });
    // Ids can wait until everybody has been told.
    if (!more) for (const rib of this.families) if (rib.reclaim()) more = true;
    return more;
  }

  /** The peer's import filter, when it concerns these attributes. */
  private filter(family: 0 | 1, record: UpdateRecord, { filters }: ReceiveContext): ImportFilter | undefined {
    const filter = filters?.[family];
    if (filter === undefined || (filter.concerns !== 0 && (filter.concerns & record.flags) === 0)) return undefined;
    this.busyFilters.add(filter);
    return filter;
  }

  decision(family: 0 | 1): DecisionProcess {
    return this.decisions[family];
  }

  private runTasks(): boolean {
    const task = this.tasks[0];
    if (task === undefined) return false;
    task.from = task.step(task.from);
    this.decide();
    this.dropFinished();
    return this.tasks.length > 0;
  }

  private dropFinished(): void {
    const finished = this.tasks.filter(task => task.from === 0);
    for (const task of finished) this.tasks.splice(this.tasks.indexOf(task), 1);
    for (const task of finished) task.done();
  }

  private task(
    rib: LocRib,
    peer: PeerId | undefined,
    step: (from: number) => number,
    done: () => void = nothing,
  ): void {
    this.tasks.push({ rib, peer, step, from: 1, done });
  }

  private decisionFor(rib: LocRib, options: DecisionOptions): DecisionProcess {
    const decision = new DecisionProcess(rib.paths, this.attributes, this.nextHops, this.peers, options);
    rib.useDecision(decision);
    return decision;
  }

  private mpNextHop(record: UpdateRecord, zone: string | undefined): NextHopId {
    if (record.mpNextHopVersion === 4) return this.nextHops.idOf4(record.mpNextHop[3]!);
    return this.recentNextHops.idOf(record.mpNextHop, record.mpLinkLocal, zone);
  }
}

function nothing(): void {
  // The default for callers with nothing to do at the end of a task.
}
