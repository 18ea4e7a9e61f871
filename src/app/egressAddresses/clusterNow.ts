/** What the API server says this moment of nodes that may hold egress addresses, asked for by itself: a watch may be behind. Impure. */

import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { isRecord, parseItem } from '../../kube/objects.js';
import { EGRESS_NODE, mayHold } from '../../policy/egress/egressClaims.js';

/** Milliseconds a request may take: what comes later says nothing any more. */
export const REQUEST_TIME = 3000;

/** @returns names of nodes that hold addresses unless others have found them gone @throws ApiError */
export async function nodesThatMayHold(writer: ApiWriter): Promise<ReadonlySet<string>> {
  const path = `/api/v1/nodes?${new URLSearchParams({ labelSelector: EGRESS_NODE }).toString()}`;
  const list = await writer.ask('GET', path, undefined, { timeout: REQUEST_TIME });
  const items: readonly unknown[] = isRecord(list) && Array.isArray(list['items']) ? list['items'] : [];
  const names = items.flatMap(item => {
    const parsed = parseItem('Node', item);
    return parsed.ok && parsed.value.kind === 'Node' && mayHold(parsed.value) ? [parsed.value.name] : [];
  });
  return new Set(names);
}

/** Whether the server has said anything at all, if only no; what stands before it says 5xx in its place. */
export function isAnswer(error: unknown): boolean {
  return error instanceof ApiError && error.status !== undefined && error.status < 500;
}

/** @param json an object of Kubernetes */
export function annotationsOf(json: unknown): Readonly<Record<string, unknown>> {
  const metadata = isRecord(json) ? json['metadata'] : undefined;
  const annotations = isRecord(metadata) ? metadata['annotations'] : undefined;
  return isRecord(annotations) ? annotations : {};
}
