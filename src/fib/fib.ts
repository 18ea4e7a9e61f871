/** Keeps the kernel's routes equal to what the RIB wants: adopts, writes differences only, repairs, and reports. */

import { FAMILIES, type FamilyIndex } from '../bgp/families.js';
import type { Clock } from '../core/clock.js';
import { formatAddress } from '../core/ip.js';
import type { Change } from '../kernel/monitor.js';
import type { NetlinkChannel } from '../kernel/netlink/channel.js';
import { NetlinkWriter } from '../kernel/netlink/writer.js';
import type { RouteScan } from '../kernel/routeScan.js';
import { routeOf, writeRoute, type Route } from '../kernel/routes.js';
import { AF_INET } from '../kernel/rtnetlink.js';
import type { RibChanges } from '../rib/changes.js';
import { DesiredSets } from './desiredSets.js';
import { Failures } from './failures.js';
import { FamilyTable } from './familyTable.js';
import type { Fib, FibCounts, FibEvent, FibQuery, FibRoute, RouteFailure, WrittenBatch, Sample } from './fibTypes.js';
import { fibRoutes } from './fibView.js';
import type { FeedReader, KernelFeed } from './kernelFeed.js';
import { NO_ROUTE, NextHopTable } from './nextHopTable.js';
import type { NextHopResolver } from './nextHopResolver.js';
import { inOurPlace, isOurs, type Ownership } from './ownership.js';
import { EEXIST, Programmer, type BatchReport } from './programmer.js';

export interface FibOptions {
  readonly owner: Ownership;
  readonly channel: NetlinkChannel;
  /** To be started after this; the resolver must have subscribed to it before. */
  readonly feed: KernelFeed;
  readonly resolver: NextHopResolver;
  readonly clock: Clock;
  /** Routes there is room for at first, a power of two; the Internet's table. */
  readonly firstCapacity?: number;
  onEvent(event: FibEvent): void;
  onWritten?(batch: WrittenBatch): void;
}

export function createFib(options: FibOptions): Fib {
  const fib = new KernelFib(options);
  options.feed.subscribe(fib);
  return fib;
}

/** One family with all that belongs to it. */
interface Plane {
  readonly table: FamilyTable;
  readonly failures: Failures;
  readonly programmer: Programmer;
  /** Routes of ours with another metric than ours is now, found by the last reading. */
  strays: Route[];
  drifted: number[];
  /** Places where the kernel said EEXIST; the next reading tells who is there. */
  taken: number[];
  /** Those that the reading under way will tell of. */
  inQuestion: number[];
  reading: boolean;
}

const SAMPLE = 10;
/** Strays deleted after one reading; the next finds the rest. */
const STRAYS = 10_000;
/** Pause after the kernel took nothing at all, in milliseconds. */
const BREAK = 1000;

class KernelFib implements Fib, FeedReader {
  private readonly kernelSets = new NextHopTable();
  private readonly sets: DesiredSets;
  private readonly planes: readonly [Plane, Plane];
  private complete = false;
  private running = false;
  private stopped = false;
  private waiting: (() => void)[] = [];

  constructor(private readonly options: FibOptions) {
    this.sets = new DesiredSets(options.resolver, this.kernelSets, ids => this.setsChanged(ids));
    this.planes = [this.newPlane(0), this.newPlane(1)];
  }

  apply(batch: RibChanges): void {
    for (const definition of batch.definitions) this.sets.define(definition);
    const { table, failures } = this.planes[batch.family];
    const stride = batch.family === 0 ? 1 : 4;
    for (let i = 0; i < batch.count; i++) {
      const id = table.want(batch.addresses, i * stride, batch.lengths[i]!, batch.nextHopSets[i]!);
      if (id < 0) continue;
      failures.clear(id);
      table.touch(id);
    }
    this.sets.collect();
    this.run();
  }

  sourcesComplete(): void {
    if (this.complete) return;
    this.complete = true;
    for (const plane of this.planes) if (plane.table.known) this.sweep(plane);
    this.run();
  }

  idle(): Promise<void> {
    if (!this.running && !this.hasWork()) return Promise.resolve();
    return new Promise(resolve => this.waiting.push(resolve));
  }

  async stop({ keepRoutes }: { readonly keepRoutes: boolean }): Promise<void> {
    if (!keepRoutes) {
      this.complete = true;
      for (const { table } of this.planes) this.abandon(table);
      this.run();
    }
    await this.idle();
    this.stopped = true;
    for (const { failures } of this.planes) failures.stop();
  }

  routes(query: FibQuery): Iterable<FibRoute> {
    return fibRoutes(query, this.planes, this.sets, this.kernelSets, this.options.resolver);
  }

  counts(family: FamilyIndex): FibCounts {
    const { table, failures } = this.planes[family];
    return {
      prefixes: table.index.size,
      installed: table.installed,
      queued: table.queued,
      failed: failures.size,
    };
  }

  beginRead(family: FamilyIndex): void {
    const plane = this.planes[family];
    plane.reading = true;
    plane.strays = [];
    plane.inQuestion.push(...plane.taken);
    plane.taken = [];
    plane.table.beginRead();
  }

  readRoute(scan: RouteScan): void {
    if (!isOurs(this.options.owner, scan)) return;
    const plane = this.planes[scan.family === AF_INET ? 0 : 1];
    if (scan.metric !== this.options.owner.metric) {
      if (plane.strays.length < STRAYS) plane.strays.push(routeOf(scan));
      return;
    }
    const verdict = plane.table.found(scan);
    if (verdict === undefined) return;
    if (plane.table.known) plane.drifted.push(verdict.id);
  }

  endRead(family: FamilyIndex): void {
    const plane = this.planes[family];
    const first = !plane.table.known;
    plane.drifted.push(...plane.table.endRead());
    plane.reading = false;
    if (first) this.firstRead(plane);
    else this.reportDrift(plane);
    this.judge(plane);
    if (this.complete) this.sweep(plane);
    this.run();
  }

  routeChanged(change: Change, route: Route): void {
    const { owner, feed } = this.options;
    const plane = this.planes[route.destination.address.version === 4 ? 0 : 1];
    if (!plane.table.known || !inOurPlace(owner, route)) return;
    const id = this.idOf(plane, route, isOurs(owner, route) && change === 'set');
    if (id < 0) return;
    if (isOurs(owner, route)) {
      // IPv6 tells of every next hop by itself: with one gone, others may be left.
      const gone = change === 'gone' && plane.table.family === 0;
      plane.table.distrust(id, gone);
      plane.drifted.push(id);
    } else if (change === 'gone') {
      // A stranger has left the place.
      if (plane.failures.clear(id)) plane.table.touch(id);
    } else if (plane.table.appliedOf(id) !== NO_ROUTE) {
      // A stranger's route stands where ours stood. Nothing is replaced; creating ours will tell.
      plane.table.distrust(id, true);
      plane.table.touch(id);
      feed.readSoon(plane.table.family);
    }
  }

  settled(): void {
    for (const plane of this.planes) if (!plane.reading) this.reportDrift(plane);
    this.run();
  }

  private newPlane(family: FamilyIndex): Plane {
    const { clock, owner, channel, firstCapacity } = this.options;
    const table = new FamilyTable(family, this.sets, this.kernelSets, firstCapacity);
    const failures = new Failures(clock, ids => {
      // What has become right meanwhile, through a reading of the kernel, is no failure any more.
      for (const id of ids) if (!table.touch(id)) failures.clear(id);
      this.run();
    });
    const programmer = new Programmer(table, this.kernelSets, owner, channel, failures, () => this.complete);
    return { table, failures, programmer, strays: [], drifted: [], taken: [], inQuestion: [], reading: false };
  }

  private idOf({ table }: Plane, route: Route, insert: boolean): number {
    const { address, length } = route.destination;
    const words = Uint32Array.from(address.version === 4 ? [address.value] : address.words);
    return insert ? table.idOf(words, 0, length) : table.index.find(words, 0, length);
  }

  private firstRead(plane: Plane): void {
    const { table } = plane;
    plane.drifted = [];
    this.options.onEvent({ kind: 'adopted', family: FAMILIES[table.family], routes: table.installed });
    table.touchWhere(set => set !== 0);
  }

  /** Tells strangers in our place from routes of our own that we had lost track of. */
  private judge(plane: Plane): void {
    const { table, failures } = plane;
    const refused = plane.inQuestion.filter(id => failures.get(id)?.errno === EEXIST);
    plane.inQuestion = [];
    const conflicts = refused.filter(id => table.appliedOf(id) === NO_ROUTE);
    for (const id of refused) if (table.appliedOf(id) !== NO_ROUTE) failures.clear(id);
    if (conflicts.length > 0) this.tell('conflict', table, conflicts);
  }

  /** Queues what differs after somebody's interference, and says so. */
  private reportDrift(plane: Plane): void {
    if (plane.drifted.length === 0) return;
    const { table } = plane;
    const ids = [...new Set(plane.drifted)].filter(id => table.touch(id));
    plane.drifted = [];
    // A route that is to go, or is unresolved, and went by itself, is no news.
    const news = ids.filter(id => table.desiredOf(id) !== 0 && table.wantedOf(id) !== NO_ROUTE);
    if (news.length > 0) this.tell('drift', table, news);
  }

  private sweep(plane: Plane): void {
    const { table } = plane;
    let routes = plane.strays.length;
    for (const id of table.ids()) {
      if (table.wantedOf(id) === NO_ROUTE && table.isAdopted(id) && table.touch(id)) routes += 1;
    }
    if (routes > 0) this.options.onEvent({ kind: 'swept', family: FAMILIES[table.family], routes });
    if (plane.strays.length > 0) void this.deleteStrays(plane);
  }

  private async deleteStrays(plane: Plane): Promise<void> {
    const writer = new NetlinkWriter(4096);
    for (const stray of plane.strays) writeRoute(writer, 'delete', stray);
    if (plane.strays.length === STRAYS) this.options.feed.readSoon(plane.table.family);
    plane.strays = [];
    try {
      await this.options.channel.transact(writer);
    } catch (error) {
      this.tellError(error);
    }
  }

  private setsChanged(ids: ReadonlySet<number>): void {
    for (const { table, failures } of this.planes) {
      for (const id of [...failures.ids()]) if (ids.has(table.desiredOf(id))) failures.clear(id);
      table.touchWhere(set => ids.has(set));
    }
    this.run();
  }

  private abandon(table: FamilyTable): void {
    const { addresses, lengths, wordsPerAddress } = table.index;
    for (const id of table.ids()) {
      table.want(addresses, id * wordsPerAddress, lengths[id]!, 0);
      table.touch(id);
    }
    this.sets.collect();
  }

  private hasWork(): boolean {
    return this.planes.some(plane => this.mayWrite(plane) && plane.table.queued > 0);
  }

  /** IPv6 dumps lose their place when routes come and go meanwhile; IPv4 dumps do not. */
  private mayWrite({ table, reading }: Plane): boolean {
    return table.known && (table.family === 0 || !reading);
  }

  private run(): void {
    if (this.running || this.stopped || !this.hasWork()) return;
    this.running = true;
    // Not now: what is told in this turn of the event loop goes into the same batch.
    this.options.clock.setTimeout(() => void this.turn(), 0);
  }

  private async turn(): Promise<void> {
    let pause = 0;
    try {
      for (const plane of this.planes) {
        if (!this.mayWrite(plane)) continue;
        const begun = this.options.clock.now();
        const report = await plane.programmer.step();
        if (report === undefined) continue;
        this.report(plane, report);
        this.tellWritten(plane, report, begun);
      }
      this.kernelSets.collect();
    } catch (error) {
      this.tellError(error);
      pause = BREAK;
    }
    if (this.hasWork() && !this.stopped) {
      this.options.clock.setTimeout(() => void this.turn(), pause);
      return;
    }
    this.running = false;
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  private report({ table, failures, taken }: Plane, { failed, recovered, conflicts }: BatchReport): void {
    const family = FAMILIES[table.family];
    if (conflicts.length > 0) {
      taken.push(...conflicts);
      this.options.feed.readSoon(table.family);
    }
    if (failed.length > 0) {
      const failure = (id: number): RouteFailure => ({
        prefix: table.textOf(id),
        nextHops: this.kernelSets.hops(table.wantedOf(id)).map(hop => {
          const gateway = hop.gateway === null ? '' : `${formatAddress(hop.gateway)} `;
          return `${gateway}dev ${this.options.resolver.deviceName(hop.ifindex) ?? hop.ifindex}`;
        }),
        error: failures.get(id)!.text,
      });
      this.options.onEvent({ kind: 'failed', family, routes: sample(failed, failure) });
    }
    if (recovered.length > 0) this.tell('recovered', table, recovered);
  }

  private tellWritten({ table }: Plane, { added, removed }: BatchReport, begun: number): void {
    const seconds = (this.options.clock.now() - begun) / 1000;
    this.options.onWritten?.({ family: FAMILIES[table.family], added, removed, installed: table.installed, seconds });
  }

  private tell(kind: 'recovered' | 'conflict' | 'drift', table: FamilyTable, ids: readonly number[]): void {
    const family = FAMILIES[table.family];
    this.options.onEvent({ kind, family, routes: sample(ids, id => table.textOf(id)) });
  }

  private tellError(error: unknown): void {
    this.options.onEvent({ kind: 'error', text: error instanceof Error ? error.message : String(error) });
  }
}

function sample<T>(ids: readonly number[], name: (id: number) => T): Sample<T> {
  return { count: ids.length, first: ids.slice(0, SAMPLE).map(name) };
}
