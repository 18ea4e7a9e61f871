/**
 * Fills an empty etcd with a cluster, as the API server would have stored it: a hundred thousand objects in seconds rather
 * than in many minutes. `node build/bench/kube/seed.js ETCD_URL NODES SERVICES PODS`
 */

import {
  namespaceJson,
  nodeJson,
  podJson,
  serviceIpJson,
  serviceJson,
  sliceJson,
  NAMESPACES,
  type ClusterSize,
} from './cluster.js';

/** Operations in one transaction: etcd's own limit. */
const AT_ONCE = 128;

interface Stored {
  readonly key: string;
  readonly value: string;
}

function* objects(size: ClusterSize): Iterable<Stored> {
  const make = function* (count: number, registry: string, json: (n: number) => string): Iterable<Stored> {
    for (let n = 0; n < count; n++) {
      const value = json(n);
      yield { key: `/registry/${registry}/${pathIn(value)}`, value };
    }
  };
  yield* make(NAMESPACES, 'namespaces', n => typed('v1', 'Namespace', namespaceJson(n)));
  yield* make(size.nodes, 'minions', n => typed('v1', 'Node', nodeJson(n)));
  yield* make(size.services, 'services/specs', n => typed('v1', 'Service', serviceJson(n)));
  yield* make(size.services, 'ipaddresses', n => typed('networking.k8s.io/v1', 'IPAddress', serviceIpJson(n)));
  yield* make(size.services, 'endpointslices', n => typed('discovery.k8s.io/v1', 'EndpointSlice', sliceJson(n, size)));
  yield* make(size.pods, 'pods', n => typed('v1', 'Pod', podJson(n, size)));
}

function typed(apiVersion: string, kind: string, json: string): string {
  return `{"kind":"${kind}","apiVersion":"${apiVersion}",${json.slice(1)}`;
}

function pathIn(json: string): string {
  const { metadata } = JSON.parse(json) as {
    readonly metadata: { readonly name: string; readonly namespace?: string };
  };
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

async function store(etcd: string, batch: readonly Stored[]): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const success = batch.map(({ key, value }) => ({ requestPut: { key: base64(key), value: base64(value) } }));
  const response = await fetch(`${etcd}/v3/kv/txn`, { method: 'POST', body: JSON.stringify({ success }) });
  if (!response.ok) throw new Error(`etcd refused: ${await response.text()}`);
}

const [etcd = '', ...counts] = process.argv.slice(2);
const [nodes = 0, services = 0, pods = 0] = counts.map(Number);
let batch: Stored[] = [];
for (const object of objects({ nodes, services, pods })) {
  batch.push(object);
  if (batch.length < AT_ONCE) continue;
  await store(etcd, batch);
  batch = [];
}
if (batch.length > 0) await store(etcd, batch);
