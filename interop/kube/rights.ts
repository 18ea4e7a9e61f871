/** A control plane with the rights of deploy/rbac.yaml and no others for our agents. */

import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import type { Topology } from '../../lab/topology/topology.js';

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
