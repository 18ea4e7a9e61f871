/**
 * Namespaces and pods to which address is of which tenant, incrementally: a pod costs its own addresses, a namespace that
 * changes its network costs its own pods. Addresses that are in nobody's hands are of no tenant.
 */

import { isDeepStrictEqual } from 'node:util';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import type { PodName } from '../policyTypes.js';
import { policyPod } from '../policyWorld.js';
import { NO_SPEC, tenantSpec, type TenantSpec } from './namespaceTenant.js';
import { resolveTenants, type ResolvedTenant, type TenantRules } from './resolveTenants.js';
import { CLOSED, type TenantNumber } from './tenantNumber.js';

/** Of one address. */
export interface TenantAddress {
  readonly number: TenantNumber;
  /** A pod of this node has it. */
  readonly isLocal: boolean;
}

/** Everything a data plane has to change. */
export interface TenantDelta {
  readonly set: ReadonlyMap<IpText, TenantAddress>;
  readonly removed: ReadonlySet<IpText>;
}

export interface TenantOutcome {
  readonly delta: TenantDelta;
  readonly problems: ProblemReport;
}

export interface TenantPod {
  readonly key: PodName;
  readonly namespace: string;
  readonly addresses: readonly IpText[];
  readonly isLocal: boolean;
}

/** Owns the state of the derivation; one reducer, one owner. The maps are what all deltas together come to. */
export interface TenantModel {
  apply(batch: ObjectBatch): TenantOutcome;
  configure(rules: TenantRules): TenantOutcome;
  readonly addresses: ReadonlyMap<IpText, TenantAddress>;
  /** Every namespace that is known or has pods. */
  readonly namespaces: ReadonlyMap<string, ResolvedTenant>;
  /** What known namespaces say. */
  readonly specs: ReadonlyMap<string, TenantSpec>;
  podsOf(namespace: string): Iterable<TenantPod>;
}

export function createTenantModel(nodeName: string, rules: TenantRules): TenantModel {
  return new Model(nodeName, rules);
}

class Model implements TenantModel {
  readonly addresses = new Map<IpText, TenantAddress>();
  readonly specs = new Map<string, TenantSpec>();
  namespaces: ReadonlyMap<string, ResolvedTenant> = new Map();
  private readonly pods = new Map<PodName, TenantPod>();
  private readonly byNamespace = new Map<string, Map<PodName, TenantPod>>();
  /** Who has an address. More than one: a pod's object outlives the pod for a moment. */
  private readonly claims = new Map<IpText, Set<TenantPod>>();

  constructor(
    private readonly nodeName: string,
    private rules: TenantRules,
  ) {}

  apply(batch: ObjectBatch): TenantOutcome {
    const touched = new Set<IpText>();
    const saysOther = this.takeNamespaces(batch);
    const hasOthers = this.takePods(batch, touched);
    const problems: ProblemReport = saysOther || hasOthers ? this.resolve(touched) : new Map();
    return { delta: this.settle(touched), problems };
  }

  configure(rules: TenantRules): TenantOutcome {
    this.rules = rules;
    const touched = new Set<IpText>();
    const problems = this.resolve(touched);
    return { delta: this.settle(touched), problems };
  }

  podsOf(namespace: string): Iterable<TenantPod> {
    return this.byNamespace.get(namespace)?.values() ?? [];
  }

  /** @returns whether one says something else, or is new or gone */
  private takeNamespaces(batch: ObjectBatch): boolean {
    let isOther = false;
    for (const { change, object } of changesOf(batch, 'Namespace')) {
      const { name } = object;
      const before = this.specs.get(name);
      const after = change === 'deleted' ? undefined : tenantSpec(object.annotations);
      if (after === undefined) this.specs.delete(name);
      else this.specs.set(name, after);
      isOther ||= !isDeepStrictEqual(before, after);
    }
    return isOther;
  }

  /** @param touched gets the addresses to look at again @returns whether other namespaces are to be known of */
  private takePods(batch: ObjectBatch, touched: Set<IpText>): boolean {
    let isOther = false;
    for (const { change, object } of changesOf(batch, 'Pod')) {
      const { key, namespace, addresses, node, state } = policyPod(object);
      const before = this.pods.get(key);
      const isGone = change === 'deleted' || state !== 'governed';
      const isLocal = node === this.nodeName;
      if (!isGone && before?.isLocal === isLocal && before.addresses.join() === addresses.join()) continue;
      if (before !== undefined) isOther = this.forget(before, touched) || isOther;
      if (!isGone) isOther = this.learn({ key, namespace, addresses, isLocal }, touched) || isOther;
    }
    return isOther;
  }

  private learn(pod: TenantPod, touched: Set<IpText>): boolean {
    const siblings = this.byNamespace.get(pod.namespace) ?? new Map<PodName, TenantPod>();
    this.byNamespace.set(pod.namespace, siblings.set(pod.key, pod));
    this.pods.set(pod.key, pod);
    for (const address of pod.addresses) {
      this.claims.set(address, (this.claims.get(address) ?? new Set<TenantPod>()).add(pod));
      touched.add(address);
    }
    return !this.namespaces.has(pod.namespace);
  }

  private forget(pod: TenantPod, touched: Set<IpText>): boolean {
    const siblings = this.byNamespace.get(pod.namespace);
    siblings?.delete(pod.key);
    if (siblings?.size === 0) this.byNamespace.delete(pod.namespace);
    this.pods.delete(pod.key);
    for (const address of pod.addresses) {
      const claims = this.claims.get(address);
      claims?.delete(pod);
      if (claims?.size === 0) this.claims.delete(address);
      touched.add(address);
    }
    return siblings?.size === 0 && !this.specs.has(pod.namespace);
  }

  /** Namespaces are a thousand and change seldom: all are looked at. @param touched gets addresses of those with another number */
  private resolve(touched: Set<IpText>): Map<string, readonly Problem[]> {
    const before = this.namespaces;
    const specs = new Map(this.specs);
    for (const name of this.byNamespace.keys()) if (!specs.has(name)) specs.set(name, NO_SPEC);
    this.namespaces = resolveTenants(specs, this.rules);
    const problems = new Map<string, readonly Problem[]>();
    for (const [name, { number, complaints }] of this.namespaces) {
      const old = before.get(name);
      if (old?.complaints.join() !== complaints.join() && (old !== undefined || complaints.length > 0))
        problems.set(owner(name), problemsOf(name, complaints));
      if (old?.number === number) continue;
      for (const { addresses } of this.podsOf(name)) for (const address of addresses) touched.add(address);
    }
    for (const [name, { complaints }] of before)
      if (!this.namespaces.has(name) && complaints.length > 0) problems.set(owner(name), []);
    return problems;
  }

  private settle(touched: ReadonlySet<IpText>): TenantDelta {
    const set = new Map<IpText, TenantAddress>();
    const removed = new Set<IpText>();
    for (const address of touched) {
      const before = this.addresses.get(address);
      const after = this.tenantOf(address);
      if (before?.number === after?.number && before?.isLocal === after?.isLocal) continue;
      if (after === undefined) {
        this.addresses.delete(address);
        removed.add(address);
      } else {
        this.addresses.set(address, after);
        set.set(address, after);
      }
    }
    return { set, removed };
  }

  /** Of two pods of different tenants nobody knows which one has it: it is closed until one is gone. */
  private tenantOf(address: IpText): TenantAddress | undefined {
    let found: TenantAddress | undefined;
    for (const { namespace, isLocal } of this.claims.get(address) ?? []) {
      const number = this.namespaces.get(namespace)?.number ?? CLOSED;
      if (found === undefined) found = { number, isLocal };
      else found = { number: found.number === number ? number : CLOSED, isLocal: found.isLocal || isLocal };
    }
    return found;
  }
}

function owner(namespace: string): string {
  return `tenant ${namespace}`;
}

function problemsOf(namespace: string, complaints: readonly string[]): readonly Problem[] {
  return complaints.map(text => ({ subject: `Namespace ${namespace}`, text, reason: 'InvalidAnnotation' }));
}
