/** IPVS, the services' link and the written-down servers in memory, as strict as the kernel: who is wrong is refused. */

import { formatAddress } from '../../../../src/core/ip.js';
import type { InterfaceAddress } from '../../../../src/kernel/addresses.js';
import type { IpvsCommand } from '../../../../src/kernel/ipvs/ipvs.js';
import type {
  Destination,
  FoundDestination,
  FoundServer,
  Server,
  ServerId,
  Timeouts,
} from '../../../../src/kernel/ipvs/messages.js';
import type { RouteCommand } from '../../../../src/kernel/routes.js';
import type { IpvsServersOptions } from '../../../../src/proxy/ipvs/ipvsServers.js';
import type { ServerClaims } from '../../../../src/proxy/ipvs/serverClaims.js';
import type { LinkReading, ServiceLink, Vip } from '../../../../src/proxy/ipvs/serviceLink.js';
import { destinationKey, serverKey } from '../../../../src/proxy/ipvs/virtualServers.js';

const NONE = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };

interface Standing {
  readonly server: Server;
  readonly destinations: Map<string, Destination>;
}

export class FakeIpvsKernel implements Pick<IpvsServersOptions, 'ipvs' | 'link' | 'claims'> {
  readonly standing = new Map<string, Standing>();
  readonly vips = new Map<string, Vip>();
  addresses: InterfaceAddress[] = [];
  readonly written = new Map<string, ServerId>();
  hasLink = false;
  setTimeouts: Timeouts = { tcp: 900, tcpFin: 120, udp: 300 };
  /** Open connections by server and destination. */
  readonly connections = new Map<string, number>();
  /** Destination addresses that are refused. */
  readonly refused = new Set<string>();
  commands = 0;
  /** Servers that were asked for their destinations. */
  asked = 0;
  hasListing = true;
  listings = 0;
  /** Servers that the list happens to leave out. */
  readonly unlisted = new Set<string>();
  /** Called whenever all servers are asked for. */
  onReading: () => void = () => undefined;

  readonly ipvs: IpvsServersOptions['ipvs'] = {
    servers: () => {
      this.onReading();
      return Promise.resolve(
        [...this.standing.values()].map(({ server }): FoundServer => ({ ...server, counters: NONE })),
      );
    },
    server: (id: ServerId) => {
      const there = this.standing.get(serverKey(id));
      return Promise.resolve(there === undefined ? undefined : { ...there.server, counters: NONE });
    },
    destinations: (server: ServerId) => {
      this.asked += 1;
      return Promise.resolve(this.destinationsOf(serverKey(server)));
    },
    listing: () => {
      if (!this.hasListing) return Promise.resolve(undefined);
      this.listings += 1;
      const listed = [...this.standing].filter(([key]) => !this.unlisted.has(key));
      return Promise.resolve(
        listed.map(([key, { server }]) => ({ ...server, destinations: this.destinationsOf(key) })),
      );
    },
    timeouts: () => Promise.resolve(this.setTimeouts),
    run: (commands: readonly IpvsCommand[]) => {
      const refusals = new Map<number, string>();
      commands.forEach((command, i) => {
        this.commands += 1;
        const refusal = this.run(command);
        if (refusal !== undefined) refusals.set(i, refusal);
      });
      return Promise.resolve<ReadonlyMap<number, string>>(refusals);
    },
  };

  readonly link: ServiceLink = {
    read: (): Promise<LinkReading | undefined> =>
      Promise.resolve(
        this.hasLink ? { isUp: true, vips: [...this.vips.values()], addresses: this.addresses } : undefined,
      ),
    open: () => {
      this.commands += 1;
      this.hasLink = true;
      return Promise.resolve(undefined);
    },
    routes: (command: RouteCommand, vips: readonly Vip[]) => {
      const refusals = new Map<number, string>();
      vips.forEach((vip, i) => {
        this.commands += 1;
        const text = formatAddress(vip.address);
        if (!this.hasLink) refusals.set(i, 'ENODEV');
        else if (command === 'create' && this.vips.has(text)) refusals.set(i, 'EEXIST');
        else if (command === 'replace' && !this.vips.has(text)) refusals.set(i, 'ENOENT');
        else if (command === 'delete') this.vips.delete(text);
        else this.vips.set(text, { address: vip.address, source: vip.source });
      });
      return Promise.resolve<ReadonlyMap<number, string>>(refusals);
    },
    removeAddresses: (addresses: readonly InterfaceAddress[]) => {
      this.commands += addresses.length;
      const texts = new Set(addresses.map(({ address }) => formatAddress(address)));
      this.addresses = this.addresses.filter(({ address }) => !texts.has(formatAddress(address)));
      return Promise.resolve<ReadonlyMap<number, string>>(new Map());
    },
    remove: () => {
      this.hasLink = false;
      this.vips.clear();
      return Promise.resolve(undefined);
    },
  };

  readonly claims: ServerClaims = {
    read: () => Promise.resolve([...this.written.values()]),
    write: (command: 'add' | 'delete', servers: readonly ServerId[]) => {
      for (const server of servers) {
        this.commands += 1;
        const { address, protocol, port } = server;
        if (command === 'add') this.written.set(serverKey(server), { address, protocol, port });
        else this.written.delete(serverKey(server));
      }
      return Promise.resolve(undefined);
    },
  };

  /** Everything there is, a line each, in order. */
  get lines(): readonly string[] {
    const lines: string[] = [];
    for (const [key, { server, destinations }] of this.standing) {
      lines.push(`${key} ${server.scheduler} ${server.flags} ${server.timeout}`);
      for (const [destination, { weight, method }] of destinations)
        lines.push(`${key} -> ${destination} ${weight} ${method}`);
    }
    for (const [text, { source }] of this.vips)
      lines.push(`vip ${text} ${source === undefined ? '-' : formatAddress(source)}`);
    for (const key of this.written.keys()) lines.push(`written ${key}`);
    return lines.sort();
  }

  private destinationsOf(server: string): readonly FoundDestination[] {
    return [...(this.standing.get(server)?.destinations ?? [])].map(([key, destination]) => ({
      ...destination,
      active: this.connections.get(`${server} ${key}`) ?? 0,
      inactive: 0,
      persistent: 0,
      counters: NONE,
    }));
  }

  private run(command: IpvsCommand): string | undefined {
    switch (command.kind) {
      case 'timeouts':
        this.setTimeouts = command.timeouts;
        return undefined;
      case 'server':
        return this.runServer(command.command, command.server);
      case 'removeServer':
        return this.standing.delete(serverKey(command.server)) ? undefined : 'ESRCH';
      case 'destination':
        return this.runDestination(command.command, command.server, command.destination);
      case 'removeDestination': {
        const there = this.standing.get(serverKey(command.server));
        if (there === undefined) return 'ESRCH';
        return there.destinations.delete(destinationKey(command.destination)) ? undefined : 'ENOENT';
      }
    }
  }

  private runServer(command: 'add' | 'change', server: Server): string | undefined {
    const { address, protocol, port, scheduler, flags, timeout } = server;
    const there = this.standing.get(serverKey(server));
    if (command === 'add' && there !== undefined) return 'EEXIST';
    if (command === 'change' && there === undefined) return 'ESRCH';
    const plain = { address, protocol, port, scheduler, flags, timeout };
    this.standing.set(serverKey(server), {
      server: plain,
      destinations: there?.destinations ?? new Map<string, Destination>(),
    });
    return undefined;
  }

  private runDestination(command: 'add' | 'change', server: ServerId, given: Destination): string | undefined {
    const there = this.standing.get(serverKey(server));
    if (there === undefined) return 'ESRCH';
    const key = destinationKey(given);
    if (this.refused.has(formatAddress(given.address))) return 'EINVAL';
    if (command === 'add' && there.destinations.has(key)) return 'EEXIST';
    if (command === 'change' && !there.destinations.has(key)) return 'ENOENT';
    const { address, port, weight, method } = given;
    there.destinations.set(key, { address, port, weight, method });
    return undefined;
  }
}
