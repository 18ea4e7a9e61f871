/** The graph's stage for network policies: from objects and the configuration to what the firewall shall do. Pure. */

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.js';
import type { IpPrefix } from '../../core/ip.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { Node } from '../../kube/objectTypes.js';
import { createPolicyModel, type PolicyModel } from '../../policy/policyModel.js';
import type { FirewallSettings } from '../../policy/policyFirewall.js';
import type { PolicyDelta } from '../../policy/policyTypes.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { firewallSettings } from './firewallOptions.js';
import { createLiveServices, type LiveServices } from './liveServices.js';

export type PolicyInput =
  | { readonly kind: 'batch'; readonly batch: ObjectBatch }
  | { readonly kind: 'options'; readonly kubernetes: Kubernetes };

export interface PolicyUpdate {
  readonly delta: PolicyDelta;
  /** Undefined: as before. */
  readonly settings: FirewallSettings | undefined;
  /** The cluster has told all it had: what is not there is not wanted. */
  readonly isComplete: boolean;
  /** Seconds that the derivation took. */
  readonly seconds: number;
  /** To be asked. Their owner is the stage. */
  readonly model: PolicyModel;
  readonly services: LiveServices;
}

const NOTHING: PolicyDelta = {
  groups: { changed: new Map(), removed: new Set() },
  portSets: { changed: new Map(), removed: new Set() },
  policies: { set: new Map(), removed: new Set() },
  pods: { set: new Map(), removed: new Set() },
};

export interface PolicyStageOptions {
  readonly nodeName: string;
  /** This node's pod networks as far as they are known before its Node object is. */
  readonly formerCidrs?: readonly IpPrefix[];
  /** For measuring. */
  readonly clock: Pick<Clock, 'now'>;
}

/** Owns the state of the derivation. The first input has to be the configuration. */
export function createPolicyStage({
  nodeName,
  formerCidrs = [],
  clock,
}: PolicyStageOptions): (input: PolicyInput) => PolicyUpdate {
  const model = createPolicyModel(nodeName);
  const services = createLiveServices();
  let kubernetes: Kubernetes | undefined;
  let own: Node | undefined;
  let settings: FirewallSettings | undefined;
  let isComplete = false;
  const take = (input: PolicyInput): PolicyDelta => {
    if (input.kind === 'options') {
      ({ kubernetes } = input);
      return NOTHING;
    }
    const { batch } = input;
    // A Node that is gone for a moment has not moved.
    for (const { change, object } of changesOf(batch, 'Node'))
      if (object.name === nodeName && change !== 'deleted') own = object;
    services.apply(batch);
    isComplete ||= batch.synced;
    return model.apply(batch);
  };
  return input => {
    const begun = clock.now();
    const delta = take(input);
    const seconds = (clock.now() - begun) / 1000;
    const next = kubernetes === undefined ? undefined : firewallSettings(kubernetes, own, formerCidrs);
    const isOther = !isDeepStrictEqual(next, settings);
    settings = next;
    return { delta, settings: isOther ? next : undefined, isComplete, seconds, model, services };
  };
}
