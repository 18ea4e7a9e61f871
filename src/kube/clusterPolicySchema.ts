/**
 * The schema of ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), JSON to typed object. A peer or protocol of which
 * no field is known is not an error: a later version has it, and the policy fails closed.
 */

import { z } from 'zod';
import type { IpPrefix } from '../core/ip.js';
import type {
  ClusterNetworkPolicy,
  ClusterPolicyPeer,
  ClusterPolicyProtocol,
  ClusterPolicyRule,
  LabelSelector,
} from './objectTypes.js';
import { selector } from './policySchema.js';
import { cidr, listOf, maybe, metadata, orElse, portNumber, section } from './schemaParts.js';

const ALL: LabelSelector = { matchLabels: {}, matchExpressions: [] };

const namespacedPod = z.object({ namespaceSelector: orElse(selector, ALL), podSelector: orElse(selector, ALL) });

/** @returns names of the fields that are set, whether they are known or not */
function setFields(given: object): readonly string[] {
  return Object.entries(given).flatMap(([name, value]) => (value === undefined || value === null ? [] : [name]));
}

function onlyOne<T extends object>(given: T, context: z.RefinementCtx<T>): boolean {
  if (setFields(given).length <= 1) return true;
  context.issues.push({
    code: 'custom',
    message: `has ${setFields(given).join(' and ')}: only one may be set`,
    input: given,
  });
  return false;
}

const podFields = { namespaces: maybe(selector), pods: maybe(namespacedPod) };
const allFields = { ...podFields, nodes: maybe(selector), networks: maybe(z.array(cidr).min(1)) };

interface PeerFields {
  readonly namespaces?: LabelSelector | undefined;
  readonly pods?: z.infer<typeof namespacedPod> | undefined;
  readonly nodes?: LabelSelector | undefined;
  readonly networks?: readonly IpPrefix[] | undefined;
}

function peerOf(given: PeerFields): ClusterPolicyPeer {
  const { namespaces, pods, nodes, networks } = given;
  if (namespaces !== undefined) return { kind: 'pods', namespaces, pods: ALL };
  if (pods !== undefined) return { kind: 'pods', namespaces: pods.namespaceSelector, pods: pods.podSelector };
  if (nodes !== undefined) return { kind: 'nodes', nodes };
  if (networks !== undefined) return { kind: 'networks', networks };
  return { kind: 'unknown', field: setFields(given).join(', ') || 'an empty peer' };
}

/** What comes in is known to come from pods only. */
const ingressPeer: z.ZodType<ClusterPolicyPeer> = z.looseObject(podFields).transform((given, context) => {
  const { namespaces, pods, ...rest } = given;
  if (!onlyOne(given, context)) return z.NEVER;
  return namespaces === undefined && pods === undefined
    ? { kind: 'unknown', field: setFields(rest).join(', ') || 'an empty peer' }
    : peerOf({ namespaces, pods });
});
const egressPeer: z.ZodType<ClusterPolicyPeer> = z
  .looseObject(allFields)
  .transform((given, context) => (onlyOne(given, context) ? peerOf(given) : z.NEVER));

const range = z
  .object({ start: portNumber, end: portNumber })
  .refine(({ start, end }) => start < end, { message: 'must be greater than start', path: ['end'] });
const transport = maybe(
  z.object({ destinationPort: maybe(z.looseObject({ number: maybe(portNumber), range: maybe(range) })) }),
);

const protocolMatch: z.ZodType<ClusterPolicyProtocol> = z
  .looseObject({ tcp: transport, udp: transport, sctp: transport, destinationNamedPort: maybe(z.string().min(1)) })
  .transform((given, context): ClusterPolicyProtocol => {
    if (!onlyOne(given, context)) return z.NEVER;
    const { tcp, udp, sctp, destinationNamedPort: name } = given;
    if (name !== undefined) return { kind: 'named', name };
    if (tcp !== undefined) return portsOf('TCP', tcp);
    if (udp !== undefined) return portsOf('UDP', udp);
    if (sctp !== undefined) return portsOf('SCTP', sctp);
    return { kind: 'unknown', field: setFields(given).join(', ') || 'an empty protocol' };
  });

function portsOf(
  protocol: 'TCP' | 'UDP' | 'SCTP',
  { destinationPort }: NonNullable<z.infer<typeof transport>>,
): ClusterPolicyProtocol {
  if (destinationPort === undefined) return { kind: 'ports', protocol, first: 0, last: 65535 };
  const { number, range } = destinationPort;
  if (number !== undefined) return { kind: 'ports', protocol, first: number, last: number };
  if (range !== undefined) return { kind: 'ports', protocol, first: range.start, last: range.end };
  return { kind: 'unknown', field: `destinationPort of ${setFields(destinationPort).join(', ') || 'nothing'}` };
}

const ruleRest = {
  name: orElse<string>(z.string(), ''),
  action: z.enum(['Accept', 'Deny', 'Pass']),
  protocols: maybe(z.array(protocolMatch).min(1)),
};
const ingressRule: z.ZodType<ClusterPolicyRule> = z
  .object({ ...ruleRest, from: z.array(ingressPeer).min(1) })
  .transform(({ from, ...rest }) => ({ ...rest, peers: from }));
const egressRule: z.ZodType<ClusterPolicyRule> = z
  .object({ ...ruleRest, to: z.array(egressPeer).min(1) })
  .refine(({ to, protocols }) => !to.some(hasNoPorts) || !protocols?.some(({ kind }) => kind === 'named'), {
    message: 'nodes and networks have no named ports',
    path: ['protocols'],
  })
  .transform(({ to, ...rest }) => ({ ...rest, peers: to }));

function hasNoPorts({ kind }: ClusterPolicyPeer): boolean {
  return kind === 'nodes' || kind === 'networks';
}

const subject: z.ZodType<ClusterNetworkPolicy['subject']> = z
  .object(podFields)
  .transform(({ namespaces, pods, ...rest }, context) => {
    if (namespaces !== undefined && pods === undefined) return { namespaces, pods: ALL };
    if (pods !== undefined && namespaces === undefined)
      return { namespaces: pods.namespaceSelector, pods: pods.podSelector };
    context.issues.push({ code: 'custom', message: 'needs either namespaces or pods', input: rest });
    return z.NEVER;
  });

export const clusterNetworkPolicy: z.ZodType<ClusterNetworkPolicy> = z
  .object({
    metadata,
    spec: section({
      tier: z.enum(['Admin', 'Baseline']),
      priority: z.int().min(0).max(1000),
      subject,
      ingress: listOf(ingressRule),
      egress: listOf(egressRule),
    }),
  })
  .transform(({ metadata, spec }) => ({ kind: 'ClusterNetworkPolicy', ...metadata, ...spec }));
