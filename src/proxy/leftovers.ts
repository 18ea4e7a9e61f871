/**
 * What a backend of the service proxy leaves in the kernel, taken away whole: after a change of mode, and in a cleanup. It is
 * known by its marks alone: names of tables, and the protocol of routes. Impure: netlink.
 */

import { formatAddress, type IpPrefix } from '../core/ip.js';
import { openIpvs, type Ipvs, type IpvsCommand } from '../kernel/ipvs/ipvs.js';
import type { FoundServer } from '../kernel/ipvs/messages.js';
import {
  dumpAll,
  NetlinkError,
  openChannel,
  openRouteChannel,
  type NetlinkChannel,
} from '../kernel/netlink/channel.js';
import { NetlinkWriter } from '../kernel/netlink/writer.js';
import { NETLINK_NETFILTER } from '../kernel/nftables/numbers.js';
import { removeTable } from '../kernel/nftables/removal.js';
import { openTransactions, type Transactions } from '../kernel/nftables/transaction.js';
import { RouteScan } from '../kernel/routeScan.js';
import { routeOf, writeRouteDump, type Route } from '../kernel/routes.js';
import * as rt from '../kernel/rtnetlink.js';
import { removeDirectReturn } from './dsr/dsrLeftovers.js';
import { runtimeAt, type OpenRuntime } from './dsr/lazyRuntime.js';
import { PACKET_TABLE } from './dsr/packetRules.js';
import { removeHostRoutes } from './hostRoutes/hostRouteTarget.js';
import { FIREWALL_TABLE } from './ipvs/firewall.js';
import { ownServers } from './ipvs/ipvsReading.js';
import { CLAIMS_TABLE, createServerClaims } from './ipvs/serverClaims.js';
import { createServiceLink, findLink, SERVICE_LINK } from './ipvs/serviceLink.js';
import { PROXY_TABLE } from './nftables/proxyTable.js';
import type { ProxyBackend } from './proxyBackend.js';

export interface Removal {
  /** What was taken away, a line each. */
  readonly removed: readonly string[];
  /** What had to be left, and why. */
  readonly left: readonly string[];
}

export interface Leftovers {
  /** Established connections of virtual servers of ours; 0 for nftables, of which the kernel tracks them without us. */
  connections(backend: ProxyBackend['kind']): Promise<number>;
  /** All that a backend of this kind has put into the kernel. Nothing of it may run. */
  remove(backend: ProxyBackend['kind']): Promise<Removal>;
  close(): void;
}

export interface LeftoversOptions {
  /** Virtual servers in these are nobody's to delete. Default: none. */
  readonly excluded?: readonly IpPrefix[];
  /** Asked for this node's pods, if they may have tunnels of direct server return. Default: at the usual places. */
  readonly openRuntime?: OpenRuntime;
}

/** Works in the network namespace of the calling thread. @throws SyscallError */
export function openLeftovers({ excluded = [], openRuntime = runtimeAt(undefined) }: LeftoversOptions = {}): Leftovers {
  const opened: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(socket: T): T => {
    opened.push(socket);
    return socket;
  };
  try {
    const routes = keep(openRouteChannel());
    const netfilter = keep(openChannel(NETLINK_NETFILTER));
    const transactions = keep(openTransactions());
    // A module that is not there has nothing of ours.
    const ipvs = openIpvs(() => Promise.resolve('not loaded'));
    return new OpenLeftovers({ routes, netfilter, transactions, ipvs, excluded, openRuntime });
  } catch (error) {
    for (const socket of opened) socket.close();
    throw error;
  }
}

interface Tools {
  readonly routes: NetlinkChannel;
  readonly netfilter: NetlinkChannel;
  readonly transactions: Transactions;
  readonly ipvs: Promise<Ipvs | string>;
  readonly excluded: readonly IpPrefix[];
  readonly openRuntime: OpenRuntime;
}

/** Of all that is there for IPVS, what is ours. */
interface OwnIpvs {
  readonly servers: readonly FoundServer[];
  /** The services' link, if routes on it are ours. */
  readonly link: string | undefined;
  readonly routes: readonly Route[];
}

class OpenLeftovers implements Leftovers {
  constructor(private readonly tools: Tools) {}

  async connections(backend: ProxyBackend['kind']): Promise<number> {
    const ipvs = await this.tools.ipvs;
    if (backend === 'nftables' || typeof ipvs === 'string') return 0;
    const { servers } = await this.ownIpvs(ipvs);
    let open = 0;
    for (const server of servers) for (const { active } of await ipvs.destinations(server)) open += active;
    return open;
  }

  async remove(backend: ProxyBackend['kind']): Promise<Removal> {
    const report: { readonly removed: string[]; readonly left: string[] } = { removed: [], left: [] };
    const steps =
      backend === 'nftables'
        ? [() => this.removeTable(PROXY_TABLE.table, report), () => this.removeRoutes(report)]
        : [() => this.removeIpvs(report)];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        report.left.push(error instanceof Error ? error.message : String(error));
      }
    }
    return report;
  }

  close(): void {
    const { routes, netfilter, transactions, ipvs } = this.tools;
    for (const socket of [routes, netfilter, transactions]) socket.close();
    void ipvs.then(opened => {
      if (typeof opened !== 'string') opened.close();
    });
  }

  private async removeRoutes(report: Report): Promise<void> {
    const { removed, refused } = await removeHostRoutes(this.tools.routes);
    if (removed > 0) report.removed.push(`${removed} routes to services`);
    if (refused.length > 0) report.left.push(`${refused.length} routes to services: ${refused[0] ?? ''}`);
  }

  /** The firewall goes last: as long as addresses are this machine's own, it guards them. */
  private async removeIpvs(report: Report): Promise<void> {
    const ipvs = await this.tools.ipvs;
    if (typeof ipvs !== 'string') {
      const { servers, link, routes } = await this.ownIpvs(ipvs);
      await removeServers(ipvs, servers, report);
      if (link !== undefined) await this.removeLink(link, routes, report);
    }
    await this.removeDsr(report);
    for (const table of [PACKET_TABLE, CLAIMS_TABLE, FIREWALL_TABLE.table]) await this.removeTable(table, report);
  }

  private async removeDsr(report: Report): Promise<void> {
    const { removed, left } = await removeDirectReturn(this.tools.routes, this.tools.openRuntime);
    report.removed.push(...removed);
    report.left.push(...left);
  }

  private async ownIpvs(ipvs: Ipvs): Promise<OwnIpvs> {
    const { routes: channel, netfilter, transactions, excluded } = this.tools;
    const claims = await createServerClaims(netfilter, transactions).read();
    const link = await findLink(channel, SERVICE_LINK);
    const all = link === undefined ? [] : await readLocalRoutes(channel);
    const routes = all.filter(({ hops }) => hops.some(({ ifindex }) => ifindex === link?.index));
    const vips = routes.map(({ destination, source }) => ({ address: destination.address, source }));
    const reading = { link: { isUp: true, vips, addresses: [] }, claims, servers: await ipvs.servers() };
    const servers = ownServers(reading, { excluded, isWanted: () => false });
    return { servers, link: routes.length === 0 ? undefined : link?.name, routes };
  }

  /** With its routes; where somebody else has addresses on it, these alone go. */
  private async removeLink(name: string, routes: readonly Route[], report: Report): Promise<void> {
    const link = createServiceLink(this.tools.routes, name);
    const reading = await link.read();
    if ((reading?.addresses.length ?? 0) === 0) {
      const refused = await link.remove();
      if (refused === undefined) report.removed.push(`link ${name} with ${routes.length} addresses of services`);
      else report.left.push(`link ${name}: ${refused}`);
      return;
    }
    const vips = routes.map(({ destination, source }) => ({ address: destination.address, source }));
    const refusals = await link.routes('delete', vips);
    report.removed.push(`${vips.length - refusals.size} addresses of services on ${name}`);
    for (const [i, text] of refusals)
      report.left.push(`route to ${formatAddress(vips[i]!.address)} on ${name}: ${text}`);
  }

  private async removeTable(name: string, report: Report): Promise<void> {
    for (const family of ['ip', 'ip6'] as const) {
      const table = { family, name };
      if (await removeTable(this.tools.netfilter, this.tools.transactions, table))
        report.removed.push(`nftables table ${family} ${name}`);
    }
  }
}

interface Report {
  readonly removed: string[];
  readonly left: string[];
}

async function removeServers(ipvs: Ipvs, servers: readonly FoundServer[], report: Report): Promise<void> {
  if (servers.length === 0) return;
  const commands = servers.map((server): IpvsCommand => ({ kind: 'removeServer', server }));
  const refusals = await ipvs.run(commands);
  report.removed.push(`${servers.length - refusals.size} virtual servers`);
  for (const [i, text] of refusals) {
    const { address, protocol, port } = servers[i]!;
    report.left.push(`virtual server ${formatAddress(address)} ${protocol} ${port}: ${text}`);
  }
}

/** Local routes of ours, in both families. */
async function readLocalRoutes(channel: NetlinkChannel): Promise<readonly Route[]> {
  const found: Route[] = [];
  for (const family of [rt.AF_INET, rt.AF_INET6] as const) {
    const scan = new RouteScan();
    const request = new NetlinkWriter(64);
    writeRouteDump(request, family, rt.RT_TABLE_LOCAL, rt.RTPROT_BGP);
    try {
      const routes = await dumpAll(channel, request, reply =>
        scan.read(reply) && scan.table === rt.RT_TABLE_LOCAL && scan.protocol === rt.RTPROT_BGP
          ? routeOf(scan)
          : undefined,
      );
      found.push(...routes);
    } catch (error) {
      // A kernel without IPv6.
      if (!(error instanceof NetlinkError && family === rt.AF_INET6)) throw error;
    }
  }
  return found;
}
