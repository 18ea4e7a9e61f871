/** The agent end to end in the lab's cluster, with both kinds of ToR: sessions, packets, kill -9, nodes that leave. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { runStep, STEPS, type Lab } from '../../lab/checks.js';
import { buildCluster } from '../../lab/cluster.js';
import { startTor } from '../../lab/tor.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';

describe.each(['bird', 'peerage'] as const)('a cluster with %s as ToR', kind => {
  let topology: Topology;
  let lab: Lab;

  beforeAll(async () => {
    topology = await Topology.open(`pgsc${kind[0]}`);
    const cluster = await buildCluster(topology, 'examples/cluster');
    const tor = startTor(kind, topology, cluster.nodes);
    const config = readFileSync('examples/agent.yaml', 'utf8');
    const startedAt = performance.now();
    const agents = new Map(
      cluster.nodes.map(node => [
        node.name,
        PeerageProcess.agent(topology, node.name, { node: node.name, manifests: cluster.manifests, config }),
      ]),
    );
    lab = { topology, cluster, tor, agents, startedAt };
  }, 180_000);
  afterAll(async () => {
    await topology.close();
  }, 180_000);

  test.each(STEPS)(
    '$what',
    async step => {
      const check = await runStep(step, lab);
      expect(check.measured).not.toBe('');
      if (!check.ok) throw new Error(check.measured);
    },
    300_000,
  );
});
