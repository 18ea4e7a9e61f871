/** `peerage explain policy`: one question, one answer. */

import type { ExplainQuestion, PolicyExplanation } from '../../api/policyView.js';
import { ok, type Result } from '../../core/result.js';
import { explainConnections, type KernelState } from './explainPolicy.js';
import { loadOfflineCluster, warningsOf } from './offlineCluster.js';
import type { PolicyCluster } from './policyCluster.js';
import { parsePort } from './portText.js';
import { connectionsBetween, findSubject, subjectText } from './subjects.js';

export interface PolicyAnswer {
  readonly explanation: PolicyExplanation;
  /** What of the manifests could not be used, a line each: answers may be wrong for want of it. */
  readonly warnings: readonly string[];
}

/** Asks a folder of manifests. @returns the answer, or what is wrong with the question */
export async function askManifests(
  manifests: string,
  question: ExplainQuestion,
): Promise<Result<PolicyAnswer, string>> {
  const loaded = await loadOfflineCluster(manifests);
  if (!loaded.ok) return loaded;
  const answered = answerPolicy(loaded.value, question);
  return answered.ok ? ok({ explanation: answered.value, warnings: warningsOf(loaded.value) }) : answered;
}

/** @param kernel what is known of the kernel that the pods' traffic passes @returns the answer, or what is wrong with the question */
export function answerPolicy(
  cluster: PolicyCluster,
  question: ExplainQuestion,
  kernel?: KernelState,
): Result<PolicyExplanation, string> {
  const port = parsePort(question.port);
  if (!port.ok) return port;
  const from = findSubject(cluster, question.from);
  if (!from.ok) return from;
  const to = findSubject(cluster, question.to);
  if (!to.ok) return to;
  const connections = connectionsBetween(cluster, from.value, to.value, port.value.protocol, port.value.port);
  if (!connections.ok) return connections;
  const names = [subjectText(from.value), subjectText(to.value)] as const;
  return ok(
    explainConnections({ ...cluster, ...(kernel === undefined ? {} : { kernel }) }, ...names, connections.value),
  );
}
