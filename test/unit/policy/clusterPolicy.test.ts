/**
 * What the conformance tests of ClusterNetworkPolicy look at (network-policy-api v0.2.0), as truth tables: four namespaces
 * with pods 0 and 1 each; policies have gryffindor as their subject.
 */

import { describe, expect, test } from '@jest/globals';
import type { Protocol } from '../../../src/kube/objectTypes.js';
import { parseObject } from '../../../src/kube/objects.js';
import { batchBetween, modelOf } from './modelCluster.js';
import type { JsonClusterPeer, JsonClusterPolicy, JsonClusterProtocol, JsonClusterRule } from './oracle.js';
import { expectTable, type Expectation } from './truthTable.js';

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

const of = (house: string): JsonClusterPeer => ({ namespaces: { matchLabels: { house } } });
const tcp = (number: number): JsonClusterProtocol => ({ tcp: { destinationPort: { number } } });

type Spec = Partial<JsonClusterPolicy['spec']>;
function policy(name: string, spec: Spec): JsonClusterPolicy {
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: { tier: 'Admin', priority: 10, subject: of('gryffindor'), ...spec },
  };
}
const rule = (
  action: JsonClusterRule['action'],
  house: string,
  ...protocols: JsonClusterProtocol[]
): JsonClusterRule => ({
  action,
  from: [of(house)],
  ...(protocols.length > 0 ? { protocols } : {}),
});
const out = (
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

type Row = readonly [
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

const ROWS: readonly Row[] = [
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

describe('ClusterNetworkPolicy', () => {
  test.each(ROWS)('%s', (_name, objects, expectations, protocol = 'TCP', port = 80) => {
    expectTable(modelOf([...CLUSTER, ...objects]), protocol, port, expectations);
  });

  test('an action that is changed takes effect', () => {
    const model = modelOf([...CLUSTER, admin('Deny')]);
    expectTable(model, 'TCP', 80, [SLYTHERIN]);
    model.apply(batchBetween([admin('Deny')], [admin('Pass')]));
    expectTable(model, 'TCP', 80, []);
  });
});

describe('what an API server would refuse', () => {
  const complaint = (spec: object): string => {
    const result = parseObject(policy('p', spec));
    return result.ok ? 'good' : result.error.text;
  };
  test.each([
    ['a tier', { tier: 'User' }, /^ClusterNetworkPolicy p: spec\.tier: /],
    ['a priority', { priority: 1001 }, /spec\.priority: /],
    ['no subject', { subject: {} }, /spec\.subject: needs either namespaces or pods/],
    ['no peers', { ingress: [{ action: 'Deny', from: [] }] }, /spec\.ingress\[0\]\.from: /],
    [
      'two kinds in one peer',
      { egress: [out('Deny', [{ ...of('x'), networks: ['10.0.0.0/8'] }])] },
      /to\[0\]: has namespaces and networks: only one/,
    ],
    [
      'an empty range',
      { ingress: [rule('Deny', 'x', { tcp: { destinationPort: { range: { start: 2, end: 2 } } } })] },
      /end: must be greater than start/,
    ],
    [
      'names of ports outside',
      { egress: [out('Deny', [{ networks: ['10.0.0.0/8'] }], { destinationNamedPort: 'web' })] },
      /protocols: nodes and networks have no named ports/,
    ],
  ])('%s', (_name, spec, text) => {
    expect(complaint(spec)).toMatch(text);
  });
});
