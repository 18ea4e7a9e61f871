/** Which addresses can be one host's: neither unspecified, loopback, link-local, multicast nor reserved (RFC 6890). */

import { parsePrefix, prefixContains, type IpAddress, type IpPrefix } from './ip.js';

const NO_HOSTS: readonly IpPrefix[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/127',
  'fe80::/10',
  'ff00::/8',
].map(text => {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
});

export function isUnicast(address: IpAddress): boolean {
  return !NO_HOSTS.some(prefix => prefixContains(prefix, address));
}
