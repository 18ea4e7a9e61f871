/** Names and addresses of the overlay's devices and of who is behind them: worked out, never agreed upon or remembered. */

import { createHash } from 'node:crypto';
import type { IpAddress } from '../../core/ip.js';

/** Every device of ours has a name that begins so, and an alias that begins with {@link ALIAS}. Longest name: 15 octets. */
const PREFIX = 'pg';
const ALIAS = 'peerage overlay';
/** Characters of a hash in a name: 50 bits, so that 5,000 nodes collide once in 90 million clusters. */
const HASH_LENGTH = 10;

/** VNI and port in base 36 with a mark between them: no two devices that differ in either have one name. */
export function vxlanName(version: 4 | 6, vni: number, port: number): string {
  return `${PREFIX}x${version}-${vni.toString(36)}-${port.toString(36)}`;
}

/** There is one such device for each node: its other end is in the routes. */
export const IPIP_NAME = `${PREFIX}i4`;

/** @param remote the other end, of which there is one for each device */
export function ip6TunnelName(remote: IpAddress): string {
  const bits = BigInt(`0x${digest('ip6tnl', remote).toString('hex').slice(0, 16)}`);
  const text = bits.toString(32).padStart(HASH_LENGTH, '0');
  return `${PREFIX}i6-${text.slice(-HASH_LENGTH)}`;
}

export function overlayAlias(towards: string): string {
  return `${ALIAS}: to ${towards}`;
}

/** Made by us, in this life or an earlier one. */
export function isOverlayDevice(device: { readonly name: string; readonly alias: string }): boolean {
  return device.name.startsWith(PREFIX) && device.alias.startsWith(ALIAS);
}

/**
 * Link-layer address of a node's VXLAN device, by which every other node can work it out: 02:50 and the IPv4 address, or 06
 * and 40 bits of a hash of the IPv6 address. Both are locally administered (IEEE 802) and of no multicast.
 */
export function overlayLladdr(node: IpAddress): string {
  const octets =
    node.version === 4
      ? [0x02, 0x50, node.value >>> 24, (node.value >>> 16) & 255, (node.value >>> 8) & 255, node.value & 255]
      : [0x06, ...digest('lladdr', node).subarray(0, 5)];
  return octets.map(octet => octet.toString(16).padStart(2, '0')).join(':');
}

/** The link-local address that belongs to a link-layer address (RFC 4291 appendix A). */
export function linkLocalOf(lladdr: string): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = lladdr.split(':').map(octet => Number.parseInt(octet, 16));
  const word = (...octets: readonly [number, number, number, number]): number =>
    octets.reduce((sum, octet) => ((sum << 8) | octet) >>> 0, 0);
  return { version: 6, words: [0xfe80_0000, 0, word(a ^ 2, b, c, 0xff), word(0xfe, d, e, f)] };
}

function digest(purpose: string, address: IpAddress): Buffer {
  const words = address.version === 4 ? [address.value] : address.words;
  return createHash('sha256')
    .update(`${purpose} ${words.join(' ')}`)
    .digest();
}
