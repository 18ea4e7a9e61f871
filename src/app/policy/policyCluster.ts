/** What questions about policies are answered from: a folder of manifests, or what a running agent knows of its cluster. */

import type { ObjectKey } from '../../kube/objects.js';
import type { EndpointSlice, Service } from '../../kube/objectTypes.js';
import type { ServiceTarget } from '../../kube/offlineObjects.js';
import type { PolicyWorld } from '../../policy/policyWorld.js';

export interface KnownService {
  readonly service: Service;
  readonly target: ServiceTarget;
  readonly slices: readonly EndpointSlice[];
}

export interface PolicyCluster {
  readonly world: PolicyWorld;
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, KnownService>;
  /** File and line, where objects are of files. */
  readonly sources: ReadonlyMap<ObjectKey, string>;
  /** Where what is asked for was looked for, for people: `in the manifests`. */
  readonly place: string;
}
