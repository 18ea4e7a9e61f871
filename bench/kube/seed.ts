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
import { pathIn, storeAll, typed, type Stored } from './etcdStore.js';

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

const [etcd = '', ...counts] = process.argv.slice(2);
const [nodes = 0, services = 0, pods = 0] = counts.map(Number);
await storeAll(etcd, objects({ nodes, services, pods }));
