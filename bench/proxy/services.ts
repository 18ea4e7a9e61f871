/** Generated services for the backend's benchmark. Pure. */

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
