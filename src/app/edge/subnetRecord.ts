/**
 * What a host outside the cluster and the agent that gives out subnets say to each other: a ConfigMap with the host's name, whose
 * `ask` is the host's and whose `subnets` are the leader's. Pure.
 */

import { isRecord } from '../../kube/objects.js';
import { parseAsk, parseSubnets, type SubnetRequest } from '../../routing/edgeSubnets.js';

/** Namespace of these ConfigMaps, so that nobody who may write them can write others. */
export const EDGE_NAMESPACE = 'peerage-edge';

export interface SubnetRecord extends SubnetRequest {
  /** resourceVersion. */
  readonly version: string;
  /** As it stands there. */
  readonly text: string;
}

export function collectionPath(): string {
  return `/api/v1/namespaces/${EDGE_NAMESPACE}/configmaps`;
}

/** @returns undefined for a ConfigMap that asks for nothing */
export function recordOf(json: unknown): SubnetRecord | undefined {
  const metadata = isRecord(json) ? json['metadata'] : undefined;
  const data = isRecord(json) ? json['data'] : undefined;
  if (!isRecord(metadata) || !isRecord(data)) return undefined;
  const { name, resourceVersion: version, creationTimestamp: createdAt } = metadata;
  const { ask: asked, subnets: text = '' } = data;
  if (typeof name !== 'string' || typeof version !== 'string' || typeof asked !== 'string') return undefined;
  const ask = parseAsk(asked);
  if (ask === undefined || typeof text !== 'string') return undefined;
  return {
    name,
    version,
    createdAt: typeof createdAt === 'string' ? createdAt : '',
    ask,
    text,
    held: parseSubnets(text),
  };
}

/** The records of a list of ConfigMaps. */
export function recordsOf(json: unknown): readonly SubnetRecord[] {
  const items: unknown = isRecord(json) ? json['items'] : undefined;
  if (!Array.isArray(items)) return [];
  return items.map(recordOf).filter(record => record !== undefined);
}
