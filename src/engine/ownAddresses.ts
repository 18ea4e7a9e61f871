/** Which of our own addresses can stand in NEXT_HOP towards a peer: those on the link that the session uses. */

import { networkInterfaces } from 'node:os';
import { formatAddress, parseAddress, type IpAddress } from '../core/ip.js';

export interface OwnAddresses {
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  /** Link-local address of the same link, without a zone. */
  readonly linkLocal: IpAddress | undefined;
}

/** The addresses of the link that holds `local`; `local` itself counts for its own version. */
export function ownAddresses(local: IpAddress): OwnAddresses {
  const bare: IpAddress = local.version === 6 ? { version: 6, words: local.words } : local;
  const zone = local.version === 6 ? local.zone : undefined;
  const text = formatAddress(bare);
  const links = Object.entries(networkInterfaces());
  const link = links.find(
    ([name, list]) => (zone === undefined || zone === name) && list?.some(entry => entry.address === text),
  );
  const found = (link?.[1] ?? []).flatMap(entry => {
    const parsed = parseAddress(entry.address);
    return parsed.ok ? [parsed.value] : [];
  });
  const global = bare.version === 6 && !isLinkLocal(bare) ? bare : undefined;
  return {
    v4: bare.version === 4 ? bare : found.find(a => a.version === 4),
    v6: global ?? found.find(a => a.version === 6 && !isLinkLocal(a)) ?? (bare.version === 6 ? bare : undefined),
    linkLocal: found.find(isLinkLocal),
  };
}

/** fe80::/10 (RFC 4291 section 2.5.6). */
export function isLinkLocal(address: IpAddress): boolean {
  return address.version === 6 && address.words[0] >>> 22 === 0xfe80 >>> 6;
}
