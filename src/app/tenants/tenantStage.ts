/** The graph's stage for tenants: from objects and the configuration to what the kernel shall hold, and who needs a number. Pure. */

import type { IpPrefix } from '../../core/ip.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { ProblemReport } from '../../kube/problems.js';
import { dueTasks, type TenantTask } from '../../policy/tenants/assignment.js';
import type { TenantRules } from '../../policy/tenants/resolveTenants.js';
import {
  createTenantModel,
  type TenantDelta,
  type TenantModel,
  type TenantOutcome,
} from '../../policy/tenants/tenantModel.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';

export type TenantInput =
  | { readonly kind: 'batch'; readonly batch: ObjectBatch }
  | { readonly kind: 'options'; readonly kubernetes: Kubernetes };

export interface TenantUpdate {
  readonly delta: TenantDelta;
  /** Networks of all nodes' pods. Undefined: as before. */
  readonly networks: readonly IpPrefix[] | undefined;
  readonly problems: ProblemReport;
  /** The cluster has told all it had: what is not there is not wanted. */
  readonly isComplete: boolean;
  readonly rules: TenantRules;
  readonly due: readonly TenantTask[];
  /** To be asked. Its owner is the stage. */
  readonly model: TenantModel;
}

/**
 * Owns the state of the derivation. The first input has to be the configuration.
 * @param numbers given: there is an API server to write numbers into
 */
export function createTenantStage(
  nodeName: string,
  numbers: TenantRules['numbers'],
): (input: TenantInput) => TenantUpdate {
  let rules: TenantRules | undefined;
  let model: TenantModel | undefined;
  const byNode = new Map<string, readonly IpPrefix[]>();
  let networks: readonly IpPrefix[] = [];
  let told = networks;
  let isComplete = false;
  const take = (
    input: TenantInput,
  ): { readonly outcome: TenantOutcome; readonly model: TenantModel; readonly rules: TenantRules } => {
    if (input.kind === 'options') {
      rules = { global: new Set(input.kubernetes.tenants.global), numbers };
      model ??= createTenantModel(nodeName, rules);
      return { outcome: model.configure(rules), model, rules };
    }
    if (model === undefined || rules === undefined) throw new Error('objects come before the configuration');
    const changed = changesOf(input.batch, 'Node');
    for (const { change, object } of changed)
      if (change === 'deleted') byNode.delete(object.name);
      else byNode.set(object.name, object.podCidrs);
    // Nodes are thousands, and seldom other ones.
    if (changed.length > 0) networks = [...byNode.values()].flat();
    isComplete ||= input.batch.synced;
    return { outcome: model.apply(input.batch), model, rules };
  };
  return input => {
    const taken = take(input);
    const isOther = networks !== told;
    told = networks;
    const { model, rules, outcome } = taken;
    return {
      ...outcome,
      model,
      rules,
      isComplete,
      networks: isOther ? networks : undefined,
      due: dueTasks(model.specs, rules),
    };
  };
}
