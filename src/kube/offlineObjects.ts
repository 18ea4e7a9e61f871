/**
 * Objects as people keep them in a repository, for questions about a cluster that need not exist: workloads in place of the
 * pods that a controller would make of them, and services with what they select. The agent itself needs neither.
 */

import { z } from 'zod';
import { err, ok, type Result } from '../core/result.js';
import { pod as podSchema } from './objectSchemas.js';
import { issuesText, isRecord, parseObject, type BadObject } from './objects.js';
import type { KubeObject, Pod, Protocol, Service } from './objectTypes.js';
import { listOf, maybe, orElse, portNumber, protocol, section, strings } from './schemaParts.js';

/** What a service sends its traffic to. */
export interface ServiceTarget {
  /** Empty: its endpoints are somebody's own work. */
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: Protocol;
    readonly port: number;
    /** A number, or the name of a pod's port. */
    readonly targetPort: number | string;
  }[];
}

export type OfflineObject =
  | { readonly kind: 'object'; readonly object: KubeObject }
  /** One pod stands for all that the workload would have; its name is `deployment/web`, and it has no address. */
  | { readonly kind: 'workload'; readonly pod: Pod }
  | { readonly kind: 'service'; readonly service: Service; readonly target: ServiceTarget };

/** @returns undefined for a kind that is of no use here */
export function readOfflineObject(json: unknown): Result<OfflineObject | undefined, BadObject> {
  if (isRecord(json) && typeof json['kind'] === 'string') {
    const template = templateOf(json['kind'], json);
    if (template !== undefined) return readWorkload(json['kind'], json, template);
  }
  const parsed = parseObject(json);
  if (!parsed.ok) return parsed;
  const object = parsed.value;
  if (object === undefined) return ok(undefined);
  if (object.kind === 'Service') return readTarget(object, json);
  return ok({ kind: 'object', object });
}

type Json = Readonly<Record<string, unknown>>;

/** Of the groups that Kubernetes itself serves; other groups have kinds of the same name. */
const WORKLOADS: Readonly<Record<string, string>> = {
  Deployment: 'apps',
  StatefulSet: 'apps',
  DaemonSet: 'apps',
  ReplicaSet: 'apps',
  ReplicationController: '',
  Job: 'batch',
  CronJob: 'batch',
};

/** @returns undefined when it is no workload */
function templateOf(kind: string, json: Json): unknown {
  if (!Object.hasOwn(WORKLOADS, kind)) return undefined;
  const { apiVersion, spec } = json;
  const group = typeof apiVersion === 'string' && apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  if (group !== WORKLOADS[kind] || !isRecord(spec)) return undefined;
  if (kind !== 'CronJob') return spec['template'];
  const job = spec['jobTemplate'];
  return isRecord(job) && isRecord(job['spec']) ? job['spec']['template'] : undefined;
}

function readWorkload(kind: string, json: Json, template: unknown): Result<OfflineObject | undefined, BadObject> {
  const metadata = isRecord(json['metadata']) ? json['metadata'] : {};
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return bad(`${kind}: metadata.name is missing`);
  const home = typeof namespace === 'string' && namespace !== '' ? namespace : 'default';
  const inner = isRecord(template) ? template : {};
  const labels = isRecord(inner['metadata']) ? inner['metadata']['labels'] : undefined;
  const parsed = podSchema.safeParse({
    metadata: { name: `${kind.toLowerCase()}/${name}`, namespace: home, labels },
    spec: inner['spec'],
  });
  if (!parsed.success) return bad(`${kind} ${home}/${name}: spec.template: ${issuesText(parsed.error)}`);
  // A node is chosen when there is a pod.
  return ok({ kind: 'workload', pod: { ...parsed.data, nodeName: undefined } });
}

const target: z.ZodType<ServiceTarget> = z
  .object({
    spec: section({
      selector: strings,
      ports: listOf(
        z.object({
          name: orElse<string>(z.string(), ''),
          protocol,
          port: portNumber,
          targetPort: maybe<number | string>(z.union([z.int(), z.string()])),
        }),
      ),
    }),
  })
  .transform(({ spec: { selector, ports } }) => ({
    selector,
    // 0 and nothing mean the service's own number.
    ports: ports.map(({ targetPort, ...port }) => ({ ...port, targetPort: targetPort || port.port })),
  }));

function readTarget(service: Service, json: unknown): Result<OfflineObject, BadObject> {
  const parsed = target.safeParse(json);
  if (!parsed.success) return bad(`Service ${service.namespace}/${service.name}: ${issuesText(parsed.error)}`);
  return ok({ kind: 'service', service, target: parsed.data });
}

function bad(text: string): Result<never, BadObject> {
  return err({ key: undefined, text });
}
