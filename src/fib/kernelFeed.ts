/**
 * What the FIB has to know of the kernel, told to its readers: first everything, then every change, and everything again
 * when changes may have gone unnoticed. IPv4 routes vanish without a word when a link goes down or an address is removed.
 */

import { FAMILY_INDICES, type FamilyIndex } from '../bgp/families.js';
import { assertNever } from '../core/assertNever.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import { decodeInterfaceAddress, writeAddressDump, type InterfaceAddress } from '../kernel/addresses.js';
import { decodeLink, isUsable, writeLinkDump, type Link } from '../kernel/links.js';
import type { Change, KernelEvent, KernelMonitor } from '../kernel/monitor.js';
import type { Neighbour, VxlanForwarding } from '../kernel/neighbours.js';
import { dumpAll, NetlinkError, type NetlinkChannel } from '../kernel/netlink/channel.js';
import { NetlinkWriter } from '../kernel/netlink/writer.js';
import { RouteScan } from '../kernel/routeScan.js';
import { writeRouteDump, type Route } from '../kernel/routes.js';
import { AF_INET, AF_INET6, type AddressFamily } from '../kernel/rtnetlink.js';
import type { Rule } from '../kernel/rules.js';

export interface FeedReader {
  /** All links and addresses there are. */
  interfaces?(links: readonly Link[], addresses: readonly InterfaceAddress[]): void;
  linkChanged?(change: Change, link: Link): void;
  addressChanged?(change: Change, address: InterfaceAddress): void;
  /** All routes of the family follow. Comes again without `endRead` when the kernel changed them meanwhile. */
  beginRead(family: FamilyIndex): void;
  /** One of them; the record is used again for the next. */
  readRoute(route: RouteScan): void;
  endRead(family: FamilyIndex): void;
  routeChanged(change: Change, route: Route): void;
  /** These three only where the monitor has the topic. */
  neighbourChanged?(change: Change, neighbour: Neighbour): void;
  forwardingChanged?(change: Change, forwarding: VxlanForwarding): void;
  ruleChanged?(change: Change, rule: Rule): void;
  /** Some of these changes were not told. */
  overrun?(): void;
  /** The end of a batch of changes: time to draw conclusions. */
  settled?(): void;
}

export interface FeedOptions {
  readonly channel: NetlinkChannel;
  readonly monitor: KernelMonitor;
  readonly clock: Clock;
  /** Routing tables to read. */
  readonly tables: readonly number[];
  /** Milliseconds between two readings of everything when nothing suspicious happens. */
  readonly readBackInterval: number;
  /** A reading failed and will be tried again. */
  onError(text: string): void;
}

export interface KernelFeed {
  /** Readers are told in the order of their subscription. */
  subscribe(reader: FeedReader): void;
  /** @returns resolves when the readers have everything once; rejects when the kernel cannot be read */
  start(): Promise<void>;
  /** Asks for a new reading of the family's routes soon. Many requests make one reading. */
  readSoon(family: FamilyIndex): void;
  stop(): void;
}

/** Lets the rest of a burst of events arrive before everything is read again, in milliseconds. */
const GATHER = 200;
/** Events make at most this share of the time go into reading: links of pods come and go, and a full table takes a second. */
const READING_SHARE = 0.1;
const RETRY = 1000;
/** A table that changes under every dump is taken as it is in the end; notifications and the next reading bring the rest. */
const ATTEMPTS = 10;
const ENOENT = 2;

export function createKernelFeed(options: FeedOptions): KernelFeed {
  return new Feed(options);
}

class Feed implements KernelFeed {
  private readonly readers: FeedReader[] = [];
  private readonly usable = new Map<number, boolean>();
  private readonly wanted = new Set<FamilyIndex>();
  private interfacesWanted = false;
  /** Changes of links and addresses told since the reading of them that is under way began. */
  private meanwhile: KernelEvent[] | undefined;
  private timer: TimerHandle | undefined;
  private periodic: TimerHandle | undefined;
  private reading = false;
  /** Milliseconds that the last reading of routes took. */
  private lastCost = 0;
  private stopped = false;
  private unsubscribe: (() => void) | undefined;
  private readonly request = new NetlinkWriter(64);
  private readonly scan = new RouteScan();

  constructor(private readonly options: FeedOptions) {}

  subscribe(reader: FeedReader): void {
    this.readers.push(reader);
  }

  async start(): Promise<void> {
    // Listen before reading: what changes in between is then told twice rather than never.
    this.unsubscribe = this.options.monitor.subscribe(events => this.take(events));
    this.reading = true;
    try {
      await this.readInterfaces();
      for (const family of FAMILY_INDICES) await this.readRoutes(family);
    } finally {
      this.reading = false;
    }
    this.eachSettled();
    this.scheduleWanted();
    this.armPeriodic();
  }

  readSoon(family: FamilyIndex): void {
    this.wanted.add(family);
    this.scheduleWanted();
  }

  stop(): void {
    this.stopped = true;
    this.unsubscribe?.();
    this.timer?.cancel();
    this.periodic?.cancel();
  }

  private take(events: readonly KernelEvent[]): void {
    for (const event of events) {
      if (event.kind === 'link' || event.kind === 'address') this.meanwhile?.push(event);
      this.takeOne(event);
    }
    this.eachSettled();
  }

  private takeOne(event: KernelEvent): void {
    switch (event.kind) {
      case 'link':
        this.takeLink(event.change, event.link);
        break;
      case 'address':
        for (const reader of this.readers) reader.addressChanged?.(event.change, event.address);
        if (event.change === 'gone') this.readSoon(event.address.address.version === 4 ? 0 : 1);
        break;
      case 'route':
        if (this.options.tables.includes(event.route.table))
          for (const reader of this.readers) reader.routeChanged(event.change, event.route);
        break;
      case 'overrun':
        for (const reader of this.readers) reader.overrun?.();
        this.interfacesWanted = true;
        for (const family of FAMILY_INDICES) this.readSoon(family);
        break;
      case 'neighbour':
        for (const reader of this.readers) reader.neighbourChanged?.(event.change, event.neighbour);
        break;
      case 'forwarding':
        for (const reader of this.readers) reader.forwardingChanged?.(event.change, event.forwarding);
        break;
      case 'rule':
        for (const reader of this.readers) reader.ruleChanged?.(event.change, event.rule);
        break;
      default:
        assertNever(event);
    }
  }

  private takeLink(change: Change, link: Link): void {
    const usable = change === 'set' && isUsable(link);
    const wasUsable = this.usable.get(link.index) ?? false;
    if (change === 'gone') this.usable.delete(link.index);
    else this.usable.set(link.index, usable);
    for (const reader of this.readers) reader.linkChanged?.(change, link);
    if (wasUsable && !usable) for (const family of FAMILY_INDICES) this.readSoon(family);
  }

  private eachSettled(): void {
    for (const reader of this.readers) reader.settled?.();
  }

  private scheduleWanted(delay = Math.max(GATHER, this.lastCost / READING_SHARE)): void {
    if (this.stopped || this.reading || this.timer !== undefined) return;
    if (this.wanted.size === 0 && !this.interfacesWanted) return;
    this.timer = this.options.clock.setTimeout(() => {
      this.timer = undefined;
      void this.readWanted();
    }, delay);
  }

  private async readWanted(): Promise<void> {
    this.reading = true;
    const begun = this.options.clock.now();
    let retryAfter: number | undefined;
    try {
      if (this.interfacesWanted) {
        this.interfacesWanted = false;
        await this.readInterfaces();
      }
      for (const family of [...this.wanted]) {
        this.wanted.delete(family);
        await this.readRoutes(family);
      }
      this.lastCost = this.options.clock.now() - begun;
      this.eachSettled();
    } catch (error) {
      if (!this.stopped) this.options.onError(error instanceof Error ? error.message : String(error));
      this.interfacesWanted = true;
      for (const family of FAMILY_INDICES) this.wanted.add(family);
      retryAfter = RETRY;
    } finally {
      this.reading = false;
    }
    this.scheduleWanted(retryAfter);
  }

  private armPeriodic(): void {
    if (this.stopped) return;
    this.periodic = this.options.clock.setTimeout(() => {
      for (const family of FAMILY_INDICES) this.readSoon(family);
      this.armPeriodic();
    }, this.options.readBackInterval);
  }

  private async readInterfaces(): Promise<void> {
    const { channel } = this.options;
    const meanwhile: KernelEvent[] = [];
    this.meanwhile = meanwhile;
    this.request.reset();
    writeLinkDump(this.request);
    const links = await dumpAll(channel, this.request, decodeLink);
    this.request.reset();
    writeAddressDump(this.request);
    const addresses = await dumpAll(channel, this.request, decodeInterfaceAddress);
    this.usable.clear();
    for (const link of links) this.usable.set(link.index, isUsable(link));
    for (const reader of this.readers) reader.interfaces?.(links, addresses);
    this.meanwhile = undefined;
    // A dump's answers may be older than what was told while they came.
    for (const event of meanwhile) this.takeOne(event);
  }

  private async readRoutes(family: FamilyIndex): Promise<void> {
    for (let attempt = 1; !this.stopped; attempt++) {
      for (const reader of this.readers) reader.beginRead(family);
      let complete = true;
      for (const table of this.options.tables) {
        if (!(await this.readTable(family === 0 ? AF_INET : AF_INET6, table))) complete = false;
      }
      if (complete || attempt === ATTEMPTS) break;
    }
    if (!this.stopped) for (const reader of this.readers) reader.endRead(family);
  }

  /** @returns false when the table changed meanwhile */
  private async readTable(family: AddressFamily, table: number): Promise<boolean> {
    this.request.reset();
    writeRouteDump(this.request, family, table);
    try {
      const outcome = await this.options.channel.dump(this.request, message => {
        // Without strict checking (before Linux 4.20) all tables come.
        if (this.scan.read(message) && !this.scan.cloned && this.scan.table === table)
          for (const reader of this.readers) reader.readRoute(this.scan);
      });
      return outcome === 'complete';
    } catch (error) {
      // A table that has never had a route does not exist.
      if (error instanceof NetlinkError && error.errno === ENOENT) return true;
      throw error;
    }
  }
}
