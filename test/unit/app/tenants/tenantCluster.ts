/** As much of an API server as tenants need: objects with versions, merge patches of annotations, and faults on demand. */

import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import type { ApiWriter, Method } from '../../../../src/kube/client/apiWriter.js';
import { NEXT_ANNOTATION } from '../../../../src/app/tenants/numberStore.js';
import { NUMBER_ANNOTATION, tenantSpec, type TenantSpec } from '../../../../src/policy/tenants/namespaceTenant.js';

type Annotations = Readonly<Record<string, string | null>>;

interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion?: string;
    readonly annotations?: Annotations;
  };
  readonly spec?: unknown;
}

export const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/peerage-tenants';

export class TenantCluster {
  private readonly objects = new Map<string, Stored>();
  readonly log: string[] = [];
  /** Asked before a request is served, and after: an error is thrown in place of the answer. */
  fault: (method: Method, path: string, who: string, when: 'before' | 'after') => ApiError | undefined = () =>
    undefined;
  /** Runs between a request's arrival and its service. */
  meanwhile: (method: Method, path: string, who: string) => Promise<void> | void = () => undefined;
  private version = 0;

  namespace(name: string, annotations: Annotations = {}): void {
    this.put(`/api/v1/namespaces/${name}`, { metadata: { name, annotations } });
  }

  remove(name: string): void {
    this.objects.delete(`/api/v1/namespaces/${name}`);
  }

  holder(identity: string): void {
    const annotations = this.objects.get(LEASE)?.metadata.annotations ?? {};
    this.put(LEASE, { metadata: { name: 'peerage-tenants', annotations }, spec: { holderIdentity: identity } });
  }

  get next(): string | null | undefined {
    return this.objects.get(LEASE)?.metadata.annotations?.[NEXT_ANNOTATION];
  }

  annotations(name: string): Annotations | undefined {
    return this.objects.get(`/api/v1/namespaces/${name}`)?.metadata.annotations;
  }

  /** What a watch tells of Namespaces. */
  specs(): ReadonlyMap<string, TenantSpec> {
    return new Map(
      [...this.objects].flatMap(([path, { metadata }]) =>
        path === LEASE ? [] : [[metadata.name, tenantSpec(plainOf(metadata.annotations ?? {}))] as const],
      ),
    );
  }

  numbers(): Readonly<Record<string, string | undefined>> {
    return Object.fromEntries(
      [...this.specs().keys()].sort().map(name => [name, this.annotations(name)?.[NUMBER_ANNOTATION] ?? undefined]),
    );
  }

  writer(who: string): ApiWriter {
    return {
      ask: async (method, path, body) => {
        await this.meanwhile(method, path, who);
        const before = this.fault(method, path, who, 'before');
        if (before !== undefined) throw before;
        const answer = this.serve(method, path, body as Stored);
        this.log.push(`${who} ${method} ${path}`);
        const after = this.fault(method, path, who, 'after');
        if (after !== undefined) throw after;
        return structuredClone(answer);
      },
      close: () => undefined,
    };
  }

  private serve(method: Method, path: string, body: Stored): Stored {
    const stored = this.objects.get(path);
    if (stored === undefined) throw new ApiError(404, '404: not found');
    if (method === 'GET') return stored;
    const version = body.metadata.resourceVersion;
    if (version !== undefined && version !== stored.metadata.resourceVersion)
      throw new ApiError(409, '409: was changed');
    if (method === 'PUT') this.put(path, body);
    else this.put(path, { ...stored, metadata: { ...stored.metadata, annotations: merged(stored, body) } });
    return this.objects.get(path)!;
  }

  private put(path: string, object: Stored): void {
    this.objects.set(path, { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } });
  }
}

function merged(stored: Stored, patch: Stored): Annotations {
  return plainOf({ ...stored.metadata.annotations, ...patch.metadata.annotations });
}

function plainOf(annotations: Annotations): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])),
  );
}
