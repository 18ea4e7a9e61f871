/**
 * The nftables backend of the service proxy: a table of its own in each family, kept equal to the desired state. Two
 * tables rather than one of family inet, since keys have the length of one family's addresses: half the memory for IPv4,
 * and what one family's kernel refuses does not hold the other up. Impure: netlink sockets.
 */

import { systemClock, type Clock } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { decodeInterfaceAddress, writeAddressDump } from '../../kernel/addresses.js';
import { dumpAll, openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { openTableSockets, type TableSockets } from '../../kernel/nftables/tableSockets.js';
import type { KernelFrontend, ProxyBackend, ProxyEvent, TrafficCounters } from '../proxyBackend.js';
import type { Family, FrontendKey, ProxyDelta, ProxySettings, ServicePortKey } from '../proxyTypes.js';
import { createFamilyTable, type FamilyTable } from './familyTable.js';
import { PROXY_TABLE } from './proxyTable.js';

export interface NftablesProxyOptions {
  readonly clock?: Clock;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval?: number;
}

/** Changes by others are told of, so this only finds what the telling missed. */
const READ_BACK = 600_000;

/**
 * Opens its sockets before it returns, in the network namespace of the calling thread.
 * @throws SyscallError
 */
export function openNftablesProxy(
  onEvent: (event: ProxyEvent) => void,
  options: NftablesProxyOptions = {},
): ProxyBackend {
  const kernel = openTableSockets();
  try {
    return new NftablesProxy(kernel, openRouteChannel(), onEvent, options);
  } catch (error) {
    kernel.close();
    throw error;
  }
}

async function localAddresses(links: NetlinkChannel): Promise<readonly IpAddress[]> {
  const request = new NetlinkWriter(64);
  writeAddressDump(request);
  return (await dumpAll(links, request, decodeInterfaceAddress)).map(({ address }) => address);
}

class NftablesProxy implements ProxyBackend {
  readonly kind = 'nftables';
  private readonly tables = new Map<Family, FamilyTable>();
  private settings: ProxySettings | undefined;
  private begun = false;

  constructor(
    private readonly kernel: TableSockets,
    private readonly links: NetlinkChannel,
    onEvent: (event: ProxyEvent) => void,
    { clock = systemClock, readBackInterval = READ_BACK }: NftablesProxyOptions,
  ) {
    const common = { kind: PROXY_TABLE, ...kernel, clock, readBackInterval, onEvent };
    for (const family of [4, 6] as const)
      this.tables.set(family, createFamilyTable({ ...common, family, localAddresses: () => localAddresses(links) }));
  }

  configure(settings: ProxySettings): void {
    this.settings = settings;
    for (const table of this.tables.values()) table.configure(settings);
    if (this.begun) this.begin();
  }

  apply(delta: ProxyDelta): void {
    for (const table of this.tables.values()) table.apply(delta);
  }

  begin(): void {
    this.begun = true;
    for (const [family, table] of this.tables) if (this.isOn(family)) table.begin();
  }

  async read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]> {
    const found = await Promise.all([...this.tables].map(([, table]) => table.read(keys)));
    return found.flat();
  }

  async counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>> {
    const counted = await Promise.all([...this.tables.values()].map(table => table.counters()));
    return new Map(counted.flatMap(counters => [...counters]));
  }

  async idle(): Promise<void> {
    const on = [...this.tables].filter(([family]) => this.isOn(family));
    await Promise.all(on.map(([, table]) => table.idle()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.tables.values()].map(table => table.stop()));
    this.kernel.close();
    this.links.close();
  }

  private isOn(family: Family): boolean {
    return (family === 4 ? this.settings?.ipv4 : this.settings?.ipv6) === true;
  }
}
