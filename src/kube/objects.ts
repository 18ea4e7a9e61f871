/** From what kubectl prints or an API server sends to typed objects. A bad object is a value that says what is wrong where. */

import type { z } from 'zod';
import { err, ok, type Result } from '../core/result.js';
import type { Brand } from '../core/brand.js';
import { clusterNetworkPolicy } from './clusterPolicySchema.js';
import { endpointSlice, namespace, node, pod, service, serviceCidr } from './objectSchemas.js';
import type { Kind, KubeObject, ObjectOf } from './objectTypes.js';
import { ordinary } from './ordinary.js';
import { closedNetworkPolicy, networkPolicy } from './policySchema.js';

/** Names one object among all: `Node/node-1`, `Pod/demo/web-1`. */
export type ObjectKey = Brand<string, 'ObjectKey'>;

/** Why an object cannot be used. */
export interface BadObject {
  /** Undefined when not even kind and name can be told. */
  readonly key: ObjectKey | undefined;
  /** Kind, namespace/name, path of the field, and what is wrong with it. */
  readonly text: string;
  /** What is to be in force where no good state is known: a policy of which only that is left out which would allow. */
  readonly standIn?: KubeObject | undefined;
}

/** What a stand-in means, for a person. */
export const CLOSED = 'it governs what it selects, and what cannot be read in it allows nothing';

interface KindRow<K extends Kind> {
  readonly group: string;
  readonly version: 'v1' | 'v1alpha2';
  readonly namespaced: boolean;
  readonly schema: z.ZodType<ObjectOf<K>>;
  /** For what the schema refuses, where it is safer to go by half of an object than without it. */
  readonly closed?: z.ZodType<ObjectOf<K>>;
}

/** A kind without a row does not compile. */
const KINDS: { readonly [K in Kind]: KindRow<K> } = {
  Node: { group: '', version: 'v1', namespaced: false, schema: node },
  Namespace: { group: '', version: 'v1', namespaced: false, schema: namespace },
  Service: { group: '', version: 'v1', namespaced: true, schema: service },
  EndpointSlice: { group: 'discovery.k8s.io', version: 'v1', namespaced: true, schema: endpointSlice },
  Pod: { group: '', version: 'v1', namespaced: true, schema: pod },
  NetworkPolicy: {
    group: 'networking.k8s.io',
    version: 'v1',
    namespaced: true,
    schema: networkPolicy,
    closed: closedNetworkPolicy,
  },
  ClusterNetworkPolicy: {
    group: 'policy.networking.k8s.io',
    version: 'v1alpha2',
    namespaced: false,
    schema: clusterNetworkPolicy,
  },
  ServiceCIDR: { group: 'networking.k8s.io', version: 'v1', namespaced: false, schema: serviceCidr },
};

export function keyOf(object: Pick<KubeObject, 'kind' | 'namespace' | 'name'>): ObjectKey {
  const { kind, namespace, name } = object;
  return (namespace === '' ? `${kind}/${name}` : `${kind}/${namespace}/${name}`) as ObjectKey;
}

/** `Pod demo/web-1`, as a person says it. */
export function describe(object: Pick<KubeObject, 'kind' | 'namespace' | 'name'>): string {
  return keyOf(object).replace('/', ' ');
}

/**
 * Reads one object.
 * @param json a parsed JSON or YAML document (not a List)
 * @returns the object; undefined for a kind that is none of ours; or what is wrong with it. A namespace left out means `default`.
 */
export function parseObject(json: unknown): Result<KubeObject | undefined, BadObject> {
  if (!isRecord(json)) return err({ key: undefined, text: 'is not an object' });
  const { kind, apiVersion } = json;
  if (typeof kind !== 'string' || kind === '') return err({ key: undefined, text: 'has no kind' });
  if (typeof apiVersion !== 'string') return err({ key: undefined, text: `${kind}: has no apiVersion` });
  if (!isKind(kind)) return ok(undefined);
  return parseKind(kind, apiVersion, json);
}

/**
 * Reads one object of a kind that is known, because an API server was asked for no other.
 * @param json without kind and apiVersion, if need be
 */
export function parseItem(kind: Kind, json: unknown): Result<KubeObject, BadObject> {
  return isRecord(json) ? readKind(kind, json) : err({ key: undefined, text: 'is not an object' });
}

function parseKind(
  kind: Kind,
  apiVersion: string,
  json: Readonly<Record<string, unknown>>,
): Result<KubeObject | undefined, BadObject> {
  const row = KINDS[kind];
  const [version, group] = apiVersion.split('/').reverse();
  // Other API groups have kinds of the same name (Calico's NetworkPolicy): those are not ours.
  if ((group ?? '') !== row.group) return ok(undefined);
  const identity = identityOf(kind, json, row.namespaced);
  if (identity !== undefined && version !== row.version)
    return bad(identity, `apiVersion: ${apiVersion} is not served here, only ${row.version}`);
  return readKind(kind, json);
}

function readKind(kind: Kind, json: Readonly<Record<string, unknown>>): Result<KubeObject, BadObject> {
  const row = KINDS[kind];
  const identity = identityOf(kind, json, row.namespaced);
  if (identity === undefined) return err({ key: undefined, text: `${kind}: metadata.name is missing` });
  const quick = ordinary(kind, json, identity.namespace);
  if (quick !== undefined) return ok(quick);
  const parsed = row.schema.safeParse(json);
  if (parsed.success) return ok({ ...parsed.data, namespace: identity.namespace });
  const closed = row.closed?.safeParse(json);
  const standIn = closed?.success === true ? { ...closed.data, namespace: identity.namespace } : undefined;
  return bad(identity, issuesText(parsed.error), standIn);
}

function bad(
  identity: Pick<KubeObject, 'kind' | 'namespace' | 'name'>,
  text: string,
  standIn?: KubeObject,
): Result<never, BadObject> {
  return err({ key: keyOf(identity), text: `${describe(identity)}: ${text}`, standIn });
}

function identityOf(
  kind: Kind,
  json: Readonly<Record<string, unknown>>,
  namespaced: boolean,
): Pick<KubeObject, 'kind' | 'namespace' | 'name'> | undefined {
  const { metadata } = json;
  if (!isRecord(metadata)) return undefined;
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return undefined;
  const given = typeof namespace === 'string' && namespace !== '' ? namespace : 'default';
  return { kind, name, namespace: namespaced ? given : '' };
}

/** The first complaint, and how many there are besides: one line in a log. */
export function issuesText(error: z.ZodError): string {
  const [first, ...others] = error.issues;
  if (first === undefined) return 'cannot be read';
  const path = first.path.map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `${path.replace(/^\./, '')}: ${first.message}${more}`;
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(KINDS, kind);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
