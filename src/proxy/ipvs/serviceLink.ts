/**
 * The link that addresses of services belong to: a dummy one, with a local route for each address, so that packets to it
 * come to this machine's IPVS whatever link they arrived on. Impure: rtnetlink.
 *
 * The route alone makes the address this machine's own. An address on the link besides would make the kernel walk through all
 * of them for each new one, would show thousands of addresses to whoever looks for this machine's, and for IPv6 would be the
 * source of the machine's own connections to it, which a remote endpoint could not answer.
 */

import { addressBits, type IpAddress } from '../../core/ip.js';
import {
  decodeInterfaceAddress,
  writeAddressDump,
  writeAddressRemoval,
  type InterfaceAddress,
} from '../../kernel/addresses.js';
import { writeLinkRequest, writeNewDummy, writeSilentUp } from '../../kernel/dummy.js';
import { errnoName } from '../../kernel/libc.js';
import { decodeLink, type Link } from '../../kernel/links.js';
import { describeErrno, dumpAll, NetlinkError, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRoute, writeRouteDump, type Route, type RouteCommand } from '../../kernel/routes.js';
import * as rt from '../../kernel/rtnetlink.js';
import { writeLinkDelete, writeNoAutomaticAddresses } from '../../kernel/tunnels.js';

/** As kube-router has it, so that what that left is adopted. */
export const SERVICE_LINK = 'kube-dummy-if';

/** An address of services, and the source that this machine's own packets to it have. */
export interface Vip {
  readonly address: IpAddress;
  readonly source: IpAddress | undefined;
}

export interface LinkReading {
  readonly isUp: boolean;
  readonly vips: readonly Vip[];
  /** On the link itself, as kube-router and kube-proxy have them; link-local ones are not told. */
  readonly addresses: readonly InterfaceAddress[];
}

export interface ServiceLink {
  /** @returns undefined when there is no such link */
  read(): Promise<LinkReading | undefined>;
  /** Makes the link if need be, and takes it up. @returns why it could not */
  open(): Promise<string | undefined>;
  /** @returns the reasons of refusals, by index; what is gone already is no refusal */
  routes(command: RouteCommand, vips: readonly Vip[]): Promise<ReadonlyMap<number, string>>;
  removeAddresses(addresses: readonly InterfaceAddress[]): Promise<ReadonlyMap<number, string>>;
  /** With all its routes. @returns why it could not; undefined also when there was none */
  remove(): Promise<string | undefined>;
}

/** IPv6 takes it where nothing is said; the kernel's own route of an address has 0 and goes before. */
const METRIC_IPV6 = 1024;
/** Messages a batch. */
const BATCH = 1000;
const GONE: ReadonlySet<string> = new Set(['ESRCH', 'EADDRNOTAVAIL', 'ENODEV']);

/** @param channel rtnetlink */
export function createServiceLink(channel: NetlinkChannel, name = SERVICE_LINK): ServiceLink {
  return new DummyLink(channel, name);
}

/** @returns undefined when there is no link of the name */
export async function findLink(channel: NetlinkChannel, name: string): Promise<Link | undefined> {
  const request = new NetlinkWriter(64);
  writeLinkRequest(request, name);
  try {
    const [link] = await dumpAll(channel, request, decodeLink);
    return link;
  } catch (error) {
    if (error instanceof NetlinkError && errnoName(error.errno) === 'ENODEV') return undefined;
    throw error;
  }
}

class DummyLink implements ServiceLink {
  private ifindex = 0;

  constructor(
    private readonly channel: NetlinkChannel,
    private readonly name: string,
  ) {}

  async read(): Promise<LinkReading | undefined> {
    const link = await findLink(this.channel, this.name);
    if (link === undefined) return undefined;
    this.ifindex = link.index;
    const request = new NetlinkWriter(64);
    writeAddressDump(request);
    const addresses = await dumpAll(this.channel, request, decodeInterfaceAddress);
    const vips = [...(await this.readRoutes(rt.AF_INET)), ...(await this.readRoutes(rt.AF_INET6))];
    return {
      isUp: (link.flags & rt.IFF_UP) !== 0,
      vips,
      addresses: addresses.filter(({ ifindex, scope }) => ifindex === link.index && scope !== rt.RT_SCOPE_LINK),
    };
  }

  async open(): Promise<string | undefined> {
    const writer = new NetlinkWriter(256);
    writeNewDummy(writer, this.name);
    // Refused where there is no IPv6: then there are none to keep away.
    writeNoAutomaticAddresses(writer, this.name);
    writeSilentUp(writer, this.name);
    const { errnos, texts } = await this.channel.transact(writer);
    const link = await findLink(this.channel, this.name);
    if (link === undefined) return describeErrno(errnos[0]!, texts.get(0));
    this.ifindex = link.index;
    return errnos[2] === 0 ? undefined : describeErrno(errnos[2]!, texts.get(2));
  }

  routes(command: RouteCommand, vips: readonly Vip[]): Promise<ReadonlyMap<number, string>> {
    return this.run(vips, (writer, vip) => writeRoute(writer, command, this.routeTo(vip, command)), command);
  }

  async removeAddresses(addresses: readonly InterfaceAddress[]): Promise<ReadonlyMap<number, string>> {
    const isFour = addresses.some(({ address }) => address.version === 4);
    const vips = isFour ? await this.readRoutes(rt.AF_INET) : [];
    const refusals = await this.run(addresses, writeAddressRemoval, 'delete');
    // With its last IPv4 address a link loses all its IPv4 routes, whoever made them.
    await this.routes('create', vips);
    return refusals;
  }

  async remove(): Promise<string | undefined> {
    const refusals = await this.run([this.name], writeLinkDelete, 'delete');
    return refusals.get(0);
  }

  private async readRoutes(family: rt.AddressFamily): Promise<readonly Vip[]> {
    const request = new NetlinkWriter(64);
    writeRouteDump(request, family, rt.RT_TABLE_LOCAL);
    const scan = new RouteScan();
    try {
      return await dumpAll(this.channel, request, message => {
        if (!scan.read(message) || scan.cloned || !this.isVip(scan)) return undefined;
        const { destination, source } = routeOf(scan);
        return { address: destination.address, source };
      });
    } catch (error) {
      // A kernel without IPv6.
      if (error instanceof NetlinkError && family === rt.AF_INET6) return [];
      throw error;
    }
  }

  /** The kernel's own route of an IPv6 address on the link goes with that address only. */
  private isVip(scan: RouteScan): boolean {
    const isHost = scan.length === (scan.family === rt.AF_INET ? 32 : 128);
    const isOwn = scan.family === rt.AF_INET || scan.metric === METRIC_IPV6;
    const isHere = scan.hopCount === 1 && scan.hopIfindex[0] === this.ifindex;
    return scan.type === rt.RTN_LOCAL && scan.table === rt.RT_TABLE_LOCAL && isHost && isOwn && isHere;
  }

  private routeTo({ address, source }: Vip, command: RouteCommand): Route {
    return {
      destination: { address, length: addressBits(address) },
      table: rt.RT_TABLE_LOCAL,
      // Taken away whoever put it there.
      protocol: command === 'delete' ? rt.RTPROT_UNSPEC : rt.RTPROT_BGP,
      type: 'local',
      metric: address.version === 4 ? 0 : METRIC_IPV6,
      scope: rt.RT_SCOPE_HOST,
      hops: [{ gateway: null, ifindex: this.ifindex, onlink: false, weight: 1 }],
      ...(source === undefined ? {} : { source }),
    };
  }

  private async run<T>(
    items: readonly T[],
    write: (writer: NetlinkWriter, item: T) => void,
    command: RouteCommand,
  ): Promise<ReadonlyMap<number, string>> {
    const refusals = new Map<number, string>();
    for (let at = 0; at < items.length; at += BATCH) {
      const part = items.slice(at, at + BATCH);
      const writer = new NetlinkWriter();
      for (const item of part) write(writer, item);
      const { errnos, texts } = await this.channel.transact(writer);
      errnos.forEach((errno, i) => {
        if (errno === 0 || (command === 'delete' && GONE.has(errnoName(errno)))) return;
        refusals.set(at + i, describeErrno(errno, texts.get(i)));
      });
    }
    return refusals;
  }
}
