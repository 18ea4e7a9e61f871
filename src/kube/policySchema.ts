/** The schema of NetworkPolicy (networking.k8s.io/v1), JSON to typed object. */

import { z } from 'zod';
import { prefixContains, type IpPrefix } from '../core/ip.js';
import type {
  LabelRequirement,
  LabelSelector,
  NetworkPolicy,
  ObjectMeta,
  PolicyPeer,
  PolicyPort,
  PolicyRule,
} from './objectTypes.js';
import { cidr, listOf, maybe, metadata, orElse, portNumber, protocol, strings } from './schemaParts.js';

const requirement: z.ZodType<LabelRequirement> = z
  .object({
    key: z.string().min(1),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: listOf(z.string()),
  })
  .refine(({ operator, values }) => values.length > 0 === (operator === 'In' || operator === 'NotIn'), {
    message: 'In and NotIn need values, Exists and DoesNotExist take none',
    path: ['values'],
  });

export const selector: z.ZodType<LabelSelector> = z.object({
  matchLabels: strings,
  matchExpressions: listOf(requirement),
});

const ipBlock = z
  .object({ cidr, except: listOf(cidr) })
  .refine(block => block.except.every(hole => isStrictlyInside(hole, block.cidr)), {
    message: 'every prefix must be inside cidr, and smaller',
    path: ['except'],
  });

function isStrictlyInside(inner: IpPrefix, outer: IpPrefix): boolean {
  return inner.length > outer.length && prefixContains(outer, inner.address);
}

const peer: z.ZodType<PolicyPeer> = z
  .object({
    ipBlock: maybe(ipBlock),
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

const port: z.ZodType<PolicyPort> = z
  .object({
    protocol,
    port: maybe<number | string>(z.union([portNumber, z.string().min(1)])),
    endPort: maybe(portNumber),
  })
  .refine(({ port, endPort }) => endPort === undefined || (typeof port === 'number' && endPort >= port), {
    message: 'needs a port that is a number and not greater',
    path: ['endPort'],
  });

const ports = listOf(port);
const ingressRule: z.ZodType<PolicyRule> = z
  .object({ from: listOf(peer), ports })
  .transform(rule => ({ peers: rule.from, ports: rule.ports }));
const egressRule: z.ZodType<PolicyRule> = z
  .object({ to: listOf(peer), ports })
  .transform(rule => ({ peers: rule.to, ports: rule.ports }));
const policyType = z.enum(['Ingress', 'Egress']);
const subject = orElse(selector, { matchLabels: {}, matchExpressions: [] });

interface Spec {
  readonly podSelector: LabelSelector;
  readonly policyTypes: readonly z.infer<typeof policyType>[];
  readonly ingress: readonly PolicyRule[];
  readonly egress: readonly PolicyRule[];
}

/** A direction is governed when policyTypes names it; where that names none, Ingress always is, and Egress when it has rules. */
function policyOf(meta: ObjectMeta, spec: Spec, hasEgress: boolean): NetworkPolicy {
  const { podSelector, policyTypes, ingress, egress } = spec;
  return {
    kind: 'NetworkPolicy',
    ...meta,
    podSelector,
    ingress: policyTypes.length === 0 || policyTypes.includes('Ingress') ? ingress : undefined,
    egress: (policyTypes.length === 0 ? hasEgress : policyTypes.includes('Egress')) ? egress : undefined,
  };
}

export const networkPolicy: z.ZodType<NetworkPolicy> = z
  .object({
    metadata,
    spec: z.object({
      podSelector: subject,
      policyTypes: listOf(policyType),
      ingress: listOf(ingressRule),
      egress: listOf(egressRule),
    }),
  })
  .transform(({ metadata, spec }) => policyOf(metadata, spec, spec.egress.length > 0));

/** Of a list, what can be read. */
function legible<T>(item: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z
    .unknown()
    .optional()
    .transform(list =>
      (Array.isArray(list) ? list : []).flatMap((given: unknown) => {
        const parsed = item.safeParse(given);
        return parsed.success ? [parsed.data] : [];
      }),
    );
}

/**
 * What stands for a policy that cannot be read and of which no good state is known: a rule that cannot be read allows
 * nothing, and where no type can be, none counts as given. Whom it selects has to be legible.
 */
export const closedNetworkPolicy: z.ZodType<NetworkPolicy> = z
  .object({
    metadata,
    spec: z.looseObject({
      podSelector: subject,
      policyTypes: legible(policyType),
      ingress: legible(ingressRule),
    }),
  })
  .transform(({ metadata, spec: { egress, ...spec } }) => {
    const isGiven = Array.isArray(egress) ? egress.length > 0 : egress !== undefined && egress !== null;
    return policyOf(metadata, { ...spec, egress: legible(egressRule).parse(egress) }, isGiven);
  });
