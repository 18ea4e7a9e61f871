/**
 * What a former life of the proxy left for services that are gone: it goes before the firewall beside it changes at all. The
 * firewall forgets such a service's source ranges with its first transaction, and a server that still stood would be open to
 * all by then; so would what listens on this machine, behind an address that is nobody's service any more. Impure: netlink.
 */

import type { InterfaceAddress } from '../../kernel/addresses.js';
import { formatAddress } from '../../core/ip.js';
import type { Ipvs } from '../../kernel/ipvs/ipvs.js';
import type { FoundServer } from '../../kernel/ipvs/messages.js';
import { isExcluded, ownServers, type Reading, type ReadingRules } from './ipvsReading.js';
import type { ServerClaims } from './serverClaims.js';
import type { ServiceLink, Vip } from './serviceLink.js';
import { serverKey } from './virtualServers.js';
import * as wish from './wishes.js';

export interface Stale {
  readonly servers: readonly FoundServer[];
  readonly vips: readonly Vip[];
  readonly addresses: readonly InterfaceAddress[];
}

type Rules = Pick<ReadingRules, 'excluded' | 'isWanted' | 'isPlace'>;

/** Ours, at places and addresses that no service has. A server that only lacks somebody to serve it may let connections end. */
export function staleOf(reading: Pick<Reading, 'link' | 'claims' | 'servers'>, rules: Rules): Stale {
  const isLeft = (address: Vip['address']): boolean => !rules.isWanted(wish.vipKey(formatAddress(address)));
  return {
    servers: ownServers(reading, rules).filter(
      server => !rules.isPlace(serverKey(server)) && !isExcluded(server, rules.excluded),
    ),
    vips: reading.link?.vips.filter(({ address }) => isLeft(address)) ?? [],
    addresses: reading.link?.addresses.filter(({ address }) => isLeft(address)) ?? [],
  };
}

/** Refusals are not told: the reconciler meets what is still there. @throws NetlinkError when nothing can be read */
export async function removeStale(
  { ipvs, link, claims }: { ipvs: Pick<Ipvs, 'servers' | 'run'>; link: ServiceLink; claims: ServerClaims },
  rules: Rules,
): Promise<Stale> {
  const reading = { link: await link.read(), claims: await claims.read(), servers: await ipvs.servers() };
  const stale = staleOf(reading, rules);
  await ipvs.run(stale.servers.map(server => ({ kind: 'removeServer', server })));
  await link.routes('delete', stale.vips);
  if (stale.addresses.length > 0) await link.removeAddresses(stale.addresses);
  return stale;
}
