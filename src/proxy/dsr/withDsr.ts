/**
 * An IPVS backend with direct server return: addresses of such services reach it by a table of their own, and this node's pods
 * are prepared to answer for them. Impure.
 */

import { addressBits, formatPrefix, parseAddress } from '../../core/ip.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import { decodeLink, writeLinkDump } from '../../kernel/links.js';
import { dumpAll, NetlinkError, openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import type { Nft } from '../../kernel/nft.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRouteQuery } from '../../kernel/routes.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { OpenProxyBackend, ProxyBackend } from '../proxyBackend.js';
import type { ProxyDelta } from '../proxyTypes.js';
import { createDsrPlan, familyOf, type DsrChanges } from './dsrPlan.js';
import { createDsrPods, type DsrPods, type DsrPodsOptions } from './dsrPods.js';
import { createDsrRouteTarget, ruleKey } from './dsrRoutes.js';
import { applyInPod } from './podTunnel.js';
import { keepPacketRules, packetScript } from './packetRules.js';

export interface DsrOptions extends Pick<DsrPodsOptions, 'clock' | 'openRuntime'> {
  readonly nft: Nft;
  /** Links that pods answer by: their reverse path filters must not be strict. Called again and again. */
  readonly loosen: (links: readonly string[]) => void;
  /** What is wrong now, by what it concerns. */
  readonly onProblems: (problems: ReadonlyMap<string, string>) => void;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval?: number;
}

const READ_BACK = 60_000;

export function withDsr(open: OpenProxyBackend, options: DsrOptions): OpenProxyBackend {
  return async onEvent => {
    // Opened first: sockets belong to the network namespace in which they are opened.
    const channel = openRouteChannel();
    const backend = await open(onEvent);
    if (backend.kind === 'ipvs') return new DsrBackend(backend, channel, options);
    channel.close();
    return backend;
  };
}

class DsrBackend implements ProxyBackend {
  readonly kind = 'ipvs';
  private readonly plan = createDsrPlan();
  private readonly routes: Reconciler<string, string>;
  private readonly pods: DsrPods;
  private readonly vips = new Set<IpText>();
  private readonly problems = { routes: new Map<string, string>(), pods: new Map<string, string>(), other: '' };
  private mtu: number | undefined;
  private packetRules: string | undefined;
  private reviewing: Promise<void> = Promise.resolve();

  constructor(
    private readonly backend: ProxyBackend,
    private readonly channel: NetlinkChannel,
    private readonly options: DsrOptions,
  ) {
    const { clock, openRuntime, readBackInterval = READ_BACK } = options;
    this.routes = createReconciler<string, string>({
      target: createDsrRouteTarget(channel),
      clock,
      equal: () => true,
      readBackInterval,
      onEvent: event => this.takeRoutes(event),
    });
    this.pods = createDsrPods({
      clock,
      openRuntime,
      apply: applyInPod,
      onProblems: problems => this.tell(() => (this.problems.pods = new Map(problems))),
      onMtu: mtu => {
        this.mtu = mtu;
        this.review();
      },
    });
  }

  configure(settings: Parameters<ProxyBackend['configure']>[0]): void {
    this.backend.configure(settings);
  }

  apply(delta: ProxyDelta): void {
    const changes = this.plan.apply(delta);
    this.wantRoutes(changes);
    this.pods.want(changes.pods);
    this.backend.apply(changes.delta);
  }

  begin(): void {
    this.backend.begin();
    this.routes.begin();
  }

  read(...given: Parameters<ProxyBackend['read']>): ReturnType<ProxyBackend['read']> {
    return this.backend.read(...given);
  }

  counters(): ReturnType<ProxyBackend['counters']> {
    return this.backend.counters();
  }

  async idle(): Promise<void> {
    await Promise.all([this.backend.idle(), this.routes.idle(), this.reviewing]);
  }

  async stop(): Promise<void> {
    await this.pods.stop();
    await this.reviewing;
    await this.routes.stop();
    await this.backend.stop();
    this.channel.close();
  }

  private wantRoutes({ addresses }: DsrChanges): void {
    if (addresses.set.size + addresses.removed.size === 0) return;
    for (const vip of addresses.removed) this.vips.delete(vip);
    for (const vip of addresses.set.keys()) this.vips.add(vip);
    const changes = new Map<string, string | undefined>();
    for (const vip of addresses.removed) changes.set(prefixOf(vip), undefined);
    for (const vip of addresses.set.keys()) changes.set(prefixOf(vip), '');
    for (const family of [4, 6] as const) {
      const isUsed = [...this.vips].some(vip => familyOf(vip) === family);
      changes.set(ruleKey(family), isUsed ? '' : undefined);
    }
    this.routes.apply(changes);
    this.review();
  }

  private takeRoutes(event: ReconcilerEvent<string>): void {
    const { routes } = this.problems;
    if (event.kind === 'failed') this.tell(() => event.failures.forEach((text, key) => routes.set(key, text)));
    if (event.kind === 'recovered') this.tell(() => event.keys.forEach(key => routes.delete(key)));
    if (event.kind === 'error') this.tell(() => routes.set('routes', event.text));
    if (event.kind === 'written') this.tell(() => routes.delete('routes'));
  }

  /** What depends on where pods are besides on addresses: rules for packets, and the filters of links. */
  private review(): void {
    this.reviewing = this.reviewing.then(async () => {
      try {
        // Where there never was any, nft(8) is not needed.
        const script = packetScript([...this.vips], this.mtu);
        if (this.packetRules !== undefined || this.vips.size > 0)
          this.packetRules = await keepPacketRules(this.options.nft, script, this.packetRules);
        this.options.loosen(await this.linksOfPods());
        this.tell(() => (this.problems.other = ''));
      } catch (error) {
        this.tell(() => (this.problems.other = error instanceof Error ? error.message : String(error)));
      }
    });
  }

  private async linksOfPods(): Promise<readonly string[]> {
    const indices = new Set<number>();
    for (const pod of this.plan.pods.keys())
      if (familyOf(pod) === 4) for (const index of await linksTo(this.channel, pod)) indices.add(index);
    if (indices.size === 0) return [];
    const request = new NetlinkWriter(64);
    writeLinkDump(request);
    const links = await dumpAll(this.channel, request, decodeLink);
    return links.flatMap(({ index, name }) => (indices.has(index) ? [name] : []));
  }

  private tell(change: () => unknown): void {
    change();
    const { routes, pods, other } = this.problems;
    this.options.onProblems(new Map([...routes, ...pods, ...(other === '' ? [] : [['this node', other] as const])]));
  }
}

async function linksTo(channel: NetlinkChannel, pod: IpText): Promise<readonly number[]> {
  const address = parseAddress(pod);
  if (!address.ok) return [];
  const request = new NetlinkWriter(64);
  writeRouteQuery(request, address.value);
  const scan = new RouteScan();
  try {
    const routes = await dumpAll(channel, request, reply => (scan.read(reply) ? routeOf(scan) : undefined));
    return routes.flatMap(({ hops }) => hops.map(({ ifindex }) => ifindex));
  } catch (error) {
    // No way there: then there are no answers from there either.
    if (error instanceof NetlinkError) return [];
    throw error;
  }
}

/** @throws RangeError when it is no address: the derivation's mistake */
function prefixOf(vip: IpText): string {
  const address = parseAddress(vip);
  if (!address.ok) throw new RangeError(address.error);
  return formatPrefix({ address: address.value, length: addressBits(address.value) });
}
