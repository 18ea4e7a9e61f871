/** For each port name that rules in force use: the addresses and numbers of the pods that have a port of this name. */

import type { Protocol } from '../kube/objectTypes.js';
import { createCountedSets } from './countedSets.js';
import {
  portElement,
  portSetKey,
  type PodName,
  type PolicyPod,
  type PortElement,
  type PortSetKey,
  type SetDelta,
} from './policyTypes.js';

/** Which pods, which protocol (undefined: any), which name. */
export interface PortDemand {
  readonly scope: 'local' | 'all';
  readonly protocol: Protocol | undefined;
  readonly name: string;
}

export interface PortSetTable {
  setPod(pod: PolicyPod): void;
  removePod(key: PodName): void;
  demand(ports: PortDemand): void;
  release(ports: PortDemand): void;
  settle(): SetDelta<PortSetKey, PortElement>;
  readonly portSets: ReadonlyMap<PortSetKey, ReadonlyMap<PortElement, number>>;
}

interface Demanded extends PortDemand {
  count: number;
}

/** @param isLocal whether a pod runs on this node */
export function createPortSetTable(isLocal: (pod: PolicyPod) => boolean): PortSetTable {
  const sets = createCountedSets<PortSetKey, PortElement>();
  const pods = new Map<PodName, PolicyPod>();
  /** Those of this node, of tens of thousands. */
  const localPods = new Map<PodName, PolicyPod>();
  /** By name of the port. */
  const demanded = new Map<string, Map<PortSetKey, Demanded>>();
  const idle = new Map<PortSetKey, PortDemand>();

  const count = (pod: PolicyPod | undefined, step: 'add' | 'remove', only?: PortSetKey): void => {
    if (pod?.state !== 'governed') return;
    for (const { name, protocol, port } of pod.namedPorts)
      for (const [key, ports] of demanded.get(name) ?? []) {
        if (only !== undefined && only !== key) continue;
        if (ports.scope === 'local' && !isLocal(pod)) continue;
        if (ports.protocol !== undefined && ports.protocol !== protocol) continue;
        for (const address of pod.addresses) sets[step](key, portElement(address, protocol, port));
      }
  };
  const keyOf = ({ scope, protocol, name }: PortDemand): PortSetKey => portSetKey(scope, protocol, name);
  const removePod = (key: PodName): void => {
    count(pods.get(key), 'remove');
    pods.delete(key);
    localPods.delete(key);
  };
  return {
    portSets: sets.sets,
    setPod: pod => {
      removePod(pod.key);
      // Who has no port of a name is in no set of any.
      if (pod.namedPorts.length > 0) pods.set(pod.key, pod);
      if (pod.namedPorts.length > 0 && isLocal(pod)) localPods.set(pod.key, pod);
      count(pods.get(pod.key), 'add');
    },
    removePod,
    demand: ports => {
      const key = keyOf(ports);
      idle.delete(key);
      const ofName = demanded.get(ports.name) ?? new Map<PortSetKey, Demanded>();
      const known = ofName.get(key);
      if (known !== undefined) {
        known.count++;
        return;
      }
      demanded.set(ports.name, ofName.set(key, { ...ports, count: 1 }));
      sets.create(key);
      for (const pod of (ports.scope === 'local' ? localPods : pods).values()) count(pod, 'add', key);
    },
    release: ports => {
      const known = demanded.get(ports.name)?.get(keyOf(ports));
      if (known !== undefined && --known.count === 0) idle.set(keyOf(ports), ports);
    },
    settle: () => {
      for (const [key, { name }] of idle) {
        const ofName = demanded.get(name);
        ofName?.delete(key);
        if (ofName?.size === 0) demanded.delete(name);
        sets.drop(key);
      }
      idle.clear();
      return sets.settle();
    },
  };
}
