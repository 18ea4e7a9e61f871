/** `peerage explain policy` on a folder of manifests: one question, one answer. Impure. */

import type { PolicyExplanation } from '../../api/policyView.js';
import { ok, type Result } from '../../core/result.js';
import { explainConnections } from './explainPolicy.js';
import { loadOfflineCluster, warningsOf } from './offlineCluster.js';
import { parsePort } from './portText.js';
import { connectionsBetween, findSubject, subjectText } from './subjects.js';

export interface PolicyQuestion {
  readonly manifests: string;
  readonly from: string;
  readonly to: string;
  /** `80/tcp`. */
  readonly port: string;
}

export interface PolicyAnswer {
  readonly explanation: PolicyExplanation;
  /** What of the manifests could not be used, a line each: answers may be wrong for want of it. */
  readonly warnings: readonly string[];
}

/** @returns the answer, or what is wrong with the question */
export async function askPolicy(question: PolicyQuestion): Promise<Result<PolicyAnswer, string>> {
  const port = parsePort(question.port);
  if (!port.ok) return port;
  const loaded = await loadOfflineCluster(question.manifests);
  if (!loaded.ok) return loaded;
  const cluster = loaded.value;
  const from = findSubject(cluster, question.from);
  if (!from.ok) return from;
  const to = findSubject(cluster, question.to);
  if (!to.ok) return to;
  const connections = connectionsBetween(cluster, from.value, to.value, port.value.protocol, port.value.port);
  if (!connections.ok) return connections;
  const names = [subjectText(from.value), subjectText(to.value)] as const;
  const explanation = explainConnections(cluster.world, cluster.sources, ...names, connections.value);
  return ok({ explanation, warnings: warningsOf(cluster) });
}
