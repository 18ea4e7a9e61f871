/**
 * Egress addresses as one nftables table. Of packets from pods of this node to the world outside, those of namespaces with
 * egress addresses are marked for the node that holds the address, which they go to through a tunnel; there, their source
 * becomes the address. What is not known to be allowed out otherwise is dropped, at either end: nothing leaves with the
 * address of a node or a pod that should have had another.
 */

import type { NftSetShape, NftTableShape } from '../../kernel/nftTable.js';

/** Name of the tunnel between nodes. */
export const EGRESS_DEVICE = 'peerage-egress';
/** Of its outer packets; the port of VXLAN itself is 4789, which the overlay may have. */
export const EGRESS_PORT = 4787;
/** VXLAN network identifier. */
export const EGRESS_VNI = 4787;

/** Bits of a packet's mark that say which node it goes to: kubelet and proxies use bits 13 to 15. */
export const EGRESS_MARK_MASK = 0x00ff_0000;
const EGRESS_MARK_SHIFT = 16;
/** Nodes that can be told from each other. */
export const MOST_SLOTS = 250;

/** @param slot 1 to MOST_SLOTS */
export function egressMark(slot: number): number {
  return slot << EGRESS_MARK_SHIFT;
}

const VERSIONS = [4, 6] as const;
type Version = (typeof VERSIONS)[number];

const PROTOCOLS = { 4: 'ip', 6: 'ip6' } as const;
const mask = `0x${EGRESS_MARK_MASK.toString(16).padStart(8, '0')}`;
const rest = `0x${(~EGRESS_MARK_MASK >>> 0).toString(16)}`;
const TUNNEL = `"${EGRESS_DEVICE}"`;

/** Where packets stay in the cluster, or are none of ours. */
const INSIDE = ['pods', 'nodes', 'excluded'] as const;

function sets(version: Version): readonly NftSetShape[] {
  const type = version === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const set = (name: string, interval: boolean): NftSetShape => ({ name: `${name}${version}`, type, interval });
  return [
    set('local', true),
    set('pods', true),
    set('nodes', false),
    set('excluded', true),
    // Pods of this node of which it is known whether they have an egress address.
    set('known', false),
    // Pods of this node whose egress address nobody holds.
    set('dead', false),
    // Egress addresses that this node holds.
    set('held', false),
    { ...set('snat', false), data: type },
    { ...set('via', false), data: 'mark' },
  ];
}

function prerouting(version: Version): readonly string[] {
  const ip = PROTOCOLS[version];
  return [
    ...INSIDE.map(set => `${ip} daddr @${set}${version} accept`),
    `iifname ${TUNNEL} meta nfproto ipv${version} ${ip} saddr != @snat${version} counter drop`,
    `${ip} saddr @dead${version} counter drop`,
    `${ip} saddr @local${version} ${ip} saddr != @known${version} counter drop`,
    `${ip} saddr @local${version} meta mark set ${ip} saddr map @via${version}`,
  ];
}

function refusals(version: Version): readonly string[] {
  const toHeld = `${PROTOCOLS[version]} daddr @held${version}`;
  return [`${toHeld} meta l4proto tcp reject with tcp reset`, `${toHeld} reject with icmpx type admin-prohibited`];
}

function translation(version: Version): readonly string[] {
  const ip = PROTOCOLS[version];
  const outside = INSIDE.map(set => `${ip} daddr != @${set}${version}`).join(' ');
  return [
    // As it is: who translates later in this hook (the node's masquerading, a service proxy) finds it done.
    `oifname ${TUNNEL} meta nfproto ipv${version} snat ${ip} to ${ip} saddr`,
    `oifname != ${TUNNEL} ${outside} snat ${ip} to ${ip} saddr map @snat${version}`,
  ];
}

export const EGRESS_ADDRESS_TABLE: NftTableShape = {
  family: 'inet',
  name: 'peerage_egress_addresses',
  sets: VERSIONS.flatMap(sets),
  chains: [
    {
      name: 'prerouting',
      // After services' addresses have become endpoints' (dstnat, -100).
      head: 'type filter hook prerouting priority -95; policy accept;',
      rules: [
        // Who is answered came in another way, and goes out by it.
        'ct direction reply accept',
        // Answers have their pod's address again by now: who else comes is not asked. Here, before the packet is routed:
        // a redirect would go out with it, which tells the wrong way and takes the place of the refusal (RFC 1812).
        ...VERSIONS.flatMap(refusals),
        'fib daddr type { local, broadcast, multicast } accept',
        ...VERSIONS.flatMap(prerouting),
      ],
    },
    {
      name: 'forward',
      head: 'type filter hook forward priority -5; policy accept;',
      rules: [
        // The way to the holder is not there: no other way will do.
        ...VERSIONS.map(
          version =>
            `${PROTOCOLS[version]} saddr @local${version} meta mark & ${mask} != 0 oifname != ${TUNNEL} counter drop`,
        ),
      ],
    },
    { name: 'output', head: 'type filter hook output priority -5; policy accept;', rules: VERSIONS.flatMap(refusals) },
    {
      name: 'input',
      head: 'type filter hook input priority -5; policy accept;',
      rules: [
        // Only nodes have anything to say in the tunnel.
        ...VERSIONS.map(
          version => `udp dport ${EGRESS_PORT} ${PROTOCOLS[version]} saddr != @nodes${version} counter drop`,
        ),
      ],
    },
    {
      name: 'postrouting',
      // Before the node's own masquerading and that of service proxies: the first to decide counts.
      head: 'type nat hook postrouting priority 95; policy accept;',
      rules: VERSIONS.flatMap(translation),
    },
    {
      name: 'unmark',
      // The outer packet keeps the mark, and would be sent into the tunnel again.
      head: 'type filter hook postrouting priority 300; policy accept;',
      rules: [`oifname ${TUNNEL} meta mark set meta mark & ${rest}`],
    },
  ],
};
