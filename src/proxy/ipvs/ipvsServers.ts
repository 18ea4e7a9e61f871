/**
 * Virtual servers, destinations and service addresses of both families: plan, reconciler and target together, and what
 * happened told in terms of frontends. Impure through what it is given.
 */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import type { Ipvs } from '../../kernel/ipvs/ipvs.js';
import type { FoundServer } from '../../kernel/ipvs/messages.js';
import type { ProxyEvent, TrafficCounters, KernelFrontend } from '../proxyBackend.js';
import type { FrontendKey, ProxyDelta, ProxySettings, ServicePortKey } from '../proxyTypes.js';
import { createIpvsPlan, type IpvsPlan, type IpvsPlanChanges } from './ipvsPlan.js';
import { createIpvsTarget, type IpvsTarget } from './ipvsTarget.js';
import { countersByPort, ipvsFrontend } from './kernelServers.js';
import type { ServerClaims } from './serverClaims.js';
import type { ServiceLink } from './serviceLink.js';
import { serverKey, type VirtualServer } from './virtualServers.js';
import * as wish from './wishes.js';
import type { Wish, WishKey } from './wishes.js';

export interface IpvsServersOptions {
  readonly ipvs: Pick<Ipvs, 'servers' | 'server' | 'destinations' | 'listing' | 'timeouts' | 'run'>;
  readonly link: ServiceLink;
  readonly claims: ServerClaims;
  readonly clock: Clock;
  /** Milliseconds between two readings at least. */
  readonly readBackInterval: number;
  /** All of this machine's addresses that are not on the services' link, as they are now. */
  readonly local: readonly IpAddress[];
  /** As the target has them. */
  readonly guarded?: (() => Promise<void>) | undefined;
  /** Whether the firewall has the source ranges of this frontend. */
  readonly isGuarded?: ((frontend: FrontendKey) => boolean) | undefined;
  readonly readingPart?: number | undefined;
  onEvent(event: ProxyEvent): void;
  /** What was wanted of these frontends is there: UDP flows that lead elsewhere are stale. */
  onSettled(frontends: readonly FrontendKey[]): void;
}

export interface IpvsServers {
  readonly plan: IpvsPlan;
  configure(settings: ProxySettings): void;
  /** Other addresses of this machine: node ports move, and sources. */
  setLocal(local: readonly IpAddress[]): void;
  /** Somebody may have touched what is ours. */
  readSoon(): void;
  apply(delta: ProxyDelta): void;
  /** Before `begin`, with all that is wanted known: what a former life left for services that are gone, goes. */
  sweep(): Promise<void>;
  begin(): void;
  read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]>;
  counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>>;
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** The longest that a timer takes: readings are asked for here. */
const NEVER = 2 ** 31 - 1;
/** Times as long as a reading took, nothing is read again. */
const READING_SHARE = 100;
/** Servers that are asked for one by one, where somebody looks at a service. */
const ALONE = 100;

export function createIpvsServers(options: IpvsServersOptions): IpvsServers {
  return new Servers(options);
}

class Servers implements IpvsServers {
  readonly plan = createIpvsPlan();
  private readonly wanted = new Set<WishKey>();
  private readonly target: IpvsTarget;
  private readonly reconciler: Reconciler<WishKey, Wish>;
  /** Frontends of which something was wanted that is not known to be done. */
  private readonly unsettled = new Set<FrontendKey>();
  /** Keys that went with frontends that are not wanted any more. */
  private readonly leaving = new Map<FrontendKey, readonly WishKey[]>();
  private readonly failed = new Map<FrontendKey, string>();
  private readonly known = new Map<FrontendKey, readonly WishKey[]>();
  /** Of frontends that are wanted: what they had and shall have no more. */
  private readonly parting = new Map<FrontendKey, Set<WishKey>>();
  private settings: ProxySettings | undefined;
  private local: readonly IpAddress[];
  private wishedAt: number | undefined;
  private readBack: TimerHandle | undefined;

  constructor(private readonly options: IpvsServersOptions) {
    this.local = options.local;
    this.target = createIpvsTarget({
      ...options,
      isWanted: key => this.wanted.has(key),
      present: () => this.reconciler.present,
      isGuarded: server => this.isGuarded(server),
      isPlace: server => this.plan.ownerOf(server) !== undefined,
      onError: text => options.onEvent({ kind: 'error', text }),
    });
    this.reconciler = createReconciler<WishKey, Wish>({
      target: this.target,
      clock: options.clock,
      equal: wish.sameWish,
      readBackInterval: NEVER,
      onEvent: event => this.onEvent(event),
    });
  }

  configure(settings: ProxySettings): void {
    this.settings = settings;
    this.target.configure(settings.ipvs);
    this.want(this.plan.configure(settings, this.local));
  }

  setLocal(local: readonly IpAddress[]): void {
    this.local = local;
    if (this.settings !== undefined) this.want(this.plan.configure(this.settings, local));
  }

  readSoon(): void {
    this.reconciler.readSoon();
  }

  apply(delta: ProxyDelta): void {
    for (const key of delta.frontends.removed) {
      if (this.plan.frontend(key) === undefined) continue;
      this.leaving.set(key, [...(this.known.get(key) ?? []), ...(this.parting.get(key) ?? [])]);
      this.known.delete(key);
      this.parting.delete(key);
      this.failed.delete(key);
      this.unsettled.delete(key);
    }
    for (const key of delta.frontends.set.keys()) this.leaving.delete(key);
    this.want(this.plan.apply(delta));
  }

  sweep(): Promise<void> {
    return this.target.sweep();
  }

  begin(): void {
    this.reconciler.begin();
    if (this.readBack === undefined) this.armReadBack();
  }

  /** The kernel tells nobody of changes to IPVS, so all of it is read now and then: for a hundredth of the time at most. */
  private armReadBack(): void {
    const { clock, readBackInterval } = this.options;
    const delay = Math.max(readBackInterval, READING_SHARE * this.target.readingTook);
    this.readBack = clock.setTimeout(() => {
      this.reconciler.readSoon();
      this.armReadBack();
    }, delay);
  }

  async read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]> {
    const frontends = keys.flatMap(key => this.plan.frontend(key) ?? []);
    if (frontends.length === 0) return [];
    const servers = await this.serversAt(frontends.flatMap(({ key }) => [...this.plan.serversOf(key).values()]));
    const byKey = new Map(servers.map(server => [serverKey(server), server]));
    const found: KernelFrontend[] = [];
    for (const frontend of frontends) {
      const own = [...this.plan.serversOf(frontend.key).keys()].flatMap(key => byKey.get(key) ?? []);
      const destinations = await Promise.all(own.map(server => this.options.ipvs.destinations(server)));
      const kernel = ipvsFrontend(frontend, this.plan.listsOf(frontend.servicePort), own, destinations);
      if (kernel !== undefined) found.push(kernel);
    }
    return found;
  }

  private async serversAt(wanted: readonly VirtualServer[]): Promise<readonly FoundServer[]> {
    const { ipvs } = this.options;
    if (wanted.length > ALONE) return ipvs.servers();
    return (await Promise.all(wanted.map(({ server }) => ipvs.server(server)))).flatMap(server => server ?? []);
  }

  async counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>> {
    return countersByPort(await this.options.ipvs.servers(), server => {
      const owner = this.plan.ownerOf(server);
      return owner === undefined ? undefined : this.plan.frontend(owner)?.servicePort;
    });
  }

  idle(): Promise<void> {
    return this.reconciler.idle();
  }

  async stop(): Promise<void> {
    this.readBack?.cancel();
    await this.reconciler.stop();
    await this.target.stop();
  }

  private want({ wishes, touched }: IpvsPlanChanges): void {
    for (const [key, value] of wishes) {
      if (value === undefined) this.wanted.delete(key);
      else this.wanted.add(key);
    }
    for (const key of touched) {
      if (this.plan.frontend(key) === undefined) continue;
      this.unsettled.add(key);
      this.part(key, this.plan.wishesOf(key));
    }
    if (wishes.size > 0) this.wishedAt ??= this.options.clock.now();
    this.reconciler.apply(wishes);
    // Wanted as it is already: nothing will be written for it.
    this.tellSettled();
  }

  private part(key: FrontendKey, after: readonly WishKey[]): void {
    const gone = this.parting.get(key) ?? new Set<WishKey>();
    for (const one of this.known.get(key) ?? []) gone.add(one);
    for (const one of gone) if (!isOwn(one) || this.wanted.has(one)) gone.delete(one);
    if (gone.size === 0) this.parting.delete(key);
    else this.parting.set(key, gone);
    this.known.set(key, after);
  }

  private onEvent(event: ReconcilerEvent<WishKey>): void {
    const { clock } = this.options;
    const onEvent = (told: ProxyEvent): void => this.options.onEvent(told);
    switch (event.kind) {
      case 'adopted':
        onEvent({ kind: 'adopted', count: this.countServers() });
        this.tellSettled();
        return;
      case 'written': {
        const seconds = (clock.now() - (this.wishedAt ?? clock.now())) / 1000;
        this.wishedAt = undefined;
        const frontends = new Set([...event.set, ...event.removed].flatMap(key => this.ownerOfKey(key) ?? []));
        onEvent({ kind: 'committed', seconds, frontends: frontends.size, full: false });
        this.tellSettled();
        return;
      }
      case 'failed':
        this.tellFailed(event.failures);
        return;
      case 'recovered':
        this.tellSettled();
        return;
      case 'drift':
        for (const key of event.keys) this.reviewKey(key);
        onEvent({ kind: 'drift', what: event.keys });
        return;
      case 'error':
        onEvent(event);
    }
  }

  /** What is not there any more is told again once it is. */
  private reviewKey(key: WishKey): void {
    const owner = this.ownerOfKey(key);
    if (owner !== undefined) this.unsettled.add(owner);
  }

  private tellSettled(): void {
    const settled = [...this.unsettled].filter(key => this.isSettled(key));
    for (const key of settled) {
      this.unsettled.delete(key);
      this.parting.delete(key);
    }
    const recovered = settled.filter(key => this.failed.delete(key));
    const { present } = this.reconciler;
    const gone = [...this.leaving].filter(([, keys]) => keys.every(key => this.wanted.has(key) || !present.has(key)));
    for (const [key] of gone) this.leaving.delete(key);
    const { options } = this;
    if (settled.length > 0) options.onEvent({ kind: 'programmed', frontends: settled });
    if (recovered.length > 0) options.onEvent({ kind: 'recovered', frontends: recovered });
    if (gone.length > 0) options.onEvent({ kind: 'removed', frontends: gone.map(([key]) => key) });
    const done = [...settled, ...gone.map(([key]) => key)];
    if (done.length > 0) options.onSettled(done);
  }

  /** A frontend that nobody serves is settled when its servers have gone, so that the firewall has the say. */
  private isSettled(key: FrontendKey): boolean {
    if (!this.reconciler.isSettled(wish.LINK_KEY)) return false;
    for (const one of this.parting.get(key) ?? [])
      if (!this.wanted.has(one) && this.reconciler.present.has(one)) return false;
    return (this.known.get(key) ?? []).every(one => this.reconciler.isSettled(one));
  }

  private tellFailed(failures: ReadonlyMap<WishKey, string>): void {
    const told = new Map<FrontendKey, string>();
    const others: string[] = [];
    for (const [key, text] of failures) {
      const line = `${key}: ${text}`;
      const vip = wish.vipOf(key);
      const owner = this.ownerOfKey(key);
      const owners = vip === undefined ? (owner === undefined ? [] : [owner]) : this.plan.frontendsAt(vip);
      if (owners.length === 0) others.push(line);
      // Of a server and its destinations, the server's own refusal is the one that says something.
      for (const frontend of owners) if (!told.has(frontend)) told.set(frontend, line);
    }
    for (const [key, text] of told) this.failed.set(key, text);
    if (told.size > 0) this.options.onEvent({ kind: 'failed', failures: told });
    if (others.length > 0) this.options.onEvent({ kind: 'error', text: others.slice(0, MOST_TOLD).join('; ') });
  }

  private ownerOfKey(key: WishKey): FrontendKey | undefined {
    const server = wish.serverOf(key);
    return server === undefined ? undefined : this.plan.ownerOf(server);
  }

  private isGuarded(server: string): boolean {
    const owner = this.plan.ownerOf(server);
    if (owner === undefined || this.plan.frontend(owner)?.sourceRanges === undefined) return true;
    return this.options.isGuarded?.(owner) !== false;
  }

  private countServers(): number {
    let count = 0;
    for (const [, { kind }] of this.reconciler.present.entries()) if (kind === 'server') count += 1;
    return count;
  }
}

/** Lines of one event. */
const MOST_TOLD = 10;

/** Whether a key is of one frontend alone. */
function isOwn(key: WishKey): boolean {
  return wish.serverOf(key) !== undefined;
}
