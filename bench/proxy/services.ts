/** Generated services for the benchmark, and kube-proxy's layout of the same as a script for nft(8). Pure. */

import { formatIpv4 } from '../../src/core/ip.js';
import type { IpText } from '../../src/kube/objectTypes.js';
import {
  frontendKey,
  servicePortKey,
  type Backend,
  type BackendLists,
  type Frontend,
  type ProxyDelta,
} from '../../src/proxy/proxyTypes.js';

const FIRST_SERVICE = 0x0a60_0001;
const FIRST_POD = 0x0af4_0001;
const text = (address: number): IpText => formatIpv4(address) as IpText;

/** Addresses of the endpoints of one service. @param generation another one moves the first endpoint elsewhere */
export function endpointsOf(index: number, endpoints: number, generation = 0): readonly string[] {
  return Array.from({ length: endpoints }, (_, i) =>
    formatIpv4(i === 0 && generation > 0 ? 0x0b00_0000 + generation : FIRST_POD + index * endpoints + i),
  );
}

/** The service port `index`, with its cluster IP. */
export function serviceDelta(indices: Iterable<number>, endpoints: number, generation = 0): ProxyDelta {
  const frontends: Frontend[] = [];
  const lists: BackendLists[] = [];
  for (const index of indices) {
    const [address, servicePort] = [text(FIRST_SERVICE + index), servicePortKey(4, `bench/s${index}`, '', 'TCP')];
    frontends.push(frontendOf(address, index, servicePort));
    const cluster = endpointsOf(index, endpoints, generation).map((pod): Backend => ({
      address: pod as IpText,
      port: 8080,
      weight: 1,
      isLocal: false,
      state: 'ready',
    }));
    lists.push({ servicePort, cluster, local: [], serving: cluster });
  }
  return {
    frontends: { set: new Map(frontends.map(frontend => [frontend.key, frontend])), removed: new Set() },
    backends: { set: new Map(lists.map(list => [list.servicePort, list])), removed: new Set() },
    addresses: { set: new Map(), removed: new Set() },
  };
}

function frontendOf(address: IpText, index: number, servicePort: Frontend['servicePort']): Frontend {
  return {
    key: frontendKey(4, address, 'TCP', 80),
    kind: 'clusterIp',
    family: 4,
    address,
    protocol: 'TCP',
    port: 80,
    service: `bench/s${index}`,
    servicePort,
    policy: 'cluster',
    shortCircuit: false,
    masquerade: 'offCluster',
    sourceRanges: undefined,
    affinity: undefined,
    scheduling: { scheduler: 'rr', fallback: false, port: false, flag3: false },
    dsr: false,
  };
}

/** A chain for each service and for each endpoint, and a map of its own for each service: kube-proxy's nftables mode. */
export function chainPerServiceScript(services: number, endpoints: number): string {
  const lines = [
    'add table ip kube-proxy',
    'add chain ip kube-proxy mark-for-masquerade',
    'add rule ip kube-proxy mark-for-masquerade mark set mark or 0x4000',
    'add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
    'add chain ip kube-proxy services',
    'add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips',
    'add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100; }',
    'add rule ip kube-proxy nat-prerouting jump services',
  ];
  for (let index = 0; index < services; index++) {
    const pods = endpointsOf(index, endpoints);
    const vip = formatIpv4(FIRST_SERVICE + index);
    const cases = pods.map((_, i) => `${i} : goto endpoint-${index}-${i}`).join(', ');
    lines.push(`add chain ip kube-proxy service-${index}`);
    pods.forEach((pod, i) => {
      const chain = `ip kube-proxy endpoint-${index}-${i}`;
      lines.push(`add chain ${chain}`, `add rule ${chain} ip saddr ${pod} jump mark-for-masquerade`);
      lines.push(`add rule ${chain} meta l4proto tcp dnat to ${pod}:8080`);
    });
    const guard = `ip daddr ${vip} tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade`;
    lines.push(`add rule ip kube-proxy service-${index} ${guard}`);
    lines.push(`add rule ip kube-proxy service-${index} numgen random mod ${endpoints} vmap { ${cases} }`);
    lines.push(`add element ip kube-proxy service-ips { ${vip} . tcp . 80 : goto service-${index} }`);
  }
  return `${lines.join('\n')}\n`;
}
