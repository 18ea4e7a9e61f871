/**
 * Anti-spoofing as two nftables tables: what comes from a pod's link must come from that pod's address. Packets of pods on
 * a bridge are looked at where they enter the bridge, before other pods or the node itself see them; those of pods that
 * are routed, where they enter the node.
 *
 * Source addresses are not all that a pod could lie with: ARP senders, targets of neighbour advertisements and hardware
 * addresses are held to the pod's own too, and no pod is a router (RFC 4861 advertisements and redirects; CVE-2020-10749).
 */

import { parseAddress } from '../../core/ip.js';
import { concatenation, linkName } from '../../kernel/nftElements.js';
import { elementKey, PRESENT, type NftSetShape, type NftTableShape } from '../../kernel/nftTable.js';
import type { PodLink } from './podLinks.js';

/** Elements that rules make: how much was dropped, by link. */
export const SPOOFED = 'spoofed';
/** The set above holds so many links; more are dropped all the same and not counted. */
const MOST_COUNTED = 65535;

/** Before connection tracking, defragmentation, and whatever else looks at packets of other people's sources. */
const HEAD = 'type filter hook prerouting priority -410; policy accept;';

const BOTH: readonly NftSetShape[] = [
  { name: 'guarded', type: 'ifname', interval: false },
  { name: 'pods4', type: ['ifname', 'ipv4_addr'], interval: false },
  { name: 'pods6', type: ['ifname', 'ipv6_addr'], interval: false },
  { name: SPOOFED, type: 'ifname', interval: false, dynamic: `size ${MOST_COUNTED}; flags dynamic; counter;` },
];

const DROP = { name: 'denied', head: '', rules: [`update @${SPOOFED} { iifname } drop`] };

/** Targets of neighbour advertisements: octets 8 to 23 after an IPv6 header. */
const TARGET = '@nh,384,128';
/** The first ten bits of the target: fe80::/10. */
const TARGET_IS_ROUTABLE = '@nh,384,10 != 0x3fa';

export const BRIDGE_TABLE: NftTableShape = {
  family: 'bridge',
  name: 'peerage_antispoof',
  sets: [
    ...BOTH,
    { name: 'lladdrs', type: ['ifname', 'ether_addr'], interval: false },
    { name: 'targets6', type: ['ifname', 'integer'], typeOf: `iifname . ${TARGET}`, interval: false },
  ],
  chains: [
    DROP,
    {
      name: 'prerouting',
      head: HEAD,
      rules: [
        'iifname != @guarded accept',
        'iifname . ether saddr != @lladdrs goto denied',
        'ether type ip iifname . ip saddr != @pods4 goto denied',
        'ether type ip accept',
        'ether type arp iifname . arp saddr ether != @lladdrs goto denied',
        // A sender that asks whether an address is free has none yet (RFC 5227).
        'ether type arp arp saddr ip != 0.0.0.0 iifname . arp saddr ip != @pods4 goto denied',
        'ether type arp accept',
        'ether type != ip6 goto denied',
        // A word of nft's own: names like ipv6-icmp are of /etc/protocols, which slim images have not.
        'meta l4proto icmpv6 icmpv6 type { nd-router-advert, nd-redirect } goto denied',
        // Behind an extension header, the target would stand elsewhere (RFC 6980 wants none of these either).
        'meta l4proto icmpv6 icmpv6 type nd-neighbor-advert ip6 nexthdr != icmpv6 goto denied',
        `meta l4proto icmpv6 icmpv6 type nd-neighbor-advert ${TARGET_IS_ROUTABLE} iifname . ${TARGET} != @targets6 goto denied`,
        'ip6 saddr != { ::, fe80::/10 } iifname . ip6 saddr != @pods6 goto denied',
      ],
    },
  ],
};

export const ROUTED_TABLE: NftTableShape = {
  family: 'inet',
  name: 'peerage_antispoof',
  sets: BOTH,
  chains: [
    DROP,
    {
      name: 'prerouting',
      head: HEAD,
      rules: [
        'iifname != @guarded accept',
        'meta nfproto ipv4 iifname . ip saddr != @pods4 goto denied',
        'meta nfproto ipv6 ip6 saddr != { ::, fe80::/10 } iifname . ip6 saddr != @pods6 goto denied',
      ],
    },
  ],
};

/** Elements of both tables, by key. */
export interface SpoofElements {
  readonly bridge: ReadonlyMap<string, string>;
  readonly routed: ReadonlyMap<string, string>;
}

/** @param closed further ports of the pods' bridge: nothing is known of them, and nothing is let through */
export function spoofElements(links: readonly PodLink[], closed: readonly string[]): SpoofElements {
  const bridged = links.filter(({ isBridged }) => isBridged);
  const routed = links.filter(({ isBridged }) => !isBridged);
  const guarded = (names: readonly string[]): readonly string[] =>
    names.map(name => elementKey('guarded', linkName(name)));
  return {
    bridge: present([...guarded(closed), ...bridged.flatMap(bridgeKeys)]),
    routed: present(routed.flatMap(commonKeys)),
  };
}

function commonKeys({ link, addresses }: PodLink): readonly string[] {
  const name = linkName(link);
  return [
    elementKey('guarded', name),
    ...addresses.map(address => elementKey(address.includes(':') ? 'pods6' : 'pods4', concatenation(name, address))),
  ];
}

function bridgeKeys(pod: PodLink): readonly string[] {
  const name = linkName(pod.link);
  const v6 = pod.addresses.filter(address => address.includes(':'));
  return [
    ...commonKeys(pod),
    ...(pod.lladdr === undefined ? [] : [elementKey('lladdrs', concatenation(name, pod.lladdr))]),
    ...v6.map(address => elementKey('targets6', concatenation(name, hexadecimal(address)))),
  ];
}

function present(keys: readonly string[]): ReadonlyMap<string, string> {
  return new Map(keys.map(key => [key, PRESENT]));
}

/** As nft writes a number of that many octets: without leading zeros. */
function hexadecimal(address: string): string {
  const parsed = parseAddress(address);
  if (!parsed.ok || parsed.value.version !== 6) throw new Error(`${address} is no IPv6 address`);
  const digits = parsed.value.words.map(word => word.toString(16).padStart(8, '0')).join('');
  return `0x${digits.replace(/^0+(?=.)/, '')}`;
}
