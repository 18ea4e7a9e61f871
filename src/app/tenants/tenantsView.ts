/** From what the agent knows of tenants to what `peerage show tenants` shows, and the way of a change that is asked for. Impure: requests. */

import type { TenantsView, TenantView } from '../../api/tenantView.js';
import { err, ok } from '../../core/result.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { formatTenantChange, parseTenantChange } from '../../policy/tenants/namespaceTenant.js';
import type { TenantModel } from '../../policy/tenants/tenantModel.js';
import { CLOSED, GLOBAL, type TenantNumber } from '../../policy/tenants/tenantNumber.js';
import type { DeniedPackets } from './denied.js';
import { requestChange } from './namespaceObject.js';

export interface TenantsSource {
  /** Undefined: objects come from a folder, and nothing can be written. */
  readonly writer: ApiWriter | undefined;
  /** Undefined before the first objects. */
  readonly model: () => TenantModel | undefined;
  /** By namespace, as of now; undefined: it cannot be read. */
  readonly denied: () => Promise<ReadonlyMap<string, DeniedPackets> | undefined>;
}

export function createTenantsView({ writer, model, denied }: TenantsSource): TenantsView {
  return {
    tenants: async () => {
      const known = model();
      return known === undefined ? [] : tenantLines(known, await denied());
    },
    ask: async (namespace, text) => {
      const change = parseTenantChange(text);
      if (change === undefined) return err(`"${text}" is none of join:NAMESPACE, isolate, global`);
      if (writer === undefined)
        return err('objects come from a folder: write the annotation peerage.io/tenant.change into the manifest');
      try {
        await requestChange(writer, namespace, change);
        return ok(undefined);
      } catch (error) {
        return err(error instanceof Error ? error.message : String(error));
      }
    },
  };
}

/** In the order of names. */
export function tenantLines(
  model: TenantModel,
  denied: ReadonlyMap<string, DeniedPackets> | undefined,
): readonly TenantView[] {
  const members = new Map<TenantNumber, string[]>();
  for (const [name, { number }] of model.namespaces) {
    const others = members.get(number);
    if (others === undefined) members.set(number, [name]);
    else others.push(name);
  }
  return [...model.namespaces]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([namespace, { number, complaints }]) => {
      const isOwn = number !== GLOBAL && number !== CLOSED;
      const change = model.specs.get(namespace)?.change;
      const packets = denied === undefined ? undefined : (denied.get(namespace) ?? { to: 0, from: 0 });
      return {
        namespace,
        tenant: number === CLOSED ? null : number,
        with: isOwn ? (members.get(number) ?? []).filter(other => other !== namespace).sort() : [],
        ...countAddresses(model, namespace),
        deniedTo: packets?.to ?? null,
        deniedFrom: packets?.from ?? null,
        asked: change === undefined ? null : formatTenantChange(change),
        problem: complaints.length === 0 ? null : complaints.join('; '),
      };
    });
}

function countAddresses(
  model: TenantModel,
  namespace: string,
): { readonly addresses: number; readonly localAddresses: number } {
  let [all, local] = [0, 0];
  for (const { addresses, isLocal } of model.podsOf(namespace)) {
    all += addresses.length;
    local += isLocal ? addresses.length : 0;
  }
  return { addresses: all, localAddresses: local };
}
