/** Finds the API server and what convinces it, where every Kubernetes program looks. Impure. */

import type { ApiCredentials } from './apiConnection.js';

export interface KubeConfigChoice {
  /** Path of a kubeconfig file. */
  readonly kubeconfig?: string;
  /** URL of the API server; goes before the one of the file. */
  readonly master?: string;
}

/**
 * The given file; else $KUBECONFIG, ~/.kube/config, or the service account of the pod we run in.
 * @throws Error when a file cannot be read, or nothing is found
 */
export async function loadKubeConfig({ kubeconfig, master }: KubeConfigChoice): Promise<ApiCredentials> {
  // Loaded only where there is an API server: it is larger than all of the rest.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig !== undefined) config.loadFromFile(kubeconfig);
  else if (process.env['KUBECONFIG'] === undefined && process.env['KUBERNETES_SERVICE_HOST'] !== undefined)
    config.loadFromCluster();
  else config.loadFromDefault();
  const cluster = config.getCurrentCluster();
  const server = master ?? cluster?.server;
  if (server === undefined) throw new Error('no API server: give --kubeconfig or --master');
  return {
    server,
    proxied: cluster?.proxyUrl !== undefined,
    // Nobody's credentials go over a network in clear text.
    apply: options => (server.startsWith('http:') ? Promise.resolve() : config.applyToHTTPSOptions(options)),
  };
}
