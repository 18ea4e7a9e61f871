/** UDP flows of services on IPVS that lead to where no service leads any more are deleted, as beside nftables. Impure: netlink. */

import { formatAddress, type IpAddress } from '../../core/ip.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { addressOfText, portOctets } from '../../kernel/nftables/elements.js';
import { createFlowCleaner } from '../nftables/flowCleaner.js';
import { frontendOctets } from '../nftables/servicePortElements.js';
import type { ProxyEvent } from '../proxyBackend.js';
import type { BackendLists, Family, Frontend, FrontendKey, ProxyDelta } from '../proxyTypes.js';

export interface IpvsFlows {
  apply(delta: ProxyDelta): void;
  /** @param listsOf undefined: nobody serves the frontend @param nodeAddresses that serve node ports */
  settled(
    frontends: readonly FrontendKey[],
    listsOf: (frontend: Frontend) => BackendLists | undefined,
    nodeAddresses: readonly IpAddress[],
  ): void;
  idle(): Promise<void>;
}

/** @param channel of protocol NETLINK_NETFILTER */
export function createIpvsFlows(channel: NetlinkChannel, onEvent: (event: ProxyEvent) => void): IpvsFlows {
  const families = [4, 6] as const;
  const cleaners = new Map(families.map(family => [family, createFlowCleaner(channel, family, onEvent)]));
  const wanted = new Map<FrontendKey, Frontend>();
  const gone = new Map<FrontendKey, Frontend>();

  const clean = (
    family: Family,
    servers: ReadonlyMap<string, ReadonlySet<string>>,
    nodeAddresses: readonly IpAddress[],
  ): void => {
    const own = nodeAddresses.filter(({ version }) => version === family);
    const octets = new Set(own.map(address => addressOfText(formatAddress(address))));
    if (servers.size > 0) cleaners.get(family)?.clean({ servers, nodeAddresses: octets });
  };
  return {
    apply: ({ frontends }) => {
      for (const key of frontends.removed) {
        const before = wanted.get(key);
        if (before !== undefined) gone.set(key, before);
        wanted.delete(key);
      }
      for (const [key, frontend] of frontends.set) {
        if (frontend.protocol !== 'UDP') continue;
        wanted.set(key, frontend);
        gone.delete(key);
      }
    },
    settled: (frontends, listsOf, nodeAddresses) => {
      const servers = new Map<Family, Map<string, ReadonlySet<string>>>();
      for (const key of frontends) {
        const frontend = wanted.get(key) ?? gone.get(key);
        if (frontend === undefined) continue;
        const serving = wanted.has(key) ? (listsOf(frontend)?.serving ?? []) : [];
        gone.delete(key);
        const targets = serving.map(({ address, port }) => `${addressOfText(address)}${portOctets(port)}`);
        const known = servers.get(frontend.family) ?? new Map<string, ReadonlySet<string>>();
        servers.set(frontend.family, known.set(frontendOctets(frontend), new Set(targets)));
      }
      for (const [family, known] of servers) clean(family, known, nodeAddresses);
    },
    idle: async () => {
      await Promise.all([...cleaners.values()].map(cleaner => cleaner.idle()));
    },
  };
}
