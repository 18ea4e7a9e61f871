/**
 * Numbers of tenants that are given out once: where to go on is written into the Lease of who gives them out, and only its
 * holder can write it there, by the version of the object. Who is not the holder any more, and does not know, is refused; a
 * crash after that loses numbers, of which there are millions, and never gives one out twice. Impure.
 */

import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { isRecord } from '../../kube/objects.js';
import { freshNumbers } from '../../policy/tenants/assignment.js';
import type { TenantNumber } from '../../policy/tenants/tenantNumber.js';
import { annotationsOf } from './namespaceObject.js';

export interface NumberStoreOptions {
  readonly writer: ApiWriter;
  /** Path of the Lease. */
  readonly lease: string;
  readonly identity: string;
  /** Numbers that namespaces have. */
  readonly taken: () => ReadonlySet<number>;
}

/** Reserved for whoever asks. @returns rejects when the Lease is another's, or cannot be written */
export type TakeNumbers = (count: number) => Promise<readonly TenantNumber[]>;

export const NEXT_ANNOTATION = 'peerage.io/tenant.next';
const CONFLICT = 409;
/** The election writes the Lease too, every few seconds. */
const ATTEMPTS = 10;

export function createNumberStore(options: NumberStoreOptions): TakeNumbers {
  return async count => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await reserve(options, count);
      } catch (error) {
        const isConflict = error instanceof ApiError && error.status === CONFLICT;
        if (!isConflict || attempt === ATTEMPTS) throw error;
      }
    }
  };
}

async function reserve(
  { writer, lease, identity, taken }: NumberStoreOptions,
  count: number,
): Promise<readonly TenantNumber[]> {
  const object = await writer.ask('GET', lease);
  const metadata = isRecord(object) ? object['metadata'] : undefined;
  const spec = isRecord(object) ? object['spec'] : undefined;
  if (!isRecord(object) || !isRecord(metadata) || !isRecord(spec) || spec['holderIdentity'] !== identity)
    throw new Error(`${lease} is not held by ${identity}`);
  const annotations = annotationsOf(metadata);
  const written = Number(annotations[NEXT_ANNOTATION]);
  const { numbers, next } = freshNumbers(Number.isInteger(written) ? written : undefined, taken(), count);
  const changed = { ...annotations, [NEXT_ANNOTATION]: String(next) };
  await writer.ask('PUT', lease, { ...object, metadata: { ...metadata, annotations: changed } });
  return numbers;
}
