/** Objects that several tests against the API server make. */

import type { KubeManifest } from '../../lab/kube/kubeClient.js';

/** A node at 10.8.0.N with pods in 10.244.N.0/24. */
export function nodeObject(name: string, n: number): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: `10.244.${n}.0/24`, podCIDRs: [`10.244.${n}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `10.8.0.${n}` }] },
  };
}
