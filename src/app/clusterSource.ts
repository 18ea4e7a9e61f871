/** Where the agent's Kubernetes objects come from: an API server, or a folder of manifests. Impure. */

import { statSync } from 'node:fs';
import type { Observable } from 'rxjs';
import { err, ok, type Result } from '../core/result.js';
import { connectApi } from '../kube/client/apiConnection.js';
import { createApiWriter, type ApiWriter } from '../kube/client/apiWriter.js';
import { apiServerObjects, type ApiServerOptions } from '../kube/client/apiServer.js';
import type { SourceEvent } from '../kube/client/folder.js';
import { loadKubeConfig, type KubeConfigChoice } from '../kube/client/kubeConfig.js';
import { manifests } from '../kube/client/manifests.js';
import type { Kind } from '../kube/objectTypes.js';

export interface ClusterChoice extends KubeConfigChoice {
  /** Folder of Kubernetes objects; goes before the API server. */
  readonly manifests?: string;
  /** Parts that run besides the router: what only they use is read too. */
  readonly parts?: readonly Part[];
  readonly nodeName: string;
  readonly counters?: ApiServerOptions['counters'];
}

export interface ClusterSource {
  readonly objects: Observable<SourceEvent>;
  /** For the log: where objects come from. */
  readonly from: { readonly manifests: string } | { readonly apiServer: string };
  /** For the few objects that we write; undefined: a folder is only read. */
  readonly writer: ApiWriter | undefined;
  close(): void;
}

/** What the router uses. */
const KINDS: readonly Kind[] = ['Node', 'Service', 'EndpointSlice'];

/** What parts use besides. */
const KINDS_OF = {
  serviceProxy: ['ServiceCIDR'],
  firewall: ['Pod', 'Namespace', 'NetworkPolicy', 'ClusterNetworkPolicy'],
  bandwidth: ['Pod'],
  tenants: ['Pod', 'Namespace'],
  egressAddresses: ['Pod', 'Namespace'],
} as const satisfies Readonly<Record<string, readonly Kind[]>>;
export type Part = keyof typeof KINDS_OF;

/** @returns each kind once */
export function kindsOf(parts: readonly Part[]): readonly Kind[] {
  return [...new Set<Kind>([...KINDS, ...parts.flatMap(part => KINDS_OF[part])])];
}

/** Limits concern the node's own pods alone; whoever else looks at pods needs those of all nodes. */
export function fieldSelectorsOf(parts: readonly Part[], nodeName: string): Readonly<Partial<Record<Kind, string>>> {
  const readers = parts.filter(part => KINDS_OF[part].some(kind => kind === 'Pod'));
  const isOwnOnly = readers.length > 0 && readers.every(part => part === 'bandwidth');
  return isOwnOnly ? { Pod: `spec.nodeName=${nodeName}` } : {};
}

/** Nothing is asked of the API server before somebody subscribes. */
export async function openClusterSource(choice: ClusterChoice): Promise<Result<ClusterSource, string>> {
  if (choice.manifests !== undefined) {
    const { manifests: directory } = choice;
    const wrong = whyNoFolder(directory);
    if (wrong !== undefined) return err(`--manifests ${directory}: ${wrong}`);
    const objects = manifests({ directory });
    return ok({ objects, from: { manifests: directory }, writer: undefined, close: () => undefined });
  }
  try {
    const credentials = await loadKubeConfig(choice);
    const connection = connectApi(credentials);
    const writer = createApiWriter(credentials);
    return ok({
      objects: apiServerObjects({
        connection,
        kinds: kindsOf(choice.parts ?? []),
        fieldSelectors: fieldSelectorsOf(choice.parts ?? [], choice.nodeName),
        ...(choice.counters ? { counters: choice.counters } : {}),
      }),
      from: { apiServer: connection.server },
      writer,
      close: () => {
        connection.close();
        writer.close();
      },
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
