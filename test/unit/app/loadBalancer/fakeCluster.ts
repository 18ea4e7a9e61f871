/** As much of an API server as a leader writes to: objects with versions, in memory, and faults on demand. */

import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import type { ApiWriter, Method } from '../../../../src/kube/client/apiWriter.js';

interface Stored {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly [key: string]: unknown;
}

export class FakeCluster {
  readonly objects = new Map<string, Stored>();
  /** Every request that was answered: `PUT /path`. */
  readonly log: string[] = [];
  /** Asked before a request: an error is thrown in place of the answer. */
  fault: (method: Method, path: string, who: string) => ApiError | undefined = () => undefined;
  /** Runs between a request's arrival and its answer. */
  meanwhile: (method: Method, path: string) => void = () => undefined;
  private version = 0;

  /** @param path of the object */
  put(path: string, object: object): void {
    const metadata = { ...(object as Stored).metadata, resourceVersion: String(++this.version) };
    this.objects.set(path, { ...object, metadata });
  }

  /** @param who asks */
  writer(who = ''): ApiWriter {
    return {
      ask: async (method, path, body) => {
        await Promise.resolve();
        this.meanwhile(method, path);
        const fault = this.fault(method, path, who);
        if (fault !== undefined) throw fault;
        const answer = this.serve(method, path, body as Stored);
        this.log.push(`${method} ${path}`);
        return structuredClone(answer);
      },
      close: () => undefined,
    };
  }

  private serve(method: Method, path: string, body: Stored): Stored {
    if (method === 'POST') return this.create(`${path}/${body.metadata.name}`, body);
    const target = path.replace(/\/status$/, '');
    if (method === 'GET' && target.endsWith('s') && !this.objects.has(target)) return this.list(target);
    const stored = this.objects.get(target);
    if (stored === undefined) throw new ApiError(404, '404: not found');
    if (method === 'GET') return stored;
    const version = (body as Partial<Stored>).metadata?.resourceVersion ?? stored.metadata.resourceVersion;
    if (version !== stored.metadata.resourceVersion) throw new ApiError(409, '409: was changed');
    if ('data' in body)
      this.put(target, { ...stored, data: { ...(stored['data'] as object), ...(body['data'] as object) } });
    else this.put(target, method === 'PUT' ? body : { ...stored, status: merged(stored['status'], body['status']) });
    return this.objects.get(target)!;
  }

  private list(path: string): Stored {
    const items = [...this.objects].filter(([key]) => key.startsWith(`${path}/`)).map(([, object]) => object);
    return { metadata: { name: '', resourceVersion: '' }, items };
  }

  private create(path: string, body: Stored): Stored {
    if (this.objects.has(path)) throw new ApiError(409, '409: is there already');
    this.put(path, body);
    return this.objects.get(path)!;
  }
}

/** As much of a strategic merge as a Service's status needs: ingress is one value, conditions merge by type. */
function merged(before: unknown, patch: unknown): unknown {
  interface Status {
    readonly loadBalancer?: { readonly ingress?: readonly object[] | null };
    readonly conditions?: readonly { readonly type: string; readonly $patch?: string }[];
  }
  const [old, next] = [(before ?? {}) as Status, patch as Status];
  const types = new Set(next.conditions?.map(({ type }) => type));
  const kept = (old.conditions ?? []).filter(({ type }) => !types.has(type));
  const set = (next.conditions ?? []).filter(({ $patch }) => $patch !== 'delete');
  const ingress = next.loadBalancer?.ingress ?? undefined;
  return { loadBalancer: ingress === undefined ? {} : { ingress }, conditions: [...kept, ...set] };
}

/** Lets every answer that is on its way arrive. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
