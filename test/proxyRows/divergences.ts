/** What the two backends do differently on purpose; docs/proxy-modes.md prints this, and a test holds it equal. */

export interface Divergence {
  readonly what: string;
  readonly nftables: string;
  readonly ipvs: string;
}

export const DIVERGENCES = {
  weights: {
    what: 'Weights of endpoints',
    nftables: 'always shares',
    ipvs: 'shares with wrr, wlc and sed; with other schedulers only weight 0 counts',
  },
  affinityRecords: {
    what: 'Records of session affinity',
    nftables: 'one for all addresses and the node port of a service port',
    ipvs: 'one for each address and port',
  },
  affinityEnd: {
    what: 'End of session affinity',
    nftables: 'so long after the last new connection',
    ipvs: 'not before the last connection has ended and the kernel has forgotten it (TCP: two minutes)',
  },
  bothLocal: {
    what: 'Pods and the node at an external address, when internal and external policy are Local',
    nftables: 'any endpoint',
    ipvs: 'endpoints of this node',
  },
} as const satisfies Readonly<Record<string, Divergence>>;
export type DivergenceName = keyof typeof DIVERGENCES;
