/** Finds the API server and what convinces it, where every Kubernetes program looks. Impure. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ApiCredentials } from './apiConnection.js';
import { accountCredentials, plainCredentials } from './plainConfig.js';

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
export async function loadKubeConfig(choice: KubeConfigChoice): Promise<ApiCredentials> {
  const { master } = choice;
  // Nobody's credentials go over a network in clear text.
  const inClear = (server: string): ApiCredentials => ({ server, proxied: false, apply: () => Promise.resolve() });
  if (master?.startsWith('http:') === true) return inClear(master);
  const credentials = (await plain(choice)) ?? (await ofLibrary(choice));
  const server = master ?? credentials.server;
  return server.startsWith('http:') ? inClear(server) : { ...credentials, server };
}

async function plain({ kubeconfig }: KubeConfigChoice): Promise<ApiCredentials | undefined> {
  if (kubeconfig !== undefined) return plainCredentials(kubeconfig);
  const { KUBECONFIG: files = '' } = process.env;
  // Several are for the library to merge.
  if (files !== '') return files.includes(':') ? undefined : plainCredentials(files);
  const account = accountCredentials(process.env);
  if (account !== undefined) return account;
  const ofHome = join(homedir(), '.kube', 'config');
  return existsSync(ofHome) ? plainCredentials(ofHome) : undefined;
}

async function ofLibrary({ kubeconfig, master }: KubeConfigChoice): Promise<ApiCredentials> {
  // Loaded only where it is needed: it is larger than all of the rest.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  const cluster = config.getCurrentCluster();
  const server = master ?? cluster?.server;
  if (server === undefined) throw new Error('no API server: give --kubeconfig or --master');
  return {
    server,
    proxied: cluster?.proxyUrl !== undefined,
    apply: options => config.applyToHTTPSOptions(options),
  };
}
