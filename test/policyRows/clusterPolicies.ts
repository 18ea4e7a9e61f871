/**
 * What the conformance tests of ClusterNetworkPolicy look at (network-policy-api v0.2.0), as truth tables: four namespaces
 * with pods 0 and 1 each; policies have gryffindor as their subject.
 */

import type { Protocol } from '../../src/kube/objectTypes.js';
import type {
  JsonClusterPeer,
  JsonClusterPolicy,
  JsonClusterProtocol,
  JsonClusterRule,
} from '../unit/policy/oracle.js';
import type { Expectation, Row, Step } from './rows.js';

const HOUSES = ['gryffindor', 'hufflepuff', 'ravenclaw', 'slytherin'];
const CLUSTER: readonly unknown[] = HOUSES.flatMap((house, i) => [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: house, labels: { house } } },
  ...[0, 1].map(n => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: house, name: String(n), labels: { house, n: String(n) } },
    spec: {
      nodeName: 'n1',
      containers: [
        {
          ports: [
            { name: 'web', containerPort: 80 },
            { name: 'dns', containerPort: 53, protocol: 'UDP' },
          ],
        },
      ],
    },
    status: { phase: 'Running', podIP: `10.0.${i}.${n + 1}` },
  })),
]);

export const of = (house: string): JsonClusterPeer => ({ namespaces: { matchLabels: { house } } });
const tcp = (number: number): JsonClusterProtocol => ({ tcp: { destinationPort: { number } } });

type Spec = Partial<JsonClusterPolicy['spec']>;
export function policy(name: string, spec: Spec): JsonClusterPolicy {
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: { tier: 'Admin', priority: 10, subject: of('gryffindor'), ...spec },
  };
}
export const rule = (
  action: JsonClusterRule['action'],
  house: string,
  ...protocols: JsonClusterProtocol[]
): JsonClusterRule => ({
  action,
  from: [of(house)],
  ...(protocols.length > 0 ? { protocols } : {}),
});
export const out = (
  action: JsonClusterRule['action'],
  to: readonly JsonClusterPeer[],
  ...protocols: JsonClusterProtocol[]
): JsonClusterRule => ({
  action,
  to,
  ...(protocols.length > 0 ? { protocols } : {}),
});
const NAMESPACED = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'np', namespace: 'gryffindor' },
  spec: { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { house: 'slytherin' } } }] }] },
};

type Case = readonly [
  name: string,
  objects: readonly unknown[],
  expectations: readonly Expectation[],
  protocol?: Protocol,
  port?: number,
];
const SLYTHERIN: Expectation = ['slytherin/* -> gryffindor/*', false];
const OTHERS: readonly Expectation[] = [
  ['* -> gryffindor/*', false],
  ['slytherin/* -> gryffindor/*', true],
];
const admin = (action: JsonClusterRule['action']): JsonClusterPolicy =>
  policy('admin', { ingress: [rule(action, 'slytherin')] });
const baseline = policy('base', { tier: 'Baseline', ingress: [rule('Deny', 'slytherin')] });

const CASES: readonly Case[] = [
  ['Admin denies what a NetworkPolicy allows', [admin('Deny'), NAMESPACED], [['* -> gryffindor/*', false]]],
  ['Admin passes on to the NetworkPolicy', [admin('Pass'), NAMESPACED, baseline], OTHERS],
  ['Admin passes on to Baseline where no NetworkPolicy is', [admin('Pass'), baseline], [SLYTHERIN]],
  ['Admin passes on and nobody has a word', [admin('Pass')], []],
  ['Admin accepts what Baseline denies', [admin('Accept'), baseline], []],
  ['Baseline is not asked once a NetworkPolicy selects the pod', [NAMESPACED, baseline], OTHERS],
  ['Baseline denies', [baseline], [SLYTHERIN]],
  [
    'the lower priority goes first, whatever the names',
    [
      policy('a', { priority: 60, ingress: [rule('Accept', 'slytherin')] }),
      policy('b', { priority: 50, ingress: [rule('Deny', 'slytherin')] }),
    ],
    [SLYTHERIN],
  ],
  [
    'of one policy’s rules the first that matches decides',
    [
      policy('p', {
        ingress: [
          rule('Accept', 'ravenclaw'),
          rule('Deny', 'ravenclaw'),
          rule('Deny', 'slytherin', tcp(80)),
          rule('Pass', 'slytherin'),
        ],
      }),
    ],
    [SLYTHERIN],
  ],
  [
    'on other ports the next rule does',
    [policy('p', { ingress: [rule('Accept', 'hufflepuff', tcp(8080)), rule('Deny', 'hufflepuff')] })],
    [['hufflepuff/* -> gryffindor/*', false]],
  ],
  [
    'and on its own port the first',
    [policy('p', { ingress: [rule('Accept', 'hufflepuff', tcp(8080)), rule('Deny', 'hufflepuff')] })],
    [],
    'TCP',
    8080,
  ],
  ['protocols are told apart', [policy('p', { ingress: [rule('Deny', 'slytherin', tcp(53))] })], [], 'UDP', 53],
  [
    'a named port has its protocol: denied',
    [policy('p', { ingress: [rule('Deny', 'slytherin', { destinationNamedPort: 'dns' })] })],
    [SLYTHERIN],
    'UDP',
    53,
  ],
  [
    'a named port has its protocol: another',
    [policy('p', { ingress: [rule('Deny', 'slytherin', { destinationNamedPort: 'dns' })] })],
    [],
    'TCP',
    53,
  ],
  [
    'a range of ports',
    [
      policy('p', {
        ingress: [rule('Deny', 'slytherin', { tcp: { destinationPort: { range: { start: 79, end: 81 } } } })],
      }),
    ],
    [SLYTHERIN],
  ],
  [
    'pods by namespace and label',
    [
      policy('p', {
        egress: [out('Deny', [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { n: '1' } } } }])],
      }),
    ],
    HOUSES.map((house): Expectation => [`gryffindor/* -> ${house}/1`, false]),
  ],
  [
    'egress to networks, with an exception before them',
    [
      policy('p', {
        egress: [out('Accept', [{ networks: ['10.0.3.2/32'] }]), out('Deny', [{ networks: ['10.0.3.0/24'] }])],
      }),
    ],
    [['gryffindor/* -> slytherin/0', false]],
  ],
  [
    'a subject by pod',
    [
      policy('p', {
        subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { n: '0' } } } },
        ingress: [rule('Deny', 'slytherin')],
      }),
    ],
    HOUSES.map((house): Expectation => [`slytherin/* -> ${house}/0`, false]),
  ],
  [
    'without rules for a direction nothing is said of it',
    [policy('p', { egress: [out('Deny', [of('slytherin')])] })],
    [['gryffindor/* -> slytherin/*', false]],
  ],
  [
    'Accept of something unknown accepts nothing',
    [policy('p', { egress: [out('Accept', [{ domainNames: ['example.org'] }]), out('Deny', [of('slytherin')])] })],
    [['gryffindor/* -> slytherin/*', false]],
  ],
  [
    'Pass of something unknown denies everything',
    [policy('p', { egress: [out('Pass', [{ domainNames: ['example.org'] }])] })],
    [['gryffindor/* -> *', false]],
  ],
];

function step([, objects, expect, protocol = 'TCP', port = 80]: Case): Step {
  return { objects: [...CLUSTER, ...objects], protocol, port, expect };
}

export const CLUSTER_POLICIES: readonly Row[] = [
  ...CASES.map(found => ({ name: found[0], steps: [step(found)] })),
  {
    name: 'an action that is changed takes effect',
    steps: [step(['', [admin('Deny')], [SLYTHERIN]]), step(['', [admin('Pass')], []])],
  },
];
