/** Rows of truth tables (test/policyRows) in the form of the oracle's: pods that serve the one port that a step is about. */

import { isExpected, type Step } from '../../test/policyRows/rows.js';
import type { Cluster, ClusterPod } from './cluster.js';
import type { DeniedCells } from './cyclonus.js';

interface PodObject {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly status: { readonly podIP: string };
}

/** Of a row's objects. They have IPv4 addresses alone. */
export function podsOf({ objects, protocol, port }: Step): readonly ClusterPod[] {
  return objects.filter(isPod).map(({ metadata: { namespace, name }, status }) => ({
    namespace,
    name,
    labels: {},
    ips: [status.podIP],
    ports: [{ name: '', port, protocol }],
  }));
}

export function tableOf(step: Step): { readonly cluster: Cluster; readonly denied: readonly DeniedCells[] } {
  const pods = podsOf(step);
  const denied = pods.flatMap(from =>
    pods
      .filter(to => to !== from && !isExpected(step.expect, from, to))
      .map(to => `${from.namespace}/${from.name} ${to.namespace}/${to.name} ${step.protocol} ${step.port}`),
  );
  return { cluster: { namespaces: {}, pods, policies: [] }, denied: [denied] };
}

function isPod(object: unknown): object is PodObject {
  return typeof object === 'object' && object !== null && 'kind' in object && object.kind === 'Pod';
}
