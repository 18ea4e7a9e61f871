/**
 * The IPVS backend of the service proxy: virtual servers in the kernel's load balancer, addresses of services on a link of
 * their own, and a firewall beside them for what IPVS cannot say. Impure: netlink sockets.
 */

import { isDeepStrictEqual } from 'node:util';
import { systemClock, type Clock, type TimerHandle } from '../../core/clock.js';
import { formatAddress, type IpAddress } from '../../core/ip.js';
import type { IpText } from '../../kube/objectTypes.js';
import { openIpvs, type Ipvs } from '../../kernel/ipvs/ipvs.js';
import { openChannel, openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../kernel/nftables/numbers.js';
import { openTransactions, type Transactions } from '../../kernel/nftables/transaction.js';
import type { KernelFrontend, ProxyBackend, ProxyEvent, TrafficCounters } from '../proxyBackend.js';
import type { FamilyTable } from '../nftables/familyTable.js';
import type { Family, FrontendKey, ProxyDelta, ProxySettings, ServicePortKey } from '../proxyTypes.js';
import { createIpvsFirewall } from './firewall.js';
import { createHeldRemovals } from './heldRemovals.js';
import { createIpvsFlows, type IpvsFlows } from './ipvsFlows.js';
import { createIpvsServers, type IpvsServers } from './ipvsServers.js';
import { createJointFrontends, type JointFrontends, type Part } from './jointFrontends.js';
import { openLocalAddresses, type LocalAddresses } from './localAddresses.js';
import { createServerClaims } from './serverClaims.js';
import { createServiceLink, SERVICE_LINK } from './serviceLink.js';

export interface IpvsProxyOptions {
  readonly clock?: Clock;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval?: number;
}

const READ_BACK = 60_000;
/** Lets the rest of a burst of notifications arrive, in milliseconds. */
const GATHER = 200;

interface Sockets {
  readonly ipvs: Ipvs;
  readonly routes: NetlinkChannel;
  readonly netfilter: NetlinkChannel;
  readonly transactions: Transactions;
  readonly addresses: LocalAddresses;
}

/**
 * Opens its sockets before it returns for the first time, in the network namespace of the calling thread.
 * @returns the reason when the kernel has no IPVS
 * @throws SyscallError
 */
export async function openIpvsProxy(
  onEvent: (event: ProxyEvent) => void,
  { clock = systemClock, readBackInterval = READ_BACK }: IpvsProxyOptions = {},
): Promise<ProxyBackend | string> {
  const opening = openIpvs();
  const opened: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(socket: T): T => {
    opened.push(socket);
    return socket;
  };
  try {
    const routes = keep(openRouteChannel());
    const netfilter = keep(openChannel(NETLINK_NETFILTER));
    const transactions = keep(openTransactions());
    const addresses = keep(openLocalAddresses(routes, SERVICE_LINK));
    const ipvs = await opening;
    if (typeof ipvs !== 'string') {
      keep(ipvs);
      const local = await addresses.read();
      return new IpvsProxy(
        { ipvs, routes, netfilter, transactions, addresses },
        local,
        onEvent,
        clock,
        readBackInterval,
      );
    }
    for (const socket of opened) socket.close();
    return ipvs;
  } catch (error) {
    for (const socket of opened) socket.close();
    throw error;
  }
}

class IpvsProxy implements ProxyBackend {
  readonly kind = 'ipvs';
  private readonly servers: IpvsServers;
  private readonly joint: JointFrontends;
  private readonly flows: IpvsFlows;
  private readonly held = createHeldRemovals();
  private readonly firewalls: ReadonlyMap<Family, FamilyTable>;
  private settings: ProxySettings | undefined;
  private hasBegun = false;
  private sweeping: Promise<void> | undefined;
  private hasSwept = false;
  private timer: TimerHandle | undefined;
  private isStopped = false;

  constructor(
    private readonly sockets: Sockets,
    private local: readonly IpAddress[],
    private readonly onEvent: (event: ProxyEvent) => void,
    private readonly clock: Clock,
    readBackInterval: number,
  ) {
    const { ipvs, routes, netfilter, transactions, addresses } = sockets;
    this.joint = createJointFrontends(['servers', 'firewall']);
    this.flows = createIpvsFlows(netfilter, onEvent);
    this.servers = createIpvsServers({
      ipvs,
      link: createServiceLink(routes),
      claims: createServerClaims(netfilter, transactions),
      clock,
      readBackInterval,
      local,
      guarded: async () => {
        await Promise.all(this.running.map(firewall => firewall.idle()));
      },
      isGuarded: frontend => this.joint.isDone('firewall', frontend),
      onEvent: event => this.tell('servers', event),
      onSettled: frontends => this.cleanFlows(frontends),
    });
    const firewall = (family: Family): FamilyTable =>
      createIpvsFirewall({
        family,
        channel: netfilter,
        transactions,
        clock,
        readBackInterval,
        onEvent: event => this.tell('firewall', event),
      });
    this.firewalls = new Map(([4, 6] as const).map(family => [family, firewall(family)]));
    addresses.watch(what => {
      if (what === 'link') this.servers.readSoon();
      else this.reviewSoon();
    });
  }

  configure(settings: ProxySettings): void {
    this.settings = settings;
    this.servers.configure(settings);
    this.configureFirewalls();
    if (this.hasBegun) this.begin();
  }

  apply(delta: ProxyDelta): void {
    this.joint.apply(delta);
    this.flows.apply(delta);
    this.tellFirewalls(this.held.hold(delta));
    this.servers.apply(delta);
  }

  begin(): void {
    this.hasBegun = true;
    // What is gone must be closed before the firewall forgets who was allowed there.
    this.sweeping ??= this.servers.sweep().then(() => {
      this.hasSwept = true;
      this.beginParts();
    });
    if (this.hasSwept) this.beginParts();
  }

  private beginParts(): void {
    if (this.isStopped) return;
    for (const firewall of this.running) firewall.begin();
    this.servers.begin();
  }

  /** What the firewall closes has no servers, or ones that take nobody new. */
  async read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]> {
    const closed = (await Promise.all(this.running.map(firewall => firewall.read(keys)))).flat();
    const isClosed = new Set(closed.map(({ key }) => key));
    return [...closed, ...(await this.servers.read(keys.filter(key => !isClosed.has(key))))];
  }

  counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>> {
    return this.servers.counters();
  }

  async idle(): Promise<void> {
    await this.sweeping;
    // What servers leave behind is the firewall's to do.
    await this.servers.idle();
    await Promise.all(this.running.map(firewall => firewall.idle()));
    await this.flows.idle();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.timer?.cancel();
    await this.sweeping;
    await Promise.all([this.servers.stop(), ...[...this.firewalls.values()].map(firewall => firewall.stop())]);
    await this.flows.idle();
    const { ipvs, routes, netfilter, transactions, addresses } = this.sockets;
    for (const socket of [addresses, ipvs, routes, netfilter, transactions]) socket.close();
  }

  /** Of the families that services are served in. */
  private get running(): readonly FamilyTable[] {
    const isOn = { 4: this.settings?.ipv4 === true, 6: this.settings?.ipv6 === true };
    return [...this.firewalls].flatMap(([family, firewall]) => (isOn[family] ? [firewall] : []));
  }

  /** The firewall is told of all addresses of this machine, which it does not guard. */
  private configureFirewalls(): void {
    if (this.settings === undefined) return;
    const nodeAddresses = this.local.map(address => formatAddress(address) as IpText);
    for (const firewall of this.firewalls.values()) firewall.configure({ ...this.settings, nodeAddresses });
  }

  private tell(part: Part, event: ProxyEvent): void {
    const told = this.joint.take(part, event);
    if (told !== undefined) this.onEvent(told);
    const follows = part === 'servers' && event.kind === 'removed' ? this.held.release(event.frontends) : undefined;
    if (follows !== undefined) this.tellFirewalls(follows);
  }

  private tellFirewalls(delta: ProxyDelta): void {
    for (const firewall of this.firewalls.values()) firewall.apply(delta);
  }

  private cleanFlows(frontends: readonly FrontendKey[]): void {
    const { plan } = this.servers;
    this.flows.settled(frontends, ({ servicePort }) => plan.listsOf(servicePort), plan.nodePortAddresses);
  }

  private reviewSoon(): void {
    this.timer ??= this.clock.setTimeout(() => void this.review(), GATHER);
  }

  /** Other addresses: node ports move, and with an address that went the kernel took routes that had it as source. */
  private async review(): Promise<void> {
    this.timer = undefined;
    try {
      const local = await this.sockets.addresses.read();
      if (this.isStopped || isDeepStrictEqual(local, this.local)) return;
      this.local = local;
      this.servers.setLocal(local);
      this.configureFirewalls();
      this.servers.readSoon();
    } catch (error) {
      if (this.isStopped) return;
      this.onEvent({ kind: 'error', text: `addresses of this machine: ${String(error)}` });
      this.reviewSoon();
    }
  }
}
