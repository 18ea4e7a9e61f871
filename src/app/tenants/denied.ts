/** What was denied, by namespace, for as long as the agent runs: the kernel counts by address, and forgets what goes. Pure. */

import type { IpText } from '../../kube/objectTypes.js';
import type { TenantDenials } from '../../policy/tenants/tenantKernel.js';
import type { TenantModel } from '../../policy/tenants/tenantModel.js';

/** Packets that pods were not sent, and may not send. */
export interface DeniedPackets {
  readonly to: number;
  readonly from: number;
}

export interface DeniedTotals {
  /** @param counts of the kernel's, by address @returns how many more there are, by namespace */
  take(
    counts: ReadonlyMap<IpText, TenantDenials>,
    model: Pick<TenantModel, 'namespaces' | 'podsOf'>,
  ): ReadonlyMap<string, DeniedPackets>;
  /** All of them. */
  readonly totals: ReadonlyMap<string, DeniedPackets>;
}

export function createDeniedTotals(): DeniedTotals {
  const totals = new Map<string, DeniedPackets>();
  let last: ReadonlyMap<IpText, TenantDenials> = new Map();
  return {
    totals,
    take: (counts, model) => {
      const news = new Map<string, DeniedPackets>();
      for (const namespace of model.namespaces.keys()) {
        const more = { to: 0, from: 0 };
        for (const { addresses, isLocal } of model.podsOf(namespace))
          for (const address of isLocal ? addresses : []) {
            const [before, now] = [last.get(address), counts.get(address)];
            more.to += increase(before?.to, now?.to);
            more.from += increase(before?.from, now?.from);
          }
        if (more.to + more.from === 0) continue;
        news.set(namespace, more);
        const { to, from } = totals.get(namespace) ?? { to: 0, from: 0 };
        totals.set(namespace, { to: to + more.to, from: from + more.from });
      }
      for (const namespace of totals.keys()) if (!model.namespaces.has(namespace)) totals.delete(namespace);
      last = counts;
      return news;
    },
  };
}

/** A count that is less than it was began anew: another pod has the address. */
function increase(before = 0n, now = 0n): number {
  return Number(now < before ? now : now - before);
}
