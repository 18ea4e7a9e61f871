/** What our offline engine says of a cluster, in the form of the oracle's tables. */

import { parseAddress } from '../../src/core/ip.js';
import type { ObjectBatch } from '../../src/kube/objectBatch.js';
import type { PolicyModel } from '../../src/policy/policyModel.js';
import { podName } from '../../src/policy/policyTypes.js';
import { verdict, type Party } from '../../src/policy/verdict.js';
import { batchBetween } from '../../test/unit/policy/modelCluster.js';
import { objectsOf, type Cluster, type ClusterPod } from './cluster.js';
import type { DeniedCells } from './cyclonus.js';

/** What turns one cluster into another. @throws when an object cannot be read */
export function clusterChange(before: Cluster | undefined, after: Cluster): ObjectBatch {
  return batchBetween(before === undefined ? [] : objectsOf(before), objectsOf(after));
}

/** @param family which of the pods' addresses: 0 is the first, 1 the second @returns sorted */
export function deniedByEngine(model: PolicyModel, { pods }: Cluster, family: number): DeniedCells {
  const parties = pods.map(pod => ({ pod, name: `${pod.namespace}/${pod.name}`, party: partyOf(model, pod, family) }));
  return parties
    .flatMap(from =>
      parties
        .filter(to => to !== from)
        .flatMap(to =>
          to.pod.ports
            .filter(served => !verdict(model, { from: from.party, to: to.party, ...served }).allowed)
            .map(({ protocol, port }) => `${from.name} ${to.name} ${protocol} ${port}`),
        ),
    )
    .sort();
}

function partyOf({ pods }: PolicyModel, { namespace, name, ips }: ClusterPod, family: number): Party {
  const pod = pods.get(podName(namespace, name));
  const address = parseAddress(ips[family] ?? '');
  if (pod === undefined) throw new Error(`the model has no pod ${namespace}/${name}`);
  if (!address.ok) throw new Error(address.error);
  return { kind: 'pod', pod, address: address.value };
}
