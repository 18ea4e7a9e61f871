/** One Node object to what routing needs of it: a pure function of that node, and of what was in force for it before. */

import type { Asn } from '../bgp/asn.js';
import { formatPrefix, type Ipv4, type IpAddress, type IpPrefix } from '../core/ip.js';
import { ok } from '../core/result.js';
import type { Node } from '../kube/objectTypes.js';
import { describe } from '../kube/objects.js';
import type { Problem } from '../kube/problems.js';
import { inForce, parseAsn, parseClusterId, read, readPrefixes, type Annotations } from './annotations.js';

/** RFC 4456: a server reflects the routes of the clients that have the same cluster id. */
export interface ReflectorRole {
  readonly role: 'server' | 'client';
  readonly clusterId: Ipv4;
}

export interface NodeFacts {
  readonly name: string;
  readonly createdAt: string | undefined;
  /** The first InternalIP of each family. */
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  readonly podCidrs: readonly IpPrefix[];
  /** Of the annotation; means something only where nodes have AS numbers of their own. */
  readonly asn: Asn | undefined;
  readonly reflector: ReflectorRole | undefined;
  /** What is wrong with the object itself. */
  readonly problems: readonly Problem[];
}

/** The older annotation wins over the newer one, as in kube-router. */
const POD_CIDR_ANNOTATIONS = ['kube-router.io/pod-cidr', 'kube-router.io/pod-cidrs'] as const;
export const ASN_ANNOTATION = 'kube-router.io/node.asn';
const SERVER_ANNOTATION = 'kube-router.io/rr.server';
const CLIENT_ANNOTATION = 'kube-router.io/rr.client';

/** @param former the node's facts before, for annotations that cannot be read now */
export function nodeFacts(node: Node, former?: NodeFacts): NodeFacts {
  const v4 = node.internalIps.find(ip => ip.version === 4);
  const v6 = node.internalIps.find(ip => ip.version === 6);
  const pods = podCidrsOf(node);
  const asn = asnOf(node.annotations, former?.asn);
  const reflector = reflectorOf(node.annotations, former?.reflector);
  const missing =
    v4 === undefined && v6 === undefined ? ['has no InternalIP address: no BGP session is set up with it'] : [];
  const texts = [...missing, ...pods.complaints, ...asn.complaints, ...reflector.complaints];
  return {
    name: node.name,
    createdAt: node.createdAt,
    v4,
    v6,
    podCidrs: pods.value,
    asn: asn.value,
    reflector: reflector.value,
    problems: texts.map(text => ({ subject: describe(node), text })),
  };
}

interface Part<T> {
  readonly value: T;
  readonly complaints: readonly string[];
}

function podCidrsOf(node: Node): Part<readonly IpPrefix[]> {
  const key = POD_CIDR_ANNOTATIONS.find(name => (node.annotations[name] ?? '').trim() !== '');
  if (key === undefined) return { value: node.podCidrs, complaints: [] };
  const { value, complaints } = inForce(key, readPrefixes(node.annotations[key]), []);
  // The same prefix twice is one network.
  return { value: [...new Map(value.map(cidr => [formatPrefix(cidr), cidr])).values()], complaints };
}

function asnOf(annotations: Annotations, former: Asn | undefined): Part<Asn | undefined> {
  const text = annotations[ASN_ANNOTATION];
  return text === undefined
    ? { value: undefined, complaints: [] }
    : inForce(ASN_ANNOTATION, read(parseAsn(text)), former);
}

function reflectorOf(annotations: Annotations, former: ReflectorRole | undefined): Part<ReflectorRole | undefined> {
  const [server, client] = [annotations[SERVER_ANNOTATION], annotations[CLIENT_ANNOTATION]];
  const key = server === undefined ? CLIENT_ANNOTATION : SERVER_ANNOTATION;
  const text = server ?? client;
  if (text === undefined) return { value: undefined, complaints: [] };
  const id = parseClusterId(text);
  const role = server === undefined ? 'client' : 'server';
  const part = inForce<ReflectorRole | undefined>(key, read(id.ok ? ok({ role, clusterId: id.value }) : id), former);
  const both =
    server === undefined || client === undefined
      ? []
      : [`annotation ${CLIENT_ANNOTATION} means nothing beside ${SERVER_ANNOTATION}: the node is a server`];
  return { value: part.value, complaints: [...part.complaints, ...both] };
}

/**
 * Who keeps what two nodes claim: the older node; of two that are equally old, or that do not tell, the first by name.
 * Every node of the cluster comes to the same answer.
 */
export function comesFirst(a: NodeFacts, b: NodeFacts): boolean {
  const [ageA, ageB] = [a.createdAt ?? '', b.createdAt ?? ''];
  return ageA === ageB ? a.name < b.name : ageA < ageB;
}
