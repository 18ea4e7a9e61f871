/** A cluster as test cases of network policies describe it, the nine pods that most of them use, and objects of the API. */

export type Labels = Readonly<Record<string, string>>;
export type ProtocolName = 'TCP' | 'UDP' | 'SCTP';

export interface ClusterPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** IPv4, then IPv6. */
  readonly ips: readonly string[];
  /** Name: empty where a port has none. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: ProtocolName }[];
}

export interface Cluster {
  readonly namespaces: Readonly<Record<string, Labels>>;
  readonly pods: readonly ClusterPod[];
  /** Objects of the API. */
  readonly policies: readonly unknown[];
}

export const PORTS = [80, 81] as const;
export const PROTOCOLS: readonly ProtocolName[] = ['TCP', 'UDP', 'SCTP'];
export const NODE_NAME = 'n1';

export const SERVED: ClusterPod['ports'] = PORTS.flatMap(port =>
  PROTOCOLS.map(protocol => ({ name: `serve-${port}-${protocol.toLowerCase()}`, port, protocol })),
);

/** What the API server makes of a Namespace's labels. */
export function namespace(name: string, labels: Labels): readonly [string, Labels] {
  return [name, { 'kubernetes.io/metadata.name': name, ...labels }];
}

/**
 * Blocks around the last one's address, a /24 and a /28 in it, have pods of its own and another namespace inside and outside.
 * Of IPv6 the same last octet.
 */
const ADDRESSES: Readonly<Record<string, readonly [subnet: number, host: number]>> = {
  'x/a': [1, 10],
  'x/b': [1, 20],
  'x/c': [1, 30],
  'y/a': [2, 10],
  'y/b': [2, 52],
  'y/c': [2, 30],
  'z/a': [2, 40],
  'z/b': [2, 50],
  'z/c': [2, 60],
};

function addressesAt(subnet: number, host: number): readonly string[] {
  return [`10.244.${subnet}.${host}`, `fd44:${subnet}::${host.toString(16)}`];
}

const LETTERS = ['a', 'b', 'c'];
const NAMES = ['x', 'y', 'z'];

/** Namespaces x, y and z, labelled ns; pods a, b and c in each, labelled pod, that serve 80 and 81 by every protocol. */
export const NINE_PODS: Cluster = {
  namespaces: Object.fromEntries(NAMES.map(name => namespace(name, { ns: name }))),
  pods: NAMES.flatMap(namespace =>
    LETTERS.map(name => ({
      namespace,
      name,
      labels: { pod: name },
      ips: addressesAt(...ADDRESSES[`${namespace}/${name}`]!),
      ports: SERVED,
    })),
  ),
  policies: [],
};

/** Pods that Cyclonus' cases make. */
export const SPARE: Readonly<Record<string, readonly string[]>> = {
  'w/a': addressesAt(3, 30),
  'x/d': addressesAt(1, 40),
  'y-2/a': addressesAt(3, 10),
  'y-2/b': addressesAt(3, 20),
};

/** The objects as the API server has them. Every pod is on the one node. */
export function objectsOf({ namespaces, pods, policies }: Cluster): readonly unknown[] {
  return [
    ...Object.entries(namespaces).map(([name, labels]) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels },
    })),
    ...pods.map(podObject),
    ...policies,
  ];
}

function podObject({ namespace, name, labels, ips, ports }: ClusterPod): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels },
    spec: {
      nodeName: NODE_NAME,
      containers: [
        {
          ports: ports.map(({ name, port, protocol }) => ({
            ...(name === '' ? {} : { name }),
            containerPort: port,
            protocol,
          })),
        },
      ],
    },
    status: { phase: 'Running', podIP: ips[0], podIPs: ips.map(ip => ({ ip })) },
  };
}
