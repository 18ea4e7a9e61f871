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
export interface OraclePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** IPv4, dotted quad. */
  readonly ip: string;
  readonly node: string;
  readonly hostNetwork: boolean;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}
export interface OracleWorld {
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pods: readonly OraclePod[];
  readonly policies: readonly JsonNetworkPolicy[];
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
  const egress = !isPod(from) || mayPass(world, 'Egress', from, to, to, protocol, port);
  const ingress = !isPod(to) || mayPass(world, 'Ingress', to, from, to, protocol, port);
  return egress && ingress;
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
  if (isPod(other) && other.hostNetwork && other.node === self.node) return true;
  const isolating = world.policies.filter(policy => applies(policy, direction) && selectsPod(policy, self));
  if (isolating.length === 0) return true;
  for (const policy of isolating)
    for (const rule of (direction === 'Ingress' ? policy.spec.ingress : policy.spec.egress) ?? [])
      if (peersMatch(world, policy, (direction === 'Ingress' ? rule.from : rule.to) ?? [], other))
        if (portsMatch(rule.ports ?? [], to, protocol, port)) return true;
  return false;
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

/** IPv4 only, in strings of ones and zeros. */
export function within(ip: string, cidr: string): boolean {
  const [network = '', length = '32'] = cidr.split('/');
  return bits(ip).slice(0, Number(length)) === bits(network).slice(0, Number(length));
}

function bits(ip: string): string {
  return ip
    .split('.')
    .map(octet => Number(octet).toString(2).padStart(8, '0'))
    .join('');
}
