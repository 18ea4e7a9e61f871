/**
 * What the cases of Kubernetes' own end-to-end tests of NetworkPolicy are written in (test/e2e/network/netpol of v1.36):
 * namespaces x, y and z with pods a, b and c each, and policies of namespace x.
 */

import type { Protocol } from '../../src/kube/objectTypes.js';
import type { JsonPeer, JsonPort, JsonRule, JsonSelector } from '../unit/policy/oracle.js';
import type { Expectation, Row } from './rows.js';

const NAMESPACES = ['x', 'y', 'z'];
const PODS = ['a', 'b', 'c'];
const PORTS = [80, 81].flatMap(port => ['TCP', 'UDP', 'SCTP'].map(protocol => ({ port, protocol })));

export function addressOfPod(namespace: string, pod: string): string {
  return `10.0.${NAMESPACES.indexOf(namespace)}.${PODS.indexOf(pod) + 1}`;
}

type Labels = Readonly<Record<string, string>>;

/** @param labels of pods and namespaces that have others than their name */
function cluster(labels: Readonly<Record<string, Labels>> = {}): readonly unknown[] {
  return NAMESPACES.flatMap(namespace => [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { ns: namespace, ...labels[namespace] } },
    },
    ...PODS.map(name => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, labels: { pod: name, ...labels[`${namespace}/${name}`] } },
      spec: {
        nodeName: 'n1',
        containers: [
          {
            ports: PORTS.map(({ port, protocol }) => ({
              name: `serve-${port}-${protocol.toLowerCase()}`,
              containerPort: port,
              protocol,
            })),
          },
        ],
      },
      status: { phase: 'Running', podIP: addressOfPod(namespace, name) },
    })),
  ]);
}

interface Written {
  readonly name?: string;
  readonly namespace?: string;
  readonly pods?: JsonSelector;
  readonly ingress?: readonly JsonRule[];
  readonly egress?: readonly JsonRule[];
}

/** Of namespace x and pod a unless it says otherwise. Only what it has rules for is isolated. */
export function policy({ name = 'p', namespace = 'x', pods = pod('a'), ingress, egress }: Written): unknown {
  const policyTypes = [...(ingress ? ['Ingress'] : []), ...(egress ? ['Egress'] : [])];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: { podSelector: pods, policyTypes, ...(ingress ? { ingress } : {}), ...(egress ? { egress } : {}) },
  };
}

export const ALL: JsonSelector = {};
export const pod = (name: string): JsonSelector => ({ matchLabels: { pod: name } });
export const ns = (name: string): JsonSelector => ({ matchLabels: { ns: name } });
export const oneOf = (key: string, ...values: string[]): JsonSelector => ({
  matchExpressions: [{ key, operator: 'In', values }],
});
export const noneOf = (key: string, ...values: string[]): JsonSelector => ({
  matchExpressions: [{ key, operator: 'NotIn', values }],
});
export const from = (peers: readonly JsonPeer[], ports?: readonly JsonPort[]): JsonRule => ({
  from: peers,
  ...(ports ? { ports } : {}),
});
export const to = (peers: readonly JsonPeer[], ports?: readonly JsonPort[]): JsonRule => ({
  to: peers,
  ...(ports ? { ports } : {}),
});

interface WrittenStep {
  /** All there are from now on. */
  readonly policies: readonly unknown[];
  readonly labels?: Readonly<Record<string, Labels>>;
  readonly port?: number;
  readonly protocol?: Protocol;
  readonly expect: readonly Expectation[];
}

export const ONLY_Y: readonly Expectation[] = [
  ['x/* -> x/a', false],
  ['z/* -> x/a', false],
];
export const CLOSED_A: Expectation = ['* -> x/a', false];
export const B_BLOCK = `${addressOfPod('x', 'b')}/32`;

export type Case = readonly [name: string, steps: readonly WrittenStep[]];

export function rowsOf(cases: readonly Case[]): readonly Row[] {
  return cases.map(([name, steps]) => ({
    name,
    steps: steps.map(({ policies, labels, port = 80, protocol = 'TCP', expect }) => ({
      objects: [...cluster(labels), ...policies],
      protocol,
      port,
      expect,
    })),
  }));
}
