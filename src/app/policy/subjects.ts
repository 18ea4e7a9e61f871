/** What a question names — a pod, a workload, a service, an address — and the connections that it means. */

import { formatAddress, parseAddress, type IpAddress } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import { closest } from '../../core/closest.js';
import type { IpText, Protocol } from '../../kube/objectTypes.js';
import { podName, type PolicyPod } from '../../policy/policyTypes.js';
import type { Connection, Party } from '../../policy/verdict.js';
import type { KnownService, PolicyCluster } from './policyCluster.js';

export type Subject =
  /** `address`: one of its addresses was named; undefined: any of them. */
  | { readonly kind: 'pod'; readonly pod: PolicyPod; readonly address?: IpAddress }
  | { readonly kind: 'node'; readonly name: string; readonly address: IpAddress }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'service'; readonly name: string; readonly service: KnownService };

/**
 * @param text `namespace/name`, `namespace/kind/name` (kind: pod, service, deployment and other workloads) or an address;
 *   addresses of pods, nodes and services are those
 */
export function findSubject(cluster: PolicyCluster, text: string): Result<Subject, string> {
  if (!text.includes('/')) return findAddress(cluster, text);
  const [namespace = '', ...rest] = text.split('/');
  const [kind, name] = rest.length === 1 ? [undefined, rest[0] ?? ''] : [rest[0], rest.slice(1).join('/')];
  if (namespace === '' || name === '' || name.includes('/'))
    return err(`"${text}": namespace/name, namespace/kind/name or an address is expected`);
  const found = candidates(cluster, namespace, name).filter(candidate => kind === undefined || kind === candidate.kind);
  const [only, ...others] = found;
  if (only === undefined) return err(notFound(cluster, text));
  if (others.length === 0) return ok(only.subject);
  const choices = found.map(candidate => `${namespace}/${candidate.kind}/${name}`).join(' or ');
  return err(`"${text}" may be several things: say ${choices}`);
}

interface Candidate {
  readonly kind: string;
  readonly subject: Subject;
}

function candidates({ world, services }: PolicyCluster, namespace: string, name: string): readonly Candidate[] {
  const found: Candidate[] = [];
  const service = services.get(`${namespace}/${name}`);
  if (service !== undefined)
    found.push({ kind: 'service', subject: { kind: 'service', name: `${namespace}/${name}`, service } });
  for (const kind of POD_KINDS) {
    const pod = world.pods.get(podName(namespace, kind === 'pod' ? name : `${kind}/${name}`));
    if (pod !== undefined) found.push({ kind, subject: { kind: 'pod', pod } });
  }
  return found;
}

const POD_KINDS = [
  'pod',
  'deployment',
  'statefulset',
  'daemonset',
  'replicaset',
  'replicationcontroller',
  'job',
  'cronjob',
] as const;

function notFound({ world, services, place }: PolicyCluster, text: string): string {
  const withKind = (kind: string) => (name: string) => name.replace('/', `/${kind}/`);
  const [pods, others] = [[...world.pods.keys()], [...services.keys()]];
  const near = closest(text, [...pods, ...others, ...pods.map(withKind('pod')), ...others.map(withKind('service'))]);
  return `there is no ${text} ${place}${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function findAddress(
  { world, services }: PolicyCluster,
  text: string,
  podAt = podsAt(world.pods.values()),
): Result<Subject, string> {
  const parsed = parseAddress(text);
  if (!parsed.ok) return err(`${parsed.error}, and no namespace/name either`);
  const canonical = formatAddress(parsed.value) as IpText;
  const pod = podAt.get(canonical);
  if (pod !== undefined) return ok({ kind: 'pod', pod, address: parsed.value });
  for (const [name, { addresses }] of world.nodes)
    if (addresses.includes(canonical)) return ok({ kind: 'node', name, address: parsed.value });
  for (const [name, service] of services) {
    const { clusterIps, externalIps, loadBalancerIngress } = service.service;
    if ([...clusterIps, ...externalIps, ...loadBalancerIngress.map(({ ip }) => ip)].includes(canonical))
      return ok({ kind: 'service', name, service });
  }
  return ok({ kind: 'address', address: parsed.value });
}

/** The first of several that have one address. */
function podsAt(pods: Iterable<PolicyPod>): ReadonlyMap<IpText, PolicyPod> {
  const found = new Map<IpText, PolicyPod>();
  for (const pod of pods)
    if (pod.state === 'governed') for (const address of pod.addresses) if (!found.has(address)) found.set(address, pod);
  return found;
}

export function subjectText(subject: Subject): string {
  switch (subject.kind) {
    case 'pod':
      return subject.pod.key;
    case 'node':
      return `${formatAddress(subject.address)} (node ${subject.name})`;
    case 'address':
      return formatAddress(subject.address);
    case 'service':
      return `service ${subject.name}`;
  }
}

/** A connection with what to call its ends, and the family that it is of. */
export interface NamedConnection extends Connection {
  readonly fromText: string;
  readonly toText: string;
  readonly family: 4 | 6 | undefined;
}

/**
 * @param port of a service: its own port, which becomes that of each of its endpoints
 * @returns one for each endpoint and each family that both ends have
 */
export function connectionsBetween(
  cluster: PolicyCluster,
  from: Subject,
  to: Subject,
  protocol: Protocol,
  port: number,
): Result<readonly NamedConnection[], string> {
  if (from.kind === 'service') return err(`${subjectText(from)} receives connections and makes none`);
  for (const end of [from, to])
    if (end.kind === 'pod' && end.pod.state === 'finished') return err(`pod ${end.pod.key} has finished`);
  const targets = to.kind === 'service' ? endpointsOf(cluster, to, protocol, port) : ok([{ subject: to, port }]);
  if (!targets.ok) return targets;
  const made: NamedConnection[] = [];
  for (const target of targets.value) {
    const [fromText, toText] = [subjectText(from), subjectText(target.subject)];
    const pairs = pairsOf(partiesOf(from), partiesOf(target.subject));
    if (pairs.length === 0) return err(`${fromText} and ${toText} have no address family in common`);
    for (const pair of pairs) made.push({ ...pair, fromText, toText, protocol, port: target.port });
  }
  return ok(made);
}

/** A pod that has no address yet is one party without any. */
function partiesOf(subject: Subject): readonly Party[] {
  if (subject.kind === 'service') return [];
  if (subject.kind !== 'pod') return [subject];
  const { pod, address } = subject;
  if (address !== undefined) return [{ kind: 'pod', pod, address }];
  const addresses = pod.addresses.flatMap(text => {
    const parsed = parseAddress(text);
    return parsed.ok ? [parsed.value] : [];
  });
  if (addresses.length === 0) return [{ kind: 'pod', pod, address: undefined }];
  return addresses.map(address => ({ kind: 'pod', pod, address }));
}

function pairsOf(
  froms: readonly Party[],
  tos: readonly Party[],
): readonly { readonly from: Party; readonly to: Party; readonly family: 4 | 6 | undefined }[] {
  return froms.flatMap(from =>
    tos.flatMap(to => {
      const [a, b] = [from.address?.version, to.address?.version];
      return a === undefined || b === undefined || a === b ? [{ from, to, family: a ?? b }] : [];
    }),
  );
}

interface Endpoint {
  readonly subject: Subject;
  readonly port: number;
}

function endpointsOf(
  cluster: PolicyCluster,
  { name, service }: Extract<Subject, { kind: 'service' }>,
  protocol: Protocol,
  port: number,
): Result<readonly Endpoint[], string> {
  const { target } = service;
  const wanted = target.ports.find(own => own.port === port && own.protocol === protocol);
  if (wanted === undefined) {
    const has = target.ports.map(own => `${own.port}/${own.protocol.toLowerCase()}`).join(', ') || 'none';
    return err(`service ${name} has no port ${port}/${protocol.toLowerCase()}; its ports: ${has}`);
  }
  const found =
    Object.keys(target.selector).length > 0
      ? selectedEndpoints(cluster, service, wanted)
      : sliceEndpoints(cluster, service, wanted.name, protocol);
  return found.length === 0
    ? err(`service ${name} has no endpoint for port ${port}/${protocol.toLowerCase()}`)
    : ok(found);
}

type TargetPort = KnownService['target']['ports'][number];

/** Whether they are ready does not matter: policies judge them all alike. */
function selectedEndpoints(
  { world }: PolicyCluster,
  { service, target }: KnownService,
  wanted: TargetPort,
): readonly Endpoint[] {
  const labels = Object.entries(target.selector);
  return [...world.pods.values()].flatMap((pod): readonly Endpoint[] => {
    if (pod.namespace !== service.namespace || pod.state === 'finished') return [];
    if (!labels.every(([key, value]) => pod.labels[key] === value)) return [];
    const { targetPort, protocol } = wanted;
    if (typeof targetPort === 'number') return [{ subject: { kind: 'pod', pod }, port: targetPort }];
    const own = pod.namedPorts.find(port => port.name === targetPort && port.protocol === protocol);
    return own === undefined ? [] : [{ subject: { kind: 'pod', pod }, port: own.port }];
  });
}

/** Several addresses of one pod are one endpoint. */
function sliceEndpoints(
  cluster: PolicyCluster,
  { slices }: KnownService,
  portName: string,
  protocol: Protocol,
): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  const podAt = podsAt(cluster.world.pods.values());
  for (const { endpoints, ports } of slices)
    for (const { port } of ports.filter(own => own.name === portName && own.protocol === protocol))
      for (const address of endpoints.flatMap(({ addresses }) => addresses)) {
        const subject = findAddress(cluster, address, podAt);
        if (subject.ok) found.set(`${subjectText(subject.value)} ${port}`, { subject: subject.value, port });
      }
  return [...found.values()];
}
