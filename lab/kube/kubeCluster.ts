/** The lab's cluster behind a real API server: the same objects, kept where a cluster keeps them. Impure. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Topology } from '../topology/topology.js';
import { ControlPlane } from './controlPlane.js';
import type { KubeManifest } from './kubeClient.js';

/** The control plane's host on the rack. */
const HOST = 'api';
const ADDRESS = '10.0.0.250';

export interface KubeCluster {
  readonly plane: ControlPlane;
  readonly objects: readonly KubeManifest[];
}

/** Starts a control plane on the lab's rack and puts nodes, pods and services of a folder into it. */
export async function startKube(topology: Topology, folder: string): Promise<KubeCluster> {
  await topology.host(HOST);
  await topology.attach({ host: HOST, link: 'rack0', addresses: [`${ADDRESS}/24`] }, 'rack');
  const plane = await ControlPlane.start(topology, HOST, ADDRESS);
  const objects = readdirSync(folder)
    .sort()
    .flatMap(file => objectsOf(readFileSync(join(folder, file), 'utf8')));
  // What refers to a namespace comes after it.
  for (const kind of ['Namespace', 'Node', 'Service', 'Pod'])
    for (const object of objects.filter(one => one.kind === kind)) await plane.admin.apply(object);
  return { plane, objects };
}

function objectsOf(text: string): KubeManifest[] {
  return parseAllDocuments(text).flatMap(document => {
    const json = document.toJS() as KubeManifest & { readonly items?: readonly KubeManifest[] };
    return (json.items ?? [json]).flatMap(object => wanted(object));
  });
}

/** What a client may say of an object; the server fills in the rest. Endpoint slices are made by their controller. */
function wanted({ apiVersion, kind, metadata, spec, status }: KubeManifest): KubeManifest[] {
  const { name, namespace, labels } = metadata;
  if (namespace === 'kube-system' || name === 'kubernetes') return [];
  const plain = {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
    },
  };
  switch (kind) {
    case 'Namespace':
      return [plain];
    case 'Service':
      return [{ ...plain, spec }];
    case 'Node':
    case 'Pod':
      return [{ ...plain, spec, status }];
    default:
      return [];
  }
}
