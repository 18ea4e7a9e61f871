/** Why each endpoint of a service is in its lists or not: the rules of endpointSelection.ts in words. */

import type { EndpointSlice } from '../kube/objectTypes.js';
import {
  candidatesOf,
  isEnding,
  selectBackends,
  type Candidate,
  type NodeView,
  type Selection,
} from './endpointSelection.js';
import type { Weights } from './serviceAnnotations.js';
import type { WantedPort } from './serviceFrontends.js';

export interface ExplainedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly nodeName: string | undefined;
  readonly isLocal: boolean;
  readonly inCluster: boolean;
  readonly inLocal: boolean;
  /** A few words for a person. */
  readonly reason: string;
}

export function explainEndpoints(
  port: WantedPort,
  slices: readonly EndpointSlice[],
  node: NodeView,
  weights: Weights | undefined,
): readonly ExplainedEndpoint[] {
  const selection = selectBackends(port, slices, node, weights);
  const keys = ({ cluster, local }: Selection['lists']) => ({
    cluster: new Set(cluster.map(({ address, port: number }) => `${address} ${number}`)),
    local: new Set(local.map(({ address, port: number }) => `${address} ${number}`)),
  });
  const { cluster, local } = keys(selection.lists);
  return candidatesOf(port, slices, node).map(candidate => {
    const key = `${candidate.address} ${candidate.port}`;
    return {
      address: candidate.address,
      port: candidate.port,
      nodeName: candidate.endpoint.nodeName,
      isLocal: candidate.isLocal,
      inCluster: cluster.has(key),
      inLocal: local.has(key),
      reason: reasonOf(candidate, selection, cluster.has(key), local.has(key), node),
    };
  });
}

function reasonOf(
  { endpoint }: Candidate,
  { topology }: Selection,
  inCluster: boolean,
  inLocal: boolean,
  { zone }: NodeView,
): string {
  if (endpoint.ready) {
    if (inCluster) return topology === 'all' ? 'ready' : `ready, and hinted to ${nearText(topology, zone)}`;
    return `ready, but hinted to others than ${nearText(topology, zone)}`;
  }
  if (!isEnding(endpoint)) return endpoint.terminating ? 'ending, and serves no more' : 'not ready';
  if (inCluster) return 'ending, and a last resort: none is ready';
  return inLocal ? 'ending, and a last resort on this node' : 'ending, while others are ready';
}

function nearText(topology: Selection['topology'], zone: string | undefined): string {
  return topology === 'sameNode' ? 'this node' : `zone ${zone ?? 'unknown'}`;
}
