/** Parts of the proxy's rules, beside those of any table: keys that frontends are found by, and who is a pod. */

import { ipv4, type IpPrefix } from '../../core/ip.js';
import type { Expression, Register } from '../../kernel/nftables/expressions.js';
import type { ChainShape } from '../../kernel/nftables/messages.js';
import {
  addressSize,
  inPrefix,
  isLocal,
  loadEndpoint,
  loadPort,
  ofFamily,
  type Rule,
} from '../../kernel/nftables/ruleParts.js';
import type { Family, PodDetector, ProxySettings } from '../proxyTypes.js';

export * from '../../kernel/nftables/ruleParts.js';

type Rules = ChainShape['rules'];

/** The same with an address of zeros. */
export function loadNodePort(family: Family, to: Register): Rule {
  const zeros = Array.from({ length: addressSize(family) * 4 }, () => 0);
  return [{ kind: 'immediate', octets: zeros, to }, ...loadPort(to + addressSize(family))];
}

/** The key that a frontend is found by. */
export function loadFrontendKey(by: 'address' | 'node', family: Family, to: Register): Rule {
  return by === 'node' ? loadNodePort(family, to) : loadEndpoint(family, to);
}

/** Rules that come to the verdict for packets of this cluster's pods; none when pods cannot be told. */
export function fromPods(family: Family, pods: PodDetector, verdict: Expression): Rules {
  switch (pods.kind) {
    case 'none':
      return [];
    case 'cidrs':
      return ofFamily(pods.cidrs, family).map(cidr => [...inPrefix('saddr', cidr), verdict]);
    case 'link':
      return [[...arrivedThrough(`${pods.name}\0`), verdict]];
    case 'linkPrefix':
      return [[...arrivedThrough(pods.prefix), verdict]];
  }
}

/** The kernel pads names with zeros, so one with its zero is the whole name, and one without is a beginning. */
function arrivedThrough(name: string): Rule {
  return [
    { kind: 'meta', key: 'iifname', to: 0 },
    { kind: 'compare', from: 0, equal: true, octets: [...Buffer.from(name)].slice(0, 16) },
  ];
}

/** Rules that come to the verdict for packets to an address of this node that serves node ports. */
export function toNodePorts(family: Family, addresses: ProxySettings['nodePortAddresses'], verdict: Expression): Rules {
  if (addresses === 'all') return [[...isLocal('daddr'), ...inPrefix('daddr', LOOPBACK[family], false), verdict]];
  return ofFamily(addresses, family).map(prefix => [
    ...isLocal('daddr'),
    ...inPrefix('daddr', LOOPBACK[family], false),
    ...inPrefix('daddr', prefix),
    verdict,
  ]);
}

/** RFC 6890; RFC 4291 section 2.5.3. */
const LOOPBACK: Readonly<Record<Family, IpPrefix>> = {
  4: { address: ipv4(0x7f00_0000), length: 8 },
  6: { address: { version: 6, words: [0, 0, 0, 1] }, length: 128 },
};
