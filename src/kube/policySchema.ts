/** The schema of NetworkPolicy (networking.k8s.io/v1), JSON to typed object. */

import { z } from 'zod';
import type { LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule } from './objectTypes.js';
import { cidr, listOf, maybe, metadata, orElse, portNumber, protocol, strings } from './schemaParts.js';

const selector: z.ZodType<LabelSelector> = z.object({
  matchLabels: strings,
  matchExpressions: listOf(
    z.object({
      key: z.string().min(1),
      operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
      values: listOf(z.string()),
    }),
  ),
});

const peer: z.ZodType<PolicyPeer> = z
  .object({
    ipBlock: maybe(z.object({ cidr, except: listOf(cidr) })),
    podSelector: maybe(selector),
    namespaceSelector: maybe(selector),
  })
  .transform((given, context): PolicyPeer => {
    const { ipBlock, podSelector: pods, namespaceSelector: namespaces } = given;
    const selects = pods !== undefined || namespaces !== undefined;
    if (selects && ipBlock === undefined) return { kind: 'selector', pods, namespaces };
    if (!selects && ipBlock !== undefined) return { kind: 'ipBlock', ...ipBlock };
    context.issues.push({ code: 'custom', message: 'needs either an ipBlock or a selector', input: given });
    return z.NEVER;
  });

const port: z.ZodType<PolicyPort> = z.object({
  protocol,
  port: maybe<number | string>(z.union([portNumber, z.string().min(1)])),
  endPort: maybe(portNumber),
});

const ports = listOf(port);
const ingressRules: z.ZodType<readonly PolicyRule[]> = listOf(
  z.object({ from: listOf(peer), ports }).transform(rule => ({ peers: rule.from, ports: rule.ports })),
);
const egressRules: z.ZodType<readonly PolicyRule[]> = listOf(
  z.object({ to: listOf(peer), ports }).transform(rule => ({ peers: rule.to, ports: rule.ports })),
);

/** A direction is governed when policyTypes names it; without policyTypes, Ingress always is, and Egress when it has rules. */
export const networkPolicy: z.ZodType<NetworkPolicy> = z
  .object({
    metadata,
    spec: z.object({
      podSelector: orElse(selector, { matchLabels: {}, matchExpressions: [] }),
      policyTypes: maybe(z.array(z.enum(['Ingress', 'Egress']))),
      ingress: ingressRules,
      egress: egressRules,
    }),
  })
  .transform(({ metadata, spec: { podSelector, policyTypes, ingress, egress } }) => ({
    kind: 'NetworkPolicy',
    ...metadata,
    podSelector,
    ingress: (policyTypes?.includes('Ingress') ?? true) ? ingress : undefined,
    egress: (policyTypes?.includes('Egress') ?? egress.length > 0) ? egress : undefined,
  }));
