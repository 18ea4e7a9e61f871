/** Asks for a change of tenants straight at the API server, with somebody's own rights. Impure. */

import { createApiWriter } from '../../kube/client/apiWriter.js';
import { loadKubeConfig } from '../../kube/client/kubeConfig.js';
import { parseTenantChange } from '../../policy/tenants/namespaceTenant.js';
import { requestChange } from './namespaceObject.js';

/** @param change `join:NAMESPACE`, `isolate` or `global` @throws Error that says what hinders it */
export async function askApiServer(kubeconfig: string, namespaces: readonly string[], change: string): Promise<void> {
  const parsed = parseTenantChange(change);
  if (parsed === undefined) throw new Error(`"${change}" is none of join:NAMESPACE, isolate, global`);
  const writer = createApiWriter(await loadKubeConfig({ kubeconfig }));
  try {
    for (const namespace of namespaces) await requestChange(writer, namespace, parsed);
  } finally {
    writer.close();
  }
}
