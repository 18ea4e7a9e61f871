/** Namespaces as an API server has them, as far as tenants are concerned: read, and changed by merge patches. Impure. */

import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { isRecord } from '../../kube/objects.js';
import {
  CHANGE_ANNOTATION,
  formatTenantChange,
  NUMBER_ANNOTATION,
  OPENSHIFT_CHANGE_ANNOTATION,
  tenantSpec,
  type TenantChange,
  type TenantSpec,
} from '../../policy/tenants/namespaceTenant.js';
import type { TenantNumber } from '../../policy/tenants/tenantNumber.js';

export interface LiveNamespace {
  readonly spec: TenantSpec;
  readonly version: string;
}

const NOT_FOUND = 404;
const MERGE = { contentType: 'application/merge-patch+json' };
const pathOf = (name: string): string => `/api/v1/namespaces/${encodeURIComponent(name)}`;

/** @returns undefined when there is none @throws ApiError */
export async function readNamespace(writer: ApiWriter, name: string): Promise<LiveNamespace | undefined> {
  try {
    const json = await writer.ask('GET', pathOf(name));
    const metadata = isRecord(json) ? json['metadata'] : undefined;
    if (!isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string')
      throw new ApiError(undefined, 'the server answered with something that is no Namespace');
    return { spec: tenantSpec(annotationsOf(metadata)), version: metadata['resourceVersion'] };
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND) return undefined;
    throw error;
  }
}

/** The text annotations of an object's metadata. */
export function annotationsOf(metadata: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const { annotations } = metadata;
  if (!isRecord(annotations)) return {};
  return Object.fromEntries(
    Object.entries(annotations).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value] as const] : [])),
  );
}

/** Writes a number down and takes what was asked for off, in one. @throws ApiError; 409 when it is another object by now */
export async function writeNumber(
  writer: ApiWriter,
  name: string,
  number: TenantNumber,
  resourceVersion: string,
): Promise<void> {
  const annotations = {
    [NUMBER_ANNOTATION]: String(number),
    [CHANGE_ANNOTATION]: null,
    [OPENSHIFT_CHANGE_ANNOTATION]: null,
  };
  await writer.ask('PATCH', pathOf(name), { metadata: { resourceVersion, annotations } }, MERGE);
}

/** Asks for a change, in place of whatever was asked for before. @throws Error when it cannot be asked for, saying why */
export async function requestChange(writer: ApiWriter, name: string, change: TenantChange): Promise<void> {
  if (change.kind === 'join' && (await readNamespace(writer, change.namespace)) === undefined)
    throw new Error(`there is no namespace ${change.namespace} to join`);
  const annotations = { [CHANGE_ANNOTATION]: formatTenantChange(change), [OPENSHIFT_CHANGE_ANNOTATION]: null };
  try {
    await writer.ask('PATCH', pathOf(name), { metadata: { annotations } }, MERGE);
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND)
      throw new Error(`there is no namespace ${name}`, { cause: error });
    throw error;
  }
}
