/**
 * The IPVS backend of the service proxy: virtual servers in the kernel's load balancer, addresses of services on a link of
 * their own, and a firewall beside them for what IPVS cannot say. Impure: netlink sockets.
 */

import { systemClock, type Clock, type TimerHandle } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { openIpvs, type Ipvs } from '../../kernel/ipvs/ipvs.js';
import { openChannel, openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../kernel/nftables/numbers.js';
import { openTransactions, type Transactions } from '../../kernel/nftables/transaction.js';
import type { KernelFrontend, ProxyBackend, ProxyEvent, TrafficCounters } from '../proxyBackend.js';
import type { FrontendKey, ProxyDelta, ProxySettings, ServicePortKey } from '../proxyTypes.js';
import { createIpvsFlows, type IpvsFlows } from './ipvsFlows.js';
import { createIpvsServers, type IpvsServers } from './ipvsServers.js';
import { createJointFrontends, type JointFrontends } from './jointFrontends.js';
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
  private timer: TimerHandle | undefined;
  private isStopped = false;

  constructor(
    private readonly sockets: Sockets,
    local: readonly IpAddress[],
    private readonly onEvent: (event: ProxyEvent) => void,
    private readonly clock: Clock,
    readBackInterval: number,
  ) {
    const { ipvs, routes, netfilter, transactions, addresses } = sockets;
    this.joint = createJointFrontends(['servers']);
    this.flows = createIpvsFlows(netfilter, onEvent);
    this.servers = createIpvsServers({
      ipvs,
      link: createServiceLink(routes),
      claims: createServerClaims(netfilter, transactions),
      clock,
      readBackInterval,
      local,
      onEvent: event => {
        const told = this.joint.take('servers', event);
        if (told !== undefined) onEvent(told);
      },
      onSettled: frontends => this.cleanFlows(frontends),
    });
    addresses.watch(() => this.reviewSoon());
  }

  configure(settings: ProxySettings): void {
    this.servers.configure(settings);
  }

  apply(delta: ProxyDelta): void {
    this.joint.apply(delta);
    this.flows.apply(delta);
    this.servers.apply(delta);
  }

  begin(): void {
    this.servers.begin();
  }

  read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]> {
    return this.servers.read(keys);
  }

  counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>> {
    return this.servers.counters();
  }

  async idle(): Promise<void> {
    await this.servers.idle();
    await this.flows.idle();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.timer?.cancel();
    await this.servers.stop();
    await this.flows.idle();
    const { ipvs, routes, netfilter, transactions, addresses } = this.sockets;
    for (const socket of [addresses, ipvs, routes, netfilter, transactions]) socket.close();
  }

  private cleanFlows(frontends: readonly FrontendKey[]): void {
    const { plan } = this.servers;
    this.flows.settled(frontends, ({ servicePort }) => plan.listsOf(servicePort), plan.nodePortAddresses);
  }

  private reviewSoon(): void {
    this.timer ??= this.clock.setTimeout(() => void this.review(), GATHER);
  }

  /** Addresses or links have changed: node ports may move, and our own link may be what changed. */
  private async review(): Promise<void> {
    this.timer = undefined;
    try {
      const local = await this.sockets.addresses.read();
      if (this.isStopped) return;
      this.servers.setLocal(local);
      this.servers.readSoon();
    } catch (error) {
      if (this.isStopped) return;
      this.onEvent({ kind: 'error', text: `addresses of this machine: ${String(error)}` });
      this.reviewSoon();
    }
  }
}
