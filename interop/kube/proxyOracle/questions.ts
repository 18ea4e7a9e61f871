/** What is asked in both worlds: every address and port of every generated service, and some that nobody has. Pure. */

import * as at from './addresses.js';
import type { Family } from './addresses.js';
import type { Case } from './cases.js';

export interface Target {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly address: string;
  readonly port: number;
}

export interface Question extends Target {
  /** Says what it is of, and is unique. */
  readonly name: string;
  /** Undefined: of no service. */
  readonly of: Case | undefined;
}

/** Node ports are never served at loopback addresses, nor at those of the node's other links. */
const NODE_PLACES: readonly (readonly [name: string, place: at.Place])[] = [
  ['node port', at.NODE],
  ['node port, second address', at.REMOTE.near],
];
/** Of no service. */
const UNUSED_PORT = 9;

export function questionsOf(generated: Case): readonly Question[] {
  return generated.families.flatMap(family => ofFamily(generated, family));
}

function ofFamily(generated: Case, family: Family): readonly Question[] {
  const { name, ports, clusterIps, externalIps, balancerIps } = generated;
  const places: readonly (readonly [string, at.Place | undefined])[] = [
    ['cluster IP', clusterIps],
    ['external IP', externalIps],
    ['load balancer IP', balancerIps],
  ];
  const offered = places.flatMap(([what, place]) =>
    place === undefined ? [] : ports.map(({ protocol, port }) => ({ what, address: place[family], protocol, port })),
  );
  const atNode = NODE_PLACES.flatMap(([what, place]) =>
    ports.flatMap(({ protocol, nodePort: port }) =>
      port === undefined ? [] : [{ what, address: place[family], protocol, port }],
    ),
  );
  const besides =
    clusterIps === undefined
      ? []
      : (['TCP', 'UDP', 'SCTP'] as const).map(protocol => ({
          what: 'unused port of the cluster IP',
          address: clusterIps[family],
          protocol,
          port: UNUSED_PORT,
        }));
  return [...offered, ...atNode, ...besides].map(({ what, ...target }) => ({
    name: `${name}: ${what} (IPv${family}, ${target.protocol} ${target.port})`,
    of: generated,
    ...target,
  }));
}

/** Addresses in the services' ranges that no service has, and a node port that nobody has. */
export function unusedQuestions(): readonly Question[] {
  return ([4, 6] as const).flatMap(family =>
    (
      [
        ['an unallocated cluster IP', at.clusterIp(4000)[family], 80],
        ['an unused external IP', at.externalIp(249)[family], 80],
        ['an unused node port', at.NODE[family], at.nodePort(2700)],
      ] as const
    ).map(([what, address, port]) => ({
      name: `${what} (IPv${family})`,
      protocol: 'TCP' as const,
      address,
      port,
      of: undefined,
    })),
  );
}
