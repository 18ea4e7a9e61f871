/** Upstream's end-to-end cases (see upstreamCluster.ts). */

import {
  policy,
  ALL,
  pod,
  ns,
  oneOf,
  noneOf,
  from,
  to,
  ONLY_Y,
  CLOSED_A,
  rowsOf,
  type Case,
} from './upstreamCluster.js';

const CASES: readonly Case[] = [
  [
    'deny all ingress of a namespace',
    [{ policies: [policy({ pods: ALL, ingress: [] })], expect: [['* -> x/*', false]] }],
  ],
  [
    'deny everything in a namespace',
    [
      {
        policies: [policy({ pods: ALL, ingress: [], egress: [] })],
        expect: [
          ['* -> x/*', false],
          ['x/* -> *', false],
        ],
      },
    ],
  ],
  [
    'pods of the own namespace by label',
    [
      {
        policies: [policy({ ingress: [from([{ podSelector: pod('b') }])] })],
        expect: [CLOSED_A, ['x/b -> x/a', true]],
      },
    ],
  ],
  [
    'a pod is opened in a namespace that is closed',
    [
      {
        policies: [
          policy({ name: 'deny', pods: ALL, ingress: [] }),
          policy({ ingress: [from([{ podSelector: ALL, namespaceSelector: ALL }])] }),
        ],
        expect: [
          ['* -> x/*', false],
          ['* -> x/a', true],
        ],
      },
    ],
  ],
  ['pods of all namespaces', [{ policies: [policy({ ingress: [from([{ namespaceSelector: ALL }])] })], expect: [] }]],
  [
    'a namespace by label',
    [{ policies: [policy({ ingress: [from([{ namespaceSelector: ns('y') }])] })], expect: ONLY_Y }],
  ],
  [
    'pods by expression',
    [
      {
        policies: [policy({ ingress: [from([{ podSelector: oneOf('pod', 'b') }])] })],
        expect: [CLOSED_A, ['x/b -> x/a', true]],
      },
    ],
  ],
  [
    'namespaces by expression',
    [{ policies: [policy({ ingress: [from([{ namespaceSelector: oneOf('ns', 'y') }])] })], expect: ONLY_Y }],
  ],
  [
    'pods or namespaces: two peers',
    [
      {
        policies: [policy({ ingress: [from([{ namespaceSelector: noneOf('ns', 'x') }, { podSelector: pod('b') }])] })],
        expect: [['x/c -> x/a', false]],
      },
    ],
  ],
  [
    'pods and namespaces: one peer',
    [
      {
        policies: [policy({ ingress: [from([{ namespaceSelector: noneOf('ns', 'x'), podSelector: pod('b') }])] })],
        expect: [CLOSED_A, ['y/b -> x/a', true], ['z/b -> x/a', true]],
      },
    ],
  ],
  [
    'several pods of several namespaces',
    [
      {
        policies: [
          policy({ ingress: [from([{ namespaceSelector: noneOf('ns', 'x'), podSelector: oneOf('pod', 'b', 'c') }])] }),
        ],
        expect: [
          ['x/* -> x/a', false],
          ['y/a -> x/a', false],
          ['z/a -> x/a', false],
        ],
      },
    ],
  ],
  [
    'any of two pods',
    [
      {
        policies: [policy({ ingress: [from([{ podSelector: pod('b') }, { podSelector: pod('c') }])] })],
        expect: [CLOSED_A, ['x/b -> x/a', true], ['x/c -> x/a', true]],
      },
    ],
  ],
  [
    'one pod of another namespace',
    [
      {
        policies: [policy({ ingress: [from([{ namespaceSelector: ns('y'), podSelector: pod('a') }])] })],
        expect: [CLOSED_A, ['y/a -> x/a', true]],
      },
    ],
  ],
  [
    'one port for one namespace',
    [
      {
        policies: [policy({ ingress: [from([{ namespaceSelector: ns('y') }], [{ port: 81, protocol: 'TCP' }])] })],
        port: 81,
        expect: ONLY_Y,
      },
    ],
  ],
  [
    'a second policy adds a second port',
    (() => {
      const at = (name: string, port: number): unknown =>
        policy({ name, ingress: [from([{ namespaceSelector: ns('y') }], [{ port, protocol: 'TCP' }])] });
      return [
        { policies: [at('p81', 81)], port: 81, expect: ONLY_Y },
        { policies: [at('p81', 81)], port: 80, expect: [CLOSED_A] },
        { policies: [at('p81', 81), at('p80', 80)], port: 80, expect: ONLY_Y },
      ];
    })(),
  ],
  ['allow everything', [80, 81].map(port => ({ policies: [policy({ pods: ALL, ingress: [{}] })], port, expect: [] }))],
  [
    'a named port of every pod',
    [
      { policies: [policy({ pods: ALL, ingress: [from([], [{ port: 'serve-81-tcp' }])] })], port: 81, expect: [] },
      {
        policies: [policy({ pods: ALL, ingress: [from([], [{ port: 'serve-81-tcp' }])] })],
        port: 80,
        expect: [['* -> x/*', false]],
      },
    ],
  ],
  [
    'a named port for one namespace',
    (() => {
      const policies = [
        policy({ ingress: [from([{ namespaceSelector: ns('y') }], [{ port: 'serve-80-tcp', protocol: 'TCP' }])] }),
      ];
      return [
        { policies, port: 80, expect: ONLY_Y },
        { policies, port: 81, expect: [CLOSED_A] },
      ];
    })(),
  ],
  [
    'egress to a named port',
    (() => {
      const policies = [policy({ pods: ALL, egress: [to([], [{ port: 'serve-80-tcp' }])] })];
      return [
        { policies, port: 80, expect: [] },
        { policies, port: 81, expect: [['x/* -> *', false]] as const },
      ];
    })(),
  ],
  [
    'a policy is changed',
    [
      { policies: [policy({ pods: ALL, ingress: [{}] })], port: 81, expect: [] },
      {
        policies: [policy({ pods: ALL, ingress: [from([], [{ port: 80 }])] })],
        port: 81,
        expect: [['* -> x/*', false]],
      },
    ],
  ],
  [
    'a namespace gets the label that is asked for',
    (() => {
      const policies = [policy({ ingress: [from([{ namespaceSelector: { matchLabels: { fresh: 'yes' } } }])] })];
      return [
        { policies, expect: [CLOSED_A] },
        { policies, labels: { y: { fresh: 'yes' } }, expect: ONLY_Y },
      ];
    })(),
  ],
  [
    'a pod gets the label that is asked for',
    (() => {
      const policies = [policy({ ingress: [from([{ podSelector: { matchLabels: { fresh: 'yes' } } }])] })];
      return [
        { policies, expect: [CLOSED_A] },
        { policies, labels: { 'x/b': { fresh: 'yes' } }, expect: [CLOSED_A, ['x/b -> x/a', true] as const] },
      ];
    })(),
  ],
  [
    'other namespaces are kept out',
    [
      {
        policies: [policy({ pods: ALL, ingress: [from([{ podSelector: ALL }])] })],
        expect: [
          ['y/* -> x/*', false],
          ['z/* -> x/*', false],
        ],
      },
    ],
  ],
  [
    'a pod gets the label that a policy selects, and loses it',
    (() => {
      const policies = [policy({ pods: { matchLabels: { target: 'yes' } }, ingress: [] })];
      return [
        { policies, expect: [] },
        { policies, labels: { 'x/a': { target: 'yes' } }, expect: [CLOSED_A] },
        { policies, expect: [] },
      ];
    })(),
  ],
  ...(['UDP', 'SCTP'] as const).flatMap((protocol): readonly Case[] => [
    [
      `deny all ingress: ${protocol}`,
      [{ policies: [policy({ pods: ALL, ingress: [] })], protocol, expect: [['* -> x/*', false]] }],
    ],
    [
      `one port for one namespace: ${protocol}`,
      [
        {
          policies: [policy({ ingress: [from([{ namespaceSelector: ns('y') }], [{ port: 81, protocol }])] })],
          port: 81,
          protocol,
          expect: ONLY_Y,
        },
      ],
    ],
    [
      `one pod of another namespace: ${protocol}`,
      [
        {
          policies: [policy({ ingress: [from([{ namespaceSelector: ns('y'), podSelector: pod('a') }])] })],
          protocol,
          expect: [CLOSED_A, ['y/a -> x/a', true]],
        },
      ],
    ],
  ]),
];

export const UPSTREAM_INGRESS = rowsOf(CASES);
