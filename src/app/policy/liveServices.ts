/** Services and their endpoints as a running agent knows them, for questions that name a service. */

import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import { keyOf, type ObjectKey } from '../../kube/objects.js';
import type { EndpointSlice, Service } from '../../kube/objectTypes.js';
import type { KnownService } from './policyCluster.js';

export interface LiveServices {
  apply(batch: ObjectBatch): void;
  /** Made when asked for: questions are rare. By `namespace/name`. */
  known(): ReadonlyMap<string, KnownService>;
}

export function createLiveServices(): LiveServices {
  const services = new Map<string, Service>();
  const slices = new Map<string, Map<ObjectKey, EndpointSlice>>();
  const place = (slice: EndpointSlice, isGone: boolean): void => {
    const name = `${slice.namespace}/${slice.service ?? ''}`;
    const ofService = slices.get(name) ?? new Map<ObjectKey, EndpointSlice>();
    if (isGone) ofService.delete(keyOf(slice));
    else ofService.set(keyOf(slice), slice);
    if (ofService.size === 0) slices.delete(name);
    else slices.set(name, ofService);
  };
  return {
    apply: batch => {
      for (const { change, object } of changesOf(batch, 'Service')) {
        const name = `${object.namespace}/${object.name}`;
        if (change === 'deleted') services.delete(name);
        else services.set(name, object);
      }
      for (const { change, object } of changesOf(batch, 'EndpointSlice')) place(object, change === 'deleted');
    },
    known: () => new Map([...services].map(([name, service]) => [name, knownOf(service, slices.get(name))])),
  };
}

/** What it selects is its controller's business: endpoints are those that slices name. */
function knownOf(service: Service, slices: ReadonlyMap<ObjectKey, EndpointSlice> | undefined): KnownService {
  const ports = service.ports.map(({ name, protocol, port }) => ({ name, protocol, port, targetPort: port }));
  return { service, target: { selector: {}, ports }, slices: [...(slices?.values() ?? [])] };
}
