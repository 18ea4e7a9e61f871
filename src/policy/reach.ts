/** Which ports of one end another may connect to: every port that rules tell apart is judged once, and its like with it. */

import type { Protocol } from '../kube/objectTypes.js';
import { LAST_PORT } from './compileNetworkPolicy.js';
import type { PolicyWorld } from './policyWorld.js';
import { verdict, type Party } from './verdict.js';

export interface PortRange {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
}

const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];

/** @returns ranges that neither overlap nor touch, in order of protocol and port; all ports of all protocols is three ranges */
export function reachablePorts(world: PolicyWorld, from: Party, to: Party): readonly PortRange[] {
  const starts = startsOf(world, from, to);
  return PROTOCOLS.flatMap(protocol => {
    const ranges: PortRange[] = [];
    for (const [i, first] of starts.entries()) {
      if (!verdict(world, { from, to, protocol, port: first }).allowed) continue;
      const last = (starts[i + 1] ?? LAST_PORT + 1) - 1;
      const before = ranges.at(-1);
      if (before?.last === first - 1) ranges[ranges.length - 1] = { ...before, last };
      else ranges.push({ protocol, first, last });
    }
    return ranges;
  });
}

/** Ports at which some rule begins or ends to hold, ascending; between two of them nothing changes. */
function startsOf(world: PolicyWorld, from: Party, to: Party): readonly number[] {
  const starts = new Set([1]);
  const ownPorts = to.kind === 'pod' ? to.pod.namedPorts : [];
  for (const { port } of ownPorts) starts.add(port).add(port + 1);
  const policies = [
    ...(from.kind === 'pod' ? world.governing(from.pod).egress.flatMap(policy => policy.egress ?? []) : []),
    ...(to.kind === 'pod' ? world.governing(to.pod).ingress.flatMap(policy => policy.ingress ?? []) : []),
  ];
  for (const { ports } of policies)
    for (const port of ports ?? []) if (port.kind === 'range') starts.add(Math.max(1, port.first)).add(port.last + 1);
  return [...starts].filter(port => port <= LAST_PORT).sort((a, b) => a - b);
}
