/** What a service proxy owes to Kubernetes, numbered; each is proved by packets in a case here, or by the tests that it names. */

export interface Semantic {
  readonly what: string;
  /** Tests that prove what packets alone cannot. */
  readonly elsewhere?: readonly string[];
}

export const SEMANTICS = {
  1: { what: 'cluster IPs are served to pods, the node and outsiders' },
  2: { what: 'new connections are shared out among backends' },
  3: { what: 'TCP, UDP and SCTP, several ports, the same port of two protocols' },
  4: { what: 'node ports, which source ranges do not concern' },
  5: { what: 'which addresses serve node ports' },
  6: { what: 'loopback serves no node ports' },
  7: { what: 'services without node ports', elsewhere: ['test/unit/proxy/frontends.test.ts'] },
  8: { what: 'load-balancer IPs' },
  9: { what: 'ingress that is no address or of mode Proxy', elsewhere: ['test/unit/proxy/frontends.test.ts'] },
  10: { what: 'external IPs' },
  11: { what: 'source ranges of load-balancer IPs' },
  12: { what: 'external policy Cluster: every endpoint, masqueraded' },
  13: { what: 'external policy Local: endpoints of the node, except for pods and the node itself' },
  14: { what: 'policy Local without an endpoint here: dropped' },
  15: { what: 'no endpoint anywhere: rejected' },
  16: { what: 'ports and addresses of the service range that nobody has' },
  17: { what: 'internal policy Local' },
  18: { what: 'health-check node ports', elsewhere: ['test/unit/app/proxy'] },
  19: { what: 'session affinity by client address, with its time' },
  20: { what: 'endpoints that end: a last resort, and their connections go on' },
  21: { what: 'stale UDP flows' },
  22: { what: 'a pod that comes back to itself' },
  23: { what: 'the mark of what is masqueraded' },
  24: { what: 'masquerading of all, or of what comes from elsewhere' },
  25: { what: 'pods keep their address' },
  26: { what: 'both families' },
  27: { what: 'health of the proxy', elsewhere: ['test/unit/app/proxy'] },
  28: { what: 'synchronisation', elsewhere: ['test/kernel/proxyTable.test.ts', 'test/unit/proxy/nftables'] },
  29: { what: 'large clusters', elsewhere: ['bench/proxy'] },
  30: { what: 'kernel settings', elsewhere: ['test/unit/app'] },
  31: { what: 'what the kernel must have', elsewhere: ['interop/vm/suites/ipvsProxy.ts'] },
  32: { what: 'virtual servers of others', elsewhere: ['interop/vm/suites/ipvsProxy.ts'] },
  33: { what: 'no status is written', elsewhere: ['test/unit/proxy/proxyHistory.test.ts'] },
} as const satisfies Readonly<Record<number, Semantic>>;
export type SemanticNumber = keyof typeof SEMANTICS;
