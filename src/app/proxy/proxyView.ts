/** From the proxy's state to what `peerage show services` shows. */

import type {
  CountersView,
  EndpointView,
  FrontendDetail,
  FrontendView,
  ServiceDetail,
  ServicesView,
} from '../../api/serviceView.js';
import { formatPrefix } from '../../core/ip.js';
import { explainEndpoints } from '../../proxy/explainEndpoints.js';
import type { Proxy, ServiceState } from '../../proxy/proxy.js';
import type { KernelFrontend, ProxyBackend, TrafficCounters } from '../../proxy/proxyBackend.js';
import { backendsOf, verdictOf, type Frontend, type FrontendKey } from '../../proxy/proxyTypes.js';

export interface ProxyViewSource {
  readonly proxy: () => Proxy | undefined;
  readonly backend: Pick<ProxyBackend, 'kind' | 'read'>;
  readonly isProgrammed: (key: FrontendKey) => boolean;
  readonly failures: ReadonlyMap<FrontendKey, string>;
  /** What is wrong with a service, in sentences. */
  readonly problems: (service: string) => readonly string[];
}

export function createProxyView(source: ProxyViewSource): ServicesView {
  return {
    backend: source.backend.kind,
    frontends: function* () {
      const proxy = source.proxy();
      if (proxy !== undefined) for (const frontend of proxy.frontends.values()) yield line(frontend, proxy, source);
    },
    service: async name => {
      const proxy = source.proxy();
      const state = proxy?.serviceState(name);
      if (proxy === undefined || state?.facts === undefined) return undefined;
      return detail(name, state, proxy, source);
    },
  };
}

function line(frontend: Frontend, proxy: Proxy, { isProgrammed, failures }: ProxyViewSource): FrontendView {
  const { key, service, kind, family, address, protocol, port, policy } = frontend;
  const lists = proxy.backends.get(frontend.servicePort);
  const backends = backendsOf(frontend, lists);
  const error = failures.get(key) ?? null;
  return {
    service,
    kind,
    family,
    address: address ?? null,
    protocol,
    port,
    policy,
    backends: backends.length,
    localBackends: backends.filter(({ isLocal }) => isLocal).length,
    verdict: verdictOf(frontend, lists),
    state: error !== null ? 'failed' : isProgrammed(key) ? 'programmed' : 'pending',
    error,
  };
}

async function detail(
  name: string,
  state: ServiceState,
  proxy: Proxy,
  source: ProxyViewSource,
): Promise<ServiceDetail> {
  const asked = state.facts?.frontends.map(({ key }) => key) ?? [];
  // One that another service has is none of this one's.
  const own = asked.map(key => proxy.frontends.get(key)).filter(frontend => frontend?.service === name);
  const frontends = own.filter(frontend => frontend !== undefined);
  const kernel = new Map(
    (await source.backend.read(frontends.map(({ key }) => key))).map(found => [found.key, found] as const),
  );
  const check = proxy.healthChecks.get(name);
  return {
    service: name,
    type: state.object.type,
    backend: source.backend.kind,
    problems: source.problems(name),
    frontends: frontends.map(frontend => frontendDetail(frontend, kernel.get(frontend.key), proxy, source)),
    endpoints: endpoints(state, proxy),
    healthCheck: check === undefined ? null : { port: check.port, localEndpoints: check.localEndpoints },
  };
}

function frontendDetail(
  frontend: Frontend,
  kernel: KernelFrontend | undefined,
  proxy: Proxy,
  source: ProxyViewSource,
): FrontendDetail {
  const { masquerade, shortCircuit, affinity, sourceRanges, scheduling, dsr } = frontend;
  return {
    ...line(frontend, proxy, source),
    masquerade,
    shortCircuit,
    affinitySeconds: affinity ?? null,
    sourceRanges: sourceRanges?.map(formatPrefix) ?? null,
    scheduler: scheduling.scheduler,
    dsr,
    wanted: backendsOf(frontend, proxy.backends.get(frontend.servicePort)).map(({ address, port, weight }) => ({
      address,
      port,
      weight,
    })),
    kernel: kernel === undefined ? null : kernelPart(kernel),
  };
}

function kernelPart({ verdict, backends, counters }: KernelFrontend): NonNullable<FrontendDetail['kernel']> {
  return {
    verdict,
    backends: backends.map(({ activeConnections, ...backend }) => ({
      ...backend,
      activeConnections: activeConnections ?? null,
    })),
    counters: counters === undefined ? null : countersView(counters),
  };
}

function countersView({ connections, packetsIn, packetsOut, bytesIn, bytesOut }: TrafficCounters): CountersView {
  return {
    connections: String(connections),
    packetsIn: String(packetsIn),
    bytesIn: String(bytesIn),
    packetsOut: packetsOut === undefined ? null : String(packetsOut),
    bytesOut: bytesOut === undefined ? null : String(bytesOut),
  };
}

function endpoints({ facts, slices }: ServiceState, { node }: Proxy): readonly EndpointView[] {
  return (facts?.ports ?? []).flatMap(port =>
    explainEndpoints(port, slices, node, facts?.weights).map(({ nodeName, ...endpoint }) => ({
      portName: port.name,
      protocol: port.protocol,
      ...endpoint,
      node: nodeName ?? null,
    })),
  );
}
