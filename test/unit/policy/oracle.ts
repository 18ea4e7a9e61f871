/**
 * A second, slow reading of the specification, on objects as the API has them (JSON): nothing of it is shared with src. Each
 * sentence of networking.k8s.io/v1 NetworkPolicy is one function here.
 */

export interface JsonSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}
export interface JsonPort {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
}
export interface JsonPeer {
  readonly podSelector?: JsonSelector;
  readonly namespaceSelector?: JsonSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}
export interface JsonRule {
  readonly from?: readonly JsonPeer[];
  readonly to?: readonly JsonPeer[];
  readonly ports?: readonly JsonPort[];
}
export interface JsonNetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly podSelector: JsonSelector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly JsonRule[];
    readonly egress?: readonly JsonRule[];
  };
}
export interface JsonClusterPeer {
  readonly namespaces?: JsonSelector;
  readonly pods?: { readonly namespaceSelector: JsonSelector; readonly podSelector: JsonSelector };
  readonly networks?: readonly string[];
  readonly nodes?: JsonSelector;
  readonly domainNames?: readonly string[];
}
interface JsonDestination {
  readonly destinationPort?: {
    readonly number?: number;
    readonly range?: { readonly start: number; readonly end: number };
  };
}
export interface JsonClusterProtocol {
  readonly tcp?: JsonDestination;
  readonly udp?: JsonDestination;
  readonly sctp?: JsonDestination;
  readonly destinationNamedPort?: string;
}
export interface JsonClusterRule {
  readonly action: 'Accept' | 'Deny' | 'Pass';
  readonly from?: readonly JsonClusterPeer[];
  readonly to?: readonly JsonClusterPeer[];
  readonly protocols?: readonly JsonClusterProtocol[];
}
export interface JsonClusterPolicy {
  readonly apiVersion: 'policy.networking.k8s.io/v1alpha2';
  readonly kind: 'ClusterNetworkPolicy';
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly tier: 'Admin' | 'Baseline';
    readonly priority: number;
    readonly subject: Pick<JsonClusterPeer, 'namespaces' | 'pods'>;
    readonly ingress?: readonly JsonClusterRule[];
    readonly egress?: readonly JsonClusterRule[];
  };
}
export interface OraclePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ip: string;
  readonly node: string;
  readonly hostNetwork: boolean;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}
export interface OracleWorld {
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pods: readonly OraclePod[];
  readonly policies: readonly JsonNetworkPolicy[];
  readonly clusterPolicies: readonly JsonClusterPolicy[];
  /** What namespaces say of the world outside, such as `allow 192.0.2.0/24, deny 0.0.0.0/0`. */
  readonly egressLists?: Readonly<Record<string, string>>;
}
/** A pod, or an address outside the cluster. */
export type OracleEnd = OraclePod | { readonly ip: string };

/** Whether a new connection is allowed at both ends. */
export function oracleAllows(
  world: OracleWorld,
  from: OracleEnd,
  to: OracleEnd,
  protocol: string,
  port: number,
): boolean {
  const { egress, ingress } = oracleVerdicts(world, from, to, protocol, port);
  return egress && ingress;
}

/** What each end says of it. */
export function oracleVerdicts(
  world: OracleWorld,
  from: OracleEnd,
  to: OracleEnd,
  protocol: string,
  port: number,
): { readonly egress: boolean; readonly ingress: boolean } {
  return {
    egress: !isPod(from) || mayPass(world, 'Egress', from, to, to, protocol, port),
    ingress: !isPod(to) || mayPass(world, 'Ingress', to, from, to, protocol, port),
  };
}

function isPod(end: OracleEnd): end is OraclePod {
  return 'name' in end;
}

function mayPass(
  world: OracleWorld,
  direction: 'Ingress' | 'Egress',
  self: OraclePod,
  other: OracleEnd,
  to: OracleEnd,
  protocol: string,
  port: number,
): boolean {
  if (self.hostNetwork) return true;
  if (isPod(other) && other.name === self.name && other.namespace === self.namespace) return true;
  const admin = clusterTierSays(world, 'Admin', direction, self, other, to, protocol, port);
  if (admin === 'Accept' || admin === 'Deny') return admin === 'Accept';
  if (admin === undefined && direction === 'Egress' && !mayLeave(world, self, other)) return false;
  if (isPod(other) && other.hostNetwork && other.node === self.node) return true;
  const isolating = world.policies.filter(policy => applies(policy, direction) && selectsPod(policy, self));
  for (const policy of isolating)
    for (const rule of (direction === 'Ingress' ? policy.spec.ingress : policy.spec.egress) ?? [])
      if (peersMatch(world, policy, (direction === 'Ingress' ? rule.from : rule.to) ?? [], other))
        if (portsMatch(rule.ports ?? [], to, protocol, port)) return true;
  if (isolating.length > 0) return false;
  return clusterTierSays(world, 'Baseline', direction, self, other, to, protocol, port) !== 'Deny';
}

/** The last of the Admin tier, and about the world outside alone. */
function mayLeave({ egressLists }: OracleWorld, self: OraclePod, other: OracleEnd): boolean {
  if (isPod(other)) return true;
  for (const item of (egressLists?.[self.namespace] ?? '').split(',')) {
    const [verb, network = ''] = item.trim().split(' ');
    if (network !== '' && within(other.ip, network)) return verb === 'allow';
  }
  return true;
}

/** Undefined when nothing in the tier matches. Priorities have to differ. */
function clusterTierSays(
  world: OracleWorld,
  tier: 'Admin' | 'Baseline',
  direction: 'Ingress' | 'Egress',
  self: OraclePod,
  other: OracleEnd,
  to: OracleEnd,
  protocol: string,
  port: number,
): 'Accept' | 'Deny' | 'Pass' | undefined {
  const policies = world.clusterPolicies
    .filter(policy => policy.spec.tier === tier && clusterPeerMatches(world, policy.spec.subject, self))
    .sort((a, b) => a.spec.priority - b.spec.priority);
  for (const { spec } of policies)
    for (const rule of (direction === 'Ingress' ? spec.ingress : spec.egress) ?? []) {
      const peers = (direction === 'Ingress' ? rule.from : rule.to) ?? [];
      if (peers.some(({ domainNames }) => domainNames !== undefined)) {
        if (rule.action === 'Accept') continue;
        return 'Deny';
      }
      if (!peers.some(peer => clusterPeerMatches(world, peer, other))) continue;
      if (rule.protocols && !rule.protocols.some(wanted => clusterProtocolMatches(wanted, to, protocol, port)))
        continue;
      return rule.action;
    }
  return undefined;
}

function clusterPeerMatches(world: OracleWorld, peer: JsonClusterPeer, end: OracleEnd): boolean {
  if (peer.networks) return peer.networks.some(cidr => within(end.ip, cidr));
  if (peer.nodes) return isPod(end) && end.hostNetwork && matches(peer.nodes, { name: end.node });
  if (!isPod(end) || end.hostNetwork) return false;
  const namespace = labelsOfNamespace(world, end.namespace);
  if (peer.namespaces) return matches(peer.namespaces, namespace);
  return !!peer.pods && matches(peer.pods.namespaceSelector, namespace) && matches(peer.pods.podSelector, end.labels);
}

function clusterProtocolMatches(wanted: JsonClusterProtocol, to: OracleEnd, protocol: string, port: number): boolean {
  if (wanted.destinationNamedPort !== undefined) {
    if (!isPod(to) || to.hostNetwork) return false;
    return to.ports.some(
      own => own.name === wanted.destinationNamedPort && own.protocol === protocol && own.port === port,
    );
  }
  const destination = { TCP: wanted.tcp, UDP: wanted.udp, SCTP: wanted.sctp }[protocol];
  if (destination === undefined) return false;
  if (destination.destinationPort === undefined) return true;
  const { number, range } = destination.destinationPort;
  return range === undefined ? port === number : range.start <= port && port <= range.end;
}

function applies({ spec }: JsonNetworkPolicy, direction: 'Ingress' | 'Egress'): boolean {
  if (spec.policyTypes !== undefined) return spec.policyTypes.includes(direction);
  return direction === 'Ingress' || (spec.egress !== undefined && spec.egress.length > 0);
}

function selectsPod(policy: JsonNetworkPolicy, pod: OraclePod): boolean {
  return pod.namespace === policy.metadata.namespace && matches(policy.spec.podSelector, pod.labels);
}

export function matches(selector: JsonSelector, labels: Readonly<Record<string, string>>): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (labels[key] !== value) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const has = key in labels;
    const isListed = has && values.includes(labels[key] ?? '');
    if (operator === 'In' && !isListed) return false;
    if (operator === 'NotIn' && isListed) return false;
    if (operator === 'Exists' && !has) return false;
    if (operator === 'DoesNotExist' && has) return false;
  }
  return true;
}

function peersMatch(
  world: OracleWorld,
  policy: JsonNetworkPolicy,
  peers: readonly JsonPeer[],
  other: OracleEnd,
): boolean {
  if (peers.length === 0) return true;
  return peers.some(({ podSelector, namespaceSelector, ipBlock }) => {
    if (ipBlock) return within(other.ip, ipBlock.cidr) && !(ipBlock.except ?? []).some(cidr => within(other.ip, cidr));
    if (!isPod(other) || other.hostNetwork) return false;
    if (namespaceSelector === undefined && other.namespace !== policy.metadata.namespace) return false;
    if (namespaceSelector !== undefined && !matches(namespaceSelector, labelsOfNamespace(world, other.namespace)))
      return false;
    return podSelector === undefined || matches(podSelector, other.labels);
  });
}

export function labelsOfNamespace(world: OracleWorld, name: string): Readonly<Record<string, string>> {
  return { ...world.namespaces[name], 'kubernetes.io/metadata.name': name };
}

function portsMatch(ports: readonly JsonPort[], to: OracleEnd, protocol: string, port: number): boolean {
  if (ports.length === 0) return true;
  return ports.some(wanted => {
    if ((wanted.protocol ?? 'TCP') !== protocol) return false;
    if (wanted.port === undefined) return true;
    if (typeof wanted.port === 'number') return port >= wanted.port && port <= (wanted.endPort ?? wanted.port);
    if (!isPod(to) || to.hostNetwork) return false;
    return to.ports.some(own => own.name === wanted.port && own.protocol === protocol && own.port === port);
  });
}

/** In strings of ones and zeros. */
export function within(ip: string, cidr: string): boolean {
  const [network = '', length = '128'] = cidr.split('/');
  if (ip.includes(':') !== network.includes(':')) return false;
  return bits(ip).slice(0, Number(length)) === bits(network).slice(0, Number(length));
}

function bits(ip: string): string {
  if (!ip.includes(':')) return inBits(ip.split('.').map(Number), 8);
  const [left = [], right = []] = ip.split('::').map(half => half.split(':').filter(group => group !== ''));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return inBits(
    [...left, ...zeros, ...right].map(group => parseInt(group, 16)),
    16,
  );
}

function inBits(numbers: readonly number[], width: number): string {
  return numbers.map(number => number.toString(2).padStart(width, '0')).join('');
}
