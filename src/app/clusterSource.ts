/** Where the agent's Kubernetes objects come from: an API server, or a folder of manifests. Impure. */

import { statSync } from 'node:fs';
import type { Observable } from 'rxjs';
import { err, ok, type Result } from '../core/result.js';
import { connectApi } from '../kube/client/apiConnection.js';
import { apiServerObjects, type ApiServerOptions } from '../kube/client/apiServer.js';
import type { SourceEvent } from '../kube/client/folder.js';
import { loadKubeConfig, type KubeConfigChoice } from '../kube/client/kubeConfig.js';
import { manifests } from '../kube/client/manifests.js';
import type { Kind } from '../kube/objectTypes.js';

export interface ClusterChoice extends KubeConfigChoice {
  /** Folder of Kubernetes objects; goes before the API server. */
  readonly manifests?: string;
  readonly counters?: ApiServerOptions['counters'];
}

export interface ClusterSource {
  readonly objects: Observable<SourceEvent>;
  /** For the log: where objects come from. */
  readonly from: { readonly manifests: string } | { readonly apiServer: string };
  close(): void;
}

/** What the router uses. Others join with the service proxy and the firewall. */
const KINDS: readonly Kind[] = ['Node', 'Service', 'EndpointSlice'];

/** Nothing is asked of the API server before somebody subscribes. */
export async function openClusterSource(choice: ClusterChoice): Promise<Result<ClusterSource, string>> {
  if (choice.manifests !== undefined) {
    const { manifests: directory } = choice;
    const wrong = whyNoFolder(directory);
    if (wrong !== undefined) return err(`--manifests ${directory}: ${wrong}`);
    return ok({ objects: manifests({ directory }), from: { manifests: directory }, close: () => undefined });
  }
  try {
    const connection = connectApi(await loadKubeConfig(choice));
    return ok({
      objects: apiServerObjects({
        connection,
        kinds: KINDS,
        ...(choice.counters ? { counters: choice.counters } : {}),
      }),
      from: { apiServer: connection.server },
      close: () => connection.close(),
    });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return err(`no way to the API server: ${text} (or give --manifests, a folder of objects)`);
  }
}

function whyNoFolder(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : 'is not a folder';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
