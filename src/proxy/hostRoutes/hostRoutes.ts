/**
 * Keeps this machine's routes to cluster IPs as they are wanted: follows services, the node's addresses and its links.
 * Impure: netlink sockets.
 */

import type { Clock, TimerHandle } from '../../core/clock.js';
import { parseAddress, sameAddress, type IpAddress } from '../../core/ip.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import { decodeInterfaceAddress, writeAddressDump } from '../../kernel/addresses.js';
import { decodeLink, writeLinkDump } from '../../kernel/links.js';
import { openMonitor, type KernelEvent, type KernelMonitor } from '../../kernel/monitor.js';
import { dumpAll, openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import type { Family, ProxyDelta, ProxySettings } from '../proxyTypes.js';
import { createHostRoutePlan, routeTerms, routeValue, type HostLinks, type RouteTerms } from './hostRoutePlan.js';
import { createHostRouteTarget } from './hostRouteTarget.js';

export type HostRouteSettings = Pick<ProxySettings, 'ipv4' | 'ipv6' | 'nodeAddresses' | 'serviceCidrs'>;

export interface HostRoutes {
  configure(settings: HostRouteSettings): void;
  apply(delta: Pick<ProxyDelta, 'addresses'>): void;
  /** The sources are complete: before this nothing is written, nor taken away. */
  begin(): void;
  /** Resolves when all that can be written is written. */
  idle(): Promise<void>;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

export interface HostRouteOptions {
  readonly clock: Clock;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval?: number;
  onEvent(event: ReconcilerEvent<string>): void;
}

const READ_BACK = 60_000;
/** Lets the rest of a burst of notifications arrive, in milliseconds. */
const GATHER = 200;
const RETRY = 2000;

/** Works in the network namespace of the calling thread. @throws SyscallError */
export function openHostRoutes(options: HostRouteOptions): HostRoutes {
  const channel = openRouteChannel();
  try {
    // Routes have no topic here: with a full table of BGP's they would be far too many to look at.
    return new OpenRoutes(options, channel, openMonitor({ topics: ['link', 'address'] }));
  } catch (error) {
    channel.close();
    throw error;
  }
}

class OpenRoutes implements HostRoutes {
  private readonly plan = createHostRoutePlan();
  private readonly reconciler: Reconciler<string, string>;
  private readonly terms = new Map<Family, RouteTerms>();
  private settings: HostRouteSettings | undefined;
  private found: HostLinks | undefined;
  private timer: TimerHandle | undefined;
  private looking: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly options: HostRouteOptions,
    private readonly channel: NetlinkChannel,
    private readonly monitor: KernelMonitor,
  ) {
    this.reconciler = createReconciler<string, string>({
      target: createHostRouteTarget(channel),
      clock: options.clock,
      equal: (a, b) => a === b,
      readBackInterval: options.readBackInterval ?? READ_BACK,
      onEvent: event => options.onEvent(event),
    });
    monitor.subscribe(events => this.take(events));
    this.look();
  }

  configure(settings: HostRouteSettings): void {
    this.settings = settings;
    const on = settings.serviceCidrs.filter(({ address }) => this.isOn(address.version));
    this.reconciler.apply(this.plan.setNetworks(on));
    this.review();
  }

  apply({ addresses }: Pick<ProxyDelta, 'addresses'>): void {
    const changes = this.plan.apply(addresses);
    if (changes.size > 0) this.reconciler.apply(changes);
  }

  begin(): void {
    // Without knowing the links everything would be taken away first.
    void this.looking.then(() => {
      if (!this.stopped) this.reconciler.begin();
    });
  }

  async idle(): Promise<void> {
    await this.looking;
    await this.reconciler.idle();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    this.monitor.close();
    await this.looking;
    await this.reconciler.stop();
    this.channel.close();
  }

  private isOn(family: Family): boolean {
    return (family === 4 ? this.settings?.ipv4 : this.settings?.ipv6) === true;
  }

  private take(events: readonly KernelEvent[]): void {
    // The kernel drops IPv4 routes without a word when their link goes down or their source goes away.
    if (events.some(event => this.concerns(event))) this.reconciler.readSoon();
    this.timer ??= this.options.clock.setTimeout(() => {
      this.timer = undefined;
      this.look();
    }, GATHER);
  }

  private concerns(event: KernelEvent): boolean {
    const terms = [...this.terms.values()];
    if (event.kind === 'link') return terms.some(({ ifindex }) => ifindex === event.link.index);
    if (event.kind === 'address') return terms.some(({ source }) => sameAddress(source, event.address.address));
    return event.kind === 'overrun';
  }

  private look(): void {
    this.looking = this.looking
      .then(() => this.readLinks())
      .catch((error: unknown) => {
        if (this.stopped) return;
        this.options.onEvent({ kind: 'error', text: error instanceof Error ? error.message : String(error) });
        this.timer ??= this.options.clock.setTimeout(() => {
          this.timer = undefined;
          this.look();
        }, RETRY);
      });
  }

  private async readLinks(): Promise<void> {
    if (this.stopped) return;
    const request = new NetlinkWriter(64);
    writeLinkDump(request);
    const links = await dumpAll(this.channel, request, decodeLink);
    request.reset();
    writeAddressDump(request);
    this.found = { links, addresses: await dumpAll(this.channel, request, decodeInterfaceAddress) };
    this.review();
  }

  private review(): void {
    const { found, settings } = this;
    if (found === undefined || settings === undefined) return;
    const own = settings.nodeAddresses.flatMap((text): readonly IpAddress[] => {
      const parsed = parseAddress(text);
      return parsed.ok ? [parsed.value] : [];
    });
    for (const family of [4, 6] as const) {
      const before = this.terms.get(family);
      const next = this.isOn(family) ? routeTerms(family, own, found, before) : undefined;
      if (sameTerms(before, next)) continue;
      if (next === undefined) this.terms.delete(family);
      else this.terms.set(family, next);
      this.reconciler.apply(this.plan.setTerms(family, next));
    }
  }
}

function sameTerms(a: RouteTerms | undefined, b: RouteTerms | undefined): boolean {
  return (a && routeValue(a)) === (b && routeValue(b));
}
