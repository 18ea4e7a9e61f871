/** The `kubernetes.tenants` section: networks of namespaces. */

import { z } from 'zod';

const Lease = z.strictObject({
  namespace: z.string().min(1).optional().describe('Default: $POD_NAMESPACE, or kube-system.'),
  name: z.string().min(1).default('peerage-tenants').describe('Default peerage-tenants.'),
});

export const TENANCIES = ['none', 'namespace'] as const;

export const TenantsSection = z.strictObject({
  global: z
    .array(z.string().min(1))
    .default(['default', 'kube-system'])
    .describe(
      'Namespaces that reach all and are reached by all, unless they have a number. Default default, kube-system.',
    ),
  lease: Lease.prefault({}).describe('The Lease by which agents elect the one that gives numbers out.'),
});
