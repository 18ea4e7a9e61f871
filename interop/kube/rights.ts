/** A control plane with the rights of deploy/rbac.yaml and no others for our agents. */

import { readFileSync } from 'node:fs';
import { parseAllDocuments, stringify } from 'yaml';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import type { Topology } from '../../lab/topology/topology.js';
import { buildHosts } from '../../test/system/rack.js';
import { nodeObject } from './objects.js';

/** Nodes of {@link startNodesWithRights}; the n-th has 10.8.0.N. */
export const NODES = ['n1', 'n2'] as const;

/**
 * Starts it on the host `api`, with the namespace `demo`.
 * @param address that the host has
 * @returns the plane, and the path of a kubeconfig of the agents' service account
 */
export async function startPlaneWithRights(
  topology: Topology,
  address: string,
): Promise<{ readonly plane: ControlPlane; readonly kubeconfig: string }> {
  const plane = await ControlPlane.start(topology, 'api', address);
  for (const document of parseAllDocuments(readFileSync('deploy/rbac.yaml', 'utf8')))
    await plane.admin.apply(document.toJS() as KubeManifest);
  await plane.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } });
  return { plane, kubeconfig: await plane.serviceAccountConfig('kube-system', 'peerage') };
}

/**
 * Starts it beside two nodes with an agent each, which touches nothing of the node but what it is asked for.
 * @param kubernetes more of this section of the agents' configuration
 * @param beside names of more hosts on the same wire, the first at 10.8.0.4
 */
export async function startNodesWithRights(
  topology: Topology,
  kubernetes: object,
  beside: readonly string[] = [],
): Promise<{ readonly plane: ControlPlane; readonly agents: ReadonlyMap<string, PeerageProcess> }> {
  await buildHosts(topology, [...NODES, 'api', ...beside]);
  const { plane, kubeconfig } = await startPlaneWithRights(topology, `10.8.0.${NODES.length + 1}`);
  const plain = { cni: { enabled: false, forward: 'off' }, egress: { enabled: false } };
  const config = stringify({ kubernetes: { kubeconfig, ...plain, ...kubernetes } });
  const agents = new Map<string, PeerageProcess>();
  for (const [i, node] of NODES.entries()) {
    await plane.admin.apply(nodeObject(node, i + 1));
    agents.set(node, PeerageProcess.agent(topology, node, { node, config }));
  }
  return { plane, agents };
}
