/** What the control API says of egress addresses: as the derivation has it. Pure but for its memory. */

import type { EgressAddressView, EgressView } from '../../api/egressView.js';
import type { EgressUpdate } from './egressStage.js';
import type { PodAddresses } from './openPodAddresses.js';

export interface EgressShow {
  readonly view: EgressView;
  /** The sinks, of which it hears what is shown. */
  beside(sinks: PodAddresses['sinks']): PodAddresses['sinks'];
}

export function createEgressShow(nodeName: string): EgressShow {
  let latest: Pick<EgressUpdate, 'shown'> | undefined;
  return {
    beside: sinks => ({
      ...sinks,
      egressAddresses: update => {
        latest = update;
        sinks.egressAddresses?.(update);
      },
    }),
    view: {
      addresses: () =>
        (latest?.shown() ?? []).map(
          ({ namespace, address = null, node = null, localPods, problem = null }): EgressAddressView => ({
            namespace,
            address,
            node,
            isHere: node === nodeName,
            localPods,
            problem,
          }),
        ),
    },
  };
}
