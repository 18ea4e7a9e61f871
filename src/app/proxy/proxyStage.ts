/** The graph's stage for the service proxy: from objects and the configuration to what the kernel shall do. Pure. */

import { isDeepStrictEqual } from 'node:util';
import type { IpPrefix } from '../../core/ip.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { Node } from '../../kube/objectTypes.js';
import type { Problem } from '../../kube/problems.js';
import { serviceOfSlice } from '../../proxy/endpointSelection.js';
import { createProxy, type Proxy, type ProxyOutcome } from '../../proxy/proxy.js';
import type { ProxySettings } from '../../proxy/proxyTypes.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import type { Triggers } from './programmingLatency.js';
import { proxyRules, proxySettings } from './proxyOptions.js';

export type ProxyInput =
  | { readonly kind: 'batch'; readonly batch: ObjectBatch }
  | { readonly kind: 'options'; readonly kubernetes: Kubernetes };

export interface ProxyUpdate {
  readonly outcome: ProxyOutcome;
  /** Undefined: as before. */
  readonly settings: ProxySettings | undefined;
  /** The cluster has told all it had: what is not there is not wanted. */
  readonly isComplete: boolean;
  /** Traffic from outside may come to this node: it is not about to leave the cluster. */
  readonly isEligible: boolean;
  /** When something changed that slices told of. */
  readonly triggers: Triggers;
  /** To be asked what is known of a service. Its owner is the stage. */
  readonly proxy: Proxy;
}

/** Owns the state of the derivation. The first input has to be the configuration. */
export function createProxyStage(nodeName: string): (input: ProxyInput) => ProxyUpdate {
  let kubernetes: Kubernetes | undefined;
  let own: Node | undefined;
  let proxy: Proxy | undefined;
  const cidrs = new Map<string, readonly IpPrefix[]>();
  let settings: ProxySettings | undefined;
  /** Something changed that they are made of. */
  let areSettingsDue = false;
  let isComplete = false;
  const take = (input: ProxyInput): { readonly outcome: ProxyOutcome; readonly proxy: Proxy } => {
    if (input.kind === 'options') {
      ({ kubernetes } = input);
      areSettingsDue = true;
      proxy ??= createProxy(nodeName, proxyRules(kubernetes));
      return { outcome: proxy.configure(proxyRules(kubernetes)), proxy };
    }
    if (proxy === undefined) throw new Error('objects come before the configuration');
    // A Node that is gone for a moment has not moved.
    for (const { change, object } of changesOf(input.batch, 'Node'))
      if (object.name === nodeName && change !== 'deleted') {
        own = object;
        areSettingsDue = true;
      }
    for (const { change, object } of changesOf(input.batch, 'ServiceCIDR')) {
      if (change === 'deleted') cidrs.delete(object.name);
      else cidrs.set(object.name, object.cidrs);
      areSettingsDue = true;
    }
    isComplete ||= input.batch.synced;
    return { outcome: proxy.apply(input.batch), proxy };
  };
  const told = tellOnceComplete();
  return input => {
    const { outcome, proxy: taken } = take(input);
    return {
      outcome: told(outcome, taken, isComplete),
      proxy: taken,
      isComplete,
      isEligible: own?.leaving !== true,
      settings: otherSettings(),
      triggers: triggersOf(input),
    };
  };

  /** @returns undefined: as before */
  function otherSettings(): ProxySettings | undefined {
    if (!areSettingsDue || kubernetes === undefined) return undefined;
    areSettingsDue = false;
    const next = proxySettings(kubernetes, own, [...cidrs.values()].flat());
    if (isDeepStrictEqual(next, settings)) return undefined;
    settings = next;
    return next;
  }
}

/** Half a cluster may look wrong, or healthy: until all is known, what is said of services is kept back. */
function tellOnceComplete(): (outcome: ProxyOutcome, proxy: Proxy, isComplete: boolean) => ProxyOutcome {
  let kept: Map<string, readonly Problem[]> | undefined = new Map();
  return (outcome, proxy, isComplete) => {
    if (kept === undefined) return outcome;
    for (const [owner, problems] of outcome.problems) kept.set(owner, problems);
    const problems = kept;
    if (!isComplete) return { ...outcome, problems: new Map(), healthChecks: { set: new Map(), removed: new Set() } };
    kept = undefined;
    return { ...outcome, problems, healthChecks: { set: proxy.healthChecks, removed: new Set() } };
  };
}

/** Nothing was done for a slice that is gone: its annotation is of the past (as kube-proxy sees it). */
function triggersOf(input: ProxyInput): Triggers {
  const triggers = new Map<string, number[]>();
  if (input.kind === 'options') return triggers;
  for (const { change, object } of changesOf(input.batch, 'EndpointSlice')) {
    const service = serviceOfSlice(object);
    if (change === 'deleted' || object.triggeredAt === undefined || service === undefined) continue;
    const times = triggers.get(service);
    if (times === undefined) triggers.set(service, [object.triggeredAt]);
    else times.push(object.triggeredAt);
  }
  return triggers;
}
