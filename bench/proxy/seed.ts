/** Fills an empty etcd with the services of the benchmark: `node build/bench/proxy/seed.js ETCD_URL SERVICES ENDPOINTS`. */

import { pathIn, storeAll, typed, type Stored } from '../kube/etcdStore.js';
import { namespaceJson, nodeJson, serviceIpJson, serviceJson, slicesJson } from './cluster.js';

const [etcd = '', ...counts] = process.argv.slice(2);
const [services = 0, endpoints = 0] = counts.map(Number);
await storeAll(etcd, objects());

function* objects(): Iterable<Stored> {
  yield stored('namespaces', typed('v1', 'Namespace', namespaceJson()));
  yield stored('minions', typed('v1', 'Node', nodeJson()));
  for (let n = 0; n < services; n++) {
    yield stored('services/specs', typed('v1', 'Service', serviceJson(n)));
    yield stored('ipaddresses', typed('networking.k8s.io/v1', 'IPAddress', serviceIpJson(n)));
    for (const slice of slicesJson(n, endpoints))
      yield stored('endpointslices', typed('discovery.k8s.io/v1', 'EndpointSlice', slice));
  }
}

function stored(registry: string, value: string): Stored {
  return { key: `/registry/${registry}/${pathIn(value)}`, value };
}
