/** Upstream's end-to-end cases (see upstreamCluster.ts). */

import type { Expectation } from './rows.js';
import {
  addressOfPod,
  policy,
  ALL,
  pod,
  ns,
  noneOf,
  from,
  to,
  ONLY_Y,
  CLOSED_A,
  B_BLOCK,
  rowsOf,
  type Case,
} from './upstreamCluster.js';

const CASES: readonly Case[] = [
  ['no egress of a pod', [{ policies: [policy({ egress: [] })], expect: [['x/a -> *', false]] }]],
  ['no egress of a namespace', [{ policies: [policy({ pods: ALL, egress: [] })], expect: [['x/* -> *', false]] }]],
  [
    'ingress and egress in one policy',
    (() => {
      const policies = [policy({ ingress: [from([{ podSelector: pod('b') }])], egress: [to([], [{ port: 80 }])] })];
      const ingress: readonly Expectation[] = [CLOSED_A, ['x/b -> x/a', true]];
      return [
        { policies, port: 80, expect: ingress },
        { policies, port: 81, expect: [['x/a -> *', false], ...ingress] as const },
      ];
    })(),
  ],
  [
    'egress is denied though the receiver would accept',
    [
      {
        policies: [
          policy({ egress: [to([{ namespaceSelector: ns('y'), podSelector: pod('a') }])] }),
          ...['a', 'b'].map(name =>
            policy({
              name: `in-${name}`,
              namespace: 'y',
              pods: pod(name),
              ingress: [from([{ namespaceSelector: ns('x'), podSelector: pod('a') }])],
            }),
          ),
        ],
        expect: [
          ['x/a -> *', false],
          ['* -> y/a', false],
          ['* -> y/b', false],
          ['x/a -> y/a', true],
        ],
      },
    ],
  ],
  [
    'egress to one pod of another namespace',
    [
      {
        policies: [policy({ egress: [to([{ namespaceSelector: ns('y'), podSelector: pod('a') }])] })],
        expect: [
          ['x/a -> *', false],
          ['x/a -> y/a', true],
        ],
      },
    ],
  ],
  [
    'every port of one protocol',
    [
      { policies: [policy({ ingress: [from([], [{ protocol: 'TCP' }])] })], protocol: 'TCP', expect: [] },
      { policies: [policy({ ingress: [from([], [{ protocol: 'TCP' }])] })], protocol: 'UDP', expect: [CLOSED_A] },
    ],
  ],
  [
    'a policy that allows all ingress wins over one that does not',
    [
      {
        policies: [policy({ pods: ALL, ingress: [from([], [{ port: 80 }])] })],
        port: 81,
        expect: [['* -> x/*', false]],
      },
      {
        policies: [
          policy({ pods: ALL, ingress: [from([], [{ port: 80 }])] }),
          policy({ name: 'all', pods: ALL, ingress: [{}] }),
        ],
        port: 81,
        expect: [],
      },
    ],
  ],
  [
    'a policy that allows all egress wins over one that does not',
    [
      { policies: [policy({ pods: ALL, egress: [to([], [{ port: 80 }])] })], port: 81, expect: [['x/* -> *', false]] },
      {
        policies: [
          policy({ pods: ALL, egress: [to([], [{ port: 80 }])] }),
          policy({ name: 'all', pods: ALL, egress: [{}] }),
        ],
        port: 81,
        expect: [],
      },
    ],
  ],
  [
    'policies that are deleted end',
    [
      {
        policies: [policy({ pods: ALL, ingress: [], egress: [] })],
        expect: [
          ['* -> x/*', false],
          ['x/* -> *', false],
        ],
      },
      { policies: [], expect: [] },
    ],
  ],
  [
    'egress to a block',
    [
      {
        policies: [policy({ egress: [to([{ ipBlock: { cidr: `${addressOfPod('y', 'b')}/32` } }])] })],
        expect: [
          ['x/a -> *', false],
          ['x/a -> y/b', true],
        ],
      },
    ],
  ],
  [
    'a hole in a block, and a policy that fills it',
    [
      {
        policies: [policy({ egress: [to([{ ipBlock: { cidr: '10.0.0.0/16', except: [B_BLOCK] } }])] })],
        expect: [['x/a -> x/b', false]],
      },
      {
        policies: [policy({ egress: [to([{ ipBlock: { cidr: B_BLOCK } }])] })],
        expect: [
          ['x/a -> *', false],
          ['x/a -> x/b', true],
        ],
      },
      {
        policies: [
          policy({ egress: [to([{ ipBlock: { cidr: '10.0.0.0/16', except: [B_BLOCK] } }])] }),
          policy({ name: 'fill', egress: [to([{ ipBlock: { cidr: B_BLOCK } }])] }),
        ],
        expect: [],
      },
    ],
  ],
  [
    'ingress and egress are independent',
    [
      { policies: [policy({ egress: [{}] })], expect: [] },
      { policies: [policy({ egress: [{}] }), policy({ name: 'in', ingress: [] })], expect: [CLOSED_A] },
    ],
  ],
  [
    'SCTP is not TCP',
    [
      {
        policies: [
          policy({ name: 'deny', pods: ALL, ingress: [] }),
          policy({ ingress: [from([], [{ port: 81, protocol: 'SCTP' }])] }),
        ],
        port: 81,
        protocol: 'TCP',
        expect: [['* -> x/*', false]],
      },
    ],
  ],
  [
    'a policy for SCTP isolates TCP as well',
    [
      {
        policies: [policy({ ingress: [from([], [{ port: 80, protocol: 'SCTP' }])] })],
        port: 81,
        protocol: 'TCP',
        expect: [CLOSED_A],
      },
    ],
  ],
  [
    'UDP is not TCP',
    [
      {
        policies: [policy({ ingress: [from([], [{ port: 81, protocol: 'UDP' }])] })],
        port: 81,
        protocol: 'TCP',
        expect: [CLOSED_A],
      },
    ],
  ],
  [
    'a namespace by the label that all have',
    [
      {
        policies: [
          policy({ ingress: [from([{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }])] }),
        ],
        expect: ONLY_Y,
      },
    ],
  ],
  [
    'all but one namespace by the label that all have',
    [
      {
        policies: [policy({ egress: [to([{ namespaceSelector: noneOf('kubernetes.io/metadata.name', 'y') }])] })],
        expect: [['x/a -> y/*', false]],
      },
    ],
  ],
  [
    'a range of ports',
    [80, 81, 82, 83].map(port => ({
      policies: [policy({ egress: [to([], [{ port: 81, endPort: 82 }])] })],
      port,
      expect: port === 81 || port === 82 ? [] : [['x/a -> *', false] as const],
    })),
  ],
];

export const UPSTREAM_EGRESS = rowsOf(CASES);
