/**
 * Two nodes, each with a firewall of its own, against a second reading of the specification (test/unit/policy/oracle.ts):
 * random NetworkPolicies and ClusterNetworkPolicies of a seed, with real packets; each end of a connection is judged on its
 * own node. PEERAGE_POLICY_SEED and PEERAGE_POLICY_TIERED choose others.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { oracleAllows, type OraclePod, type OracleWorld } from '../../test/unit/policy/oracle.js';
import { cluster, NODE_ADDRESSES, objectsOf } from '../../test/unit/policy/randomCluster.js';
import { PROTOCOLS, type Cluster, type ClusterPod } from './cluster.js';
import { openEnforcer, type Enforcer } from './enforcer.js';
import { differences, hostsOf } from './kernelTable.js';
import { openProber, type Prober } from './packets/prober.js';
import { openPodRig, type PodRig } from './podRig.js';

const SEED = Number(process.env['PEERAGE_POLICY_SEED'] ?? 1);
const WORLDS = Number(process.env['PEERAGE_POLICY_TIERED'] ?? 40);
/** Differences that are worth going on for. */
const ENOUGH = 20;
const LIMIT = 1_800_000;
const PORTS = [53, 80, 81];
const NODES = Object.keys(NODE_ADDRESSES);

const worlds = fc.sample(cluster, { seed: SEED, numRuns: WORLDS }).map(settle);
const pods = worlds[0]!.pods.map(clusterPod);
let rig: PodRig;
let prober: Prober;
let enforcers: readonly Enforcer[];

beforeAll(() => {
  rig = openPodRig(
    'pgpt',
    worlds[0]!.pods.map(pod => ({ ...pod, ips: [pod.ip] })),
  );
  prober = openProber(hostsOf(rig, pods), PORTS);
  enforcers = [...rig.nodes].map(([name, space]) => {
    const own = worlds[0]!.pods.filter(({ node }) => node === name);
    return openEnforcer(space, { name, podNetworks: own.map(({ ip }) => `${ip}/32`) });
  });
});
afterAll(async () => {
  prober.close();
  for (const enforcer of enforcers) await enforcer.stop();
  rig.close();
});

/** Every pod on a network of its own and always on the same node. */
function settle(world: OracleWorld): OracleWorld {
  return {
    ...world,
    pods: world.pods.map((pod, i) => ({
      ...pod,
      hostNetwork: false,
      node: NODES[i % NODES.length]!,
      // What the generator gives to all that are not on the host's network.
      ip: `10.0.${'xyz'.indexOf(pod.namespace)}.${pod.name.slice(1)}`,
    })),
  };
}

function clusterPod({ namespace, name, labels, ip }: OraclePod): ClusterPod {
  const ports = PORTS.flatMap(port => PROTOCOLS.map(protocol => ({ name: '', port, protocol })));
  return { namespace, name, labels, ips: [ip], ports };
}

function deniedIn(world: OracleWorld): readonly string[] {
  const name = (pod: OraclePod): string => `${pod.namespace}/${pod.name}`;
  return world.pods.flatMap(from =>
    world.pods.flatMap(to =>
      clusterPod(to)
        .ports.filter(({ protocol, port }) => !oracleAllows(world, from, to, protocol, port))
        .map(({ protocol, port }) => `${name(from)} ${name(to)} ${protocol} ${port}`),
    ),
  );
}

test(
  `${WORLDS} random clusters of seed ${SEED} on two nodes: packets agree with every cell`,
  async () => {
    const table: Cluster = { namespaces: {}, pods, policies: [] };
    const [found, counts]: [string[], Set<number>] = [[], new Set()];
    for (const [i, world] of worlds.entries()) {
      await Promise.all(enforcers.map(enforcer => enforcer.enforce(objectsOf(world))));
      const denied = deniedIn(world);
      counts.add(denied.length);
      for (const text of await differences(prober, table, [denied])) found.push(`cluster ${i}: ${text}`);
      if (found.length > ENOUGH) break;
    }
    expect(found).toEqual([]);
    // Tables that are all alike would prove little.
    expect(counts.size).toBeGreaterThan(WORLDS / 5);
  },
  LIMIT,
);
