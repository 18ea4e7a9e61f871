/** The graph's stage for load-balancer addresses: who shall have which, as soon as it is on us to say so. */

import { parsePrefix, type IpPrefix } from '../../core/ip.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { ProblemReport } from '../../kube/problems.js';
import {
  createLoadBalancer,
  type LoadBalancerOutcome,
  type WantedStatus,
} from '../../routing/loadBalancer/loadBalancer.js';
import type { LoadBalancerOptions } from '../../routing/loadBalancer/pools.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';

export interface BalancerOptions {
  readonly allocation: LoadBalancerOptions;
  /** That hosts outside the cluster get subnets of. */
  readonly edgeRanges: readonly IpPrefix[];
  readonly lease: { readonly namespace: string | undefined; readonly name: string };
}

export type BalancerInput =
  | { readonly kind: 'batch'; readonly batch: ObjectBatch }
  | { readonly kind: 'options'; readonly options: BalancerOptions | undefined }
  /** Whether we hold the Lease. */
  | { readonly kind: 'leading'; readonly isLeading: boolean };

export interface BalancerOutcome {
  /** Undefined: it is not on this agent to give out any. */
  readonly options: BalancerOptions | undefined;
  /** Every service whose status is another than it shall be. */
  readonly due: ReadonlyMap<string, WantedStatus>;
  /** How many nodes the cluster has: that many may stand for election. */
  readonly nodes: number;
  readonly problems: ProblemReport;
}

/** Of nobody. */
const NOTHING: LoadBalancerOptions = { pools: [], defaultClass: false, classes: [] };

/** Owns the state of the derivation; one reducer, one owner. */
export function createBalancerStage(): (input: BalancerInput) => BalancerOutcome {
  const balance = createLoadBalancer(NOTHING);
  let options: BalancerOptions | undefined;
  let nodes = 0;
  const apply = (input: BalancerInput): LoadBalancerOutcome => {
    switch (input.kind) {
      case 'batch':
        nodes += nodesMore(input.batch);
        return balance.apply(input.batch);
      case 'options':
        ({ options } = input);
        return balance.configure(options?.allocation ?? NOTHING);
      case 'leading':
        return balance.lead(input.isLeading);
    }
  };
  return input => {
    const { due, problems } = apply(input);
    return { options, due, nodes, problems };
  };
}

function nodesMore(batch: ObjectBatch): number {
  const signs = { added: 1, changed: 0, deleted: -1 };
  return changesOf(batch, 'Node').reduce((sum, { change }) => sum + signs[change], 0);
}

/** What the configuration says of giving out addresses and subnets. @returns undefined: others do, or nobody */
export function balancerOptions(kubernetes: Kubernetes): BalancerOptions | undefined {
  const { run, role, edgeSubnets, loadBalancer } = kubernetes;
  if (role === 'edge' || (!run.loadBalancer && edgeSubnets.length === 0)) return undefined;
  const { namespace, name } = loadBalancer.lease;
  return {
    allocation: run.loadBalancer ? allocationOf(kubernetes) : NOTHING,
    edgeRanges: edgeSubnets.map(prefixOf),
    lease: { namespace, name },
  };
}

function allocationOf({ services, loadBalancer }: Kubernetes): LoadBalancerOptions {
  const { pools, defaultClass, classes } = loadBalancer;
  const named = pools.map(({ ranges, namespaces, labels, ...pool }) => ({
    ...pool,
    ranges: ranges.map(prefixOf),
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(labels === undefined ? {} : { labels }),
  }));
  const common = { name: 'default', ranges: services.loadBalancerIpRanges.map(prefixOf), automatic: true };
  return { pools: named.length > 0 ? named : [common], defaultClass, classes };
}

/** The schema has looked at every text with the same parser. */
function prefixOf(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
