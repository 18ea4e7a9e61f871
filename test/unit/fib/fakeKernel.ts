/**
 * A kernel in memory behind the same interface as netlink: it reads the very octets, and refuses what Linux refuses
 * (EEXIST, ENOENT, ESRCH, ENODEV, ENETUNREACH). It forgets IPv4 routes of a dead link without a word, as Linux does.
 */

import { formatPrefix, maskAddress, prefixContains, type IpAddress } from '../../../src/core/ip.js';
import type { KernelEvent, KernelMonitor } from '../../../src/kernel/monitor.js';
import {
  LOST,
  NetlinkError,
  type BatchResult,
  type DumpOutcome,
  type NetlinkChannel,
} from '../../../src/kernel/netlink/channel.js';
import { NLM_F_EXCL, NLM_F_REPLACE } from '../../../src/kernel/netlink/numbers.js';
import { MessageCursor } from '../../../src/kernel/netlink/reader.js';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { RouteScan } from '../../../src/kernel/routeScan.js';
import { routeOf, writeAddress, writeRoute, type Route } from '../../../src/kernel/routes.js';
import * as rt from '../../../src/kernel/rtnetlink.js';
import { address, prefix } from './routeText.js';

const [ENOENT, ESRCH, EEXIST, ENODEV, ENETUNREACH] = [2, 3, 17, 19, 101];
const RTPROT_KERNEL = 2;

interface FakeLink {
  readonly index: number;
  readonly name: string;
  up: boolean;
  readonly own: IpAddress;
  readonly length: number;
}

export class FakeKernel implements NetlinkChannel, KernelMonitor {
  readonly portId = 1;
  readonly routes = new Map<string, Route>();
  /** Messages of batches, one line each, since `log` was last emptied. */
  readonly log: string[] = [];
  /** Errno for the next batches' messages, first come first served; LOST: done, but the answer is lost. */
  readonly faults: number[] = [];
  /** The next dumps of routes say that they were interrupted. */
  interruptions = 0;
  /** Turns of the event loop that each answer of a dump is on its way, when the kernel has said it already. */
  delays = 0;
  /** What happens between the kernel's answer to a dump, of which this is the type, and its reading. */
  beforeAnswer: ((type: number) => void) | undefined;
  private readonly links: FakeLink[] = [];
  private events: KernelEvent[] = [];
  private listener: ((events: readonly KernelEvent[]) => void) | undefined;

  addLink(name: string, own: string): void {
    const { address: base } = prefix(`${own.split('/')[0]!}/${own.includes(':') ? 128 : 32}`);
    const link = { index: this.links.length + 2, name, up: true, own: base, length: Number(own.split('/')[1]) };
    this.links.push(link);
    this.put(this.connected(link), true);
  }

  setLink(name: string, up: boolean): void {
    const link = this.links.find(candidate => candidate.name === name)!;
    if (link.up === up) return;
    link.up = up;
    this.events.push({ kind: 'link', change: 'set', link: this.linkValue(link) });
    if (up) this.put(this.connected(link), true);
    else this.flush(link.index);
  }

  /** A route that somebody else adds with EXCL. @returns whether it was accepted */
  addForeign(route: Route): boolean {
    if (this.routes.has(keyOf(route))) return false;
    this.put(route, true);
    return true;
  }

  /** Somebody else writes over, or deletes, whatever is there. */
  overwrite(route: Route): void {
    this.put(route, true);
  }
  erase(key: string): void {
    const route = this.routes.get(key);
    if (route === undefined) return;
    this.routes.delete(key);
    this.events.push({ kind: 'route', change: 'gone', route });
  }

  /** Hands out the notifications so far; `lost`: their queue ran over. */
  deliver(lost = false): void {
    const events = this.events;
    this.events = [];
    if (lost) this.listener?.([{ kind: 'overrun' }]);
    else if (events.length > 0) this.listener?.(events);
  }

  subscribe(listener: (events: readonly KernelEvent[]) => void): () => void {
    this.listener = listener;
    return () => (this.listener = undefined);
  }

  close(): void {
    this.listener = undefined;
  }

  transact(batch: NetlinkWriter): Promise<BatchResult> {
    const messages = new MessageCursor(batch.finished().slice()).over(batch.length);
    const errnos = new Int32Array(batch.count);
    let failures = 0;
    for (let i = 0; messages.next(); i++) {
      const fault = this.faults.shift() ?? 0;
      errnos[i] = fault > 0 ? fault : this.carryOut(messages) || fault;
      if (errnos[i] !== 0) failures += 1;
    }
    const texts = new Map([...errnos.entries()].flatMap(([i, errno]) => (errno > 0 ? [[i, `fake ${errno}`]] : [])));
    return Promise.resolve({ errnos, texts, failures });
  }

  async dump(request: NetlinkWriter, visit: (message: MessageCursor) => void): Promise<DumpOutcome> {
    const asked = new MessageCursor(request.finished()).over(request.length);
    asked.next();
    const scan = new RouteScan();
    const writer = new NetlinkWriter();
    if (asked.type === rt.RTM_GETLINK) for (const link of this.links) writeLink(writer, link);
    else if (asked.type === rt.RTM_GETADDR) for (const link of this.links) writeInterfaceAddress(writer, link);
    else if (scan.read(asked)) {
      const version = scan.family === rt.AF_INET ? 4 : 6;
      const routes = [...this.routes.values()].filter(
        route => route.table === scan.table && route.destination.address.version === version,
      );
      if (routes.length === 0 && scan.table !== rt.RT_TABLE_MAIN)
        throw new NetlinkError(ENOENT, undefined, 'dump request');
      for (const route of routes) writeRoute(writer, 'create', route);
    }
    const answers = new MessageCursor(writer.finished()).over(writer.length);
    this.beforeAnswer?.(asked.type);
    while (answers.next()) {
      for (let i = 0; i < this.delays; i++) await new Promise(resolve => setImmediate(resolve));
      visit(answers);
    }
    await Promise.resolve();
    if (asked.type !== rt.RTM_GETROUTE || this.interruptions === 0) return 'complete';
    this.interruptions -= 1;
    return 'interrupted';
  }

  private carryOut(message: MessageCursor): number {
    const scan = new RouteScan();
    if (!scan.read(message)) throw new Error('a route message that cannot be read');
    const route = routeOf(scan);
    const key = keyOf(route);
    const there = this.routes.get(key);
    const verb =
      message.type === rt.RTM_DELROUTE ? 'delete' : (message.flags & NLM_F_REPLACE) !== 0 ? 'replace' : 'create';
    this.log.push(`${verb} ${formatPrefix(route.destination)}`);
    if (verb === 'delete') {
      if (there?.protocol !== route.protocol) return ESRCH;
      this.routes.delete(key);
      return 0;
    }
    if (there !== undefined && (message.flags & NLM_F_EXCL) !== 0) return EEXIST;
    if (there === undefined && verb === 'replace') return ENOENT;
    const refusal = this.refuse(route);
    if (refusal === 0) this.put(route, false);
    return refusal;
  }

  /** A gateway must be on a link that is up, by an address of that link. */
  private refuse(route: Route): number {
    for (const hop of route.hops) {
      const link = this.links.find(({ index }) => index === hop.ifindex);
      if (link === undefined) return ENODEV;
      const subnet = { address: maskAddress(link.own, link.length), length: link.length };
      if (!link.up || hop.gateway === null || !(hop.onlink || prefixContains(subnet, hop.gateway))) return ENETUNREACH;
    }
    return 0;
  }

  private put(route: Route, tell: boolean): void {
    this.routes.set(keyOf(route), route);
    if (tell) this.events.push({ kind: 'route', change: 'set', route });
  }

  private flush(ifindex: number): void {
    for (const [key, route] of this.routes) {
      if (route.hops.some(hop => hop.ifindex !== ifindex)) continue;
      this.routes.delete(key);
      if (route.destination.address.version === 6) this.events.push({ kind: 'route', change: 'gone', route });
    }
  }

  private connected(link: FakeLink): Route {
    return {
      destination: { address: maskAddress(link.own, link.length), length: link.length },
      table: rt.RT_TABLE_MAIN,
      protocol: RTPROT_KERNEL,
      type: 'unicast',
      metric: 0,
      scope: rt.RT_SCOPE_LINK,
      hops: [{ gateway: null, ifindex: link.index, onlink: false, weight: 1 }],
    };
  }

  private linkValue({ index, name, up }: FakeLink): Extract<KernelEvent, { kind: 'link' }>['link'] {
    return { index, name, mtu: 1500, flags: flagsOf(up), operState: up ? 6 : 2, master: null };
  }
}

export { LOST };

/** By what the kernel tells routes apart. */
export function keyOf({ table, destination, metric }: Pick<Route, 'table' | 'destination' | 'metric'>): string {
  return `${table} ${formatPrefix(destination)} ${metric}`;
}

/** A route as others would make it. */
export function route(destination: string, gateway: string, ifindex: number, protocol: number, metric: number): Route {
  return {
    destination: prefix(destination),
    table: rt.RT_TABLE_MAIN,
    protocol,
    type: 'unicast',
    metric,
    scope: rt.RT_SCOPE_UNIVERSE,
    hops: [{ gateway: address(gateway), ifindex, onlink: false, weight: 1 }],
  };
}

function flagsOf(up: boolean): number {
  return up ? rt.IFF_UP | rt.IFF_RUNNING : 0;
}

function writeLink(writer: NetlinkWriter, { index, name, up }: FakeLink): void {
  writer.begin(rt.RTM_NEWLINK, 0);
  for (const word of [0, index, flagsOf(up), 0]) writer.u32(word);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.end();
}

function writeInterfaceAddress(writer: NetlinkWriter, { index, own, length }: FakeLink): void {
  writer.begin(rt.RTM_NEWADDR, 0);
  writer.u8x4(own.version === 4 ? rt.AF_INET : rt.AF_INET6, length, 0, 0);
  writer.u32(index);
  writeAddress(writer, rt.IFA_ADDRESS, own);
  writer.end();
}
