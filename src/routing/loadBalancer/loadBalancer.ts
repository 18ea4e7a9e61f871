/** Services to the load-balancer addresses they shall have, for whoever writes their status: one reducer, one owner. */

import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from '../../core/ip.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { IpText, Service } from '../../kube/objectTypes.js';
import type { Problem } from '../../kube/problems.js';
import { allocate, type Allocation } from './allocate.js';
import { claimantOf, type Claimant } from './claimants.js';
import type { LoadBalancerOptions } from './pools.js';

/** The status that a service shall have. */
export interface WantedStatus {
  readonly namespace: string;
  readonly name: string;
  /** Texts of addresses; none: the service has to give back what it holds. */
  readonly ips: readonly string[];
  /** What it held when this was decided. */
  readonly before: readonly string[];
  /** The service is none of ours (any more): to be done only if the address was given by us. */
  readonly onlyOurs: boolean;
}

export interface LoadBalancerOutcome {
  /** Services whose status is another than it shall be, keyed by `namespace/name`. Complete: what is not in it is well. */
  readonly due: ReadonlyMap<string, WantedStatus>;
  /** By owner, as in kube/problems. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

export interface LoadBalancer {
  apply(batch: ObjectBatch): LoadBalancerOutcome;
  configure(options: LoadBalancerOptions): LoadBalancerOutcome;
  /** Whether it is on us to give addresses out. Nobody else has to work them out; at first nobody leads. */
  lead(isLeading: boolean): LoadBalancerOutcome;
}

interface State {
  options: LoadBalancerOptions;
  isLeading: boolean;
  /** Something that addresses hang on has changed since they were worked out. */
  isDue: boolean;
  /** Kept for other options. Of type LoadBalancer only. */
  readonly services: Map<string, Service>;
  readonly claimants: Map<string, Claimant>;
  allocations: ReadonlyMap<string, Allocation>;
  problems: ReadonlyMap<string, readonly Problem[]>;
}

export function createLoadBalancer(options: LoadBalancerOptions): LoadBalancer {
  const state: State = {
    options,
    isLeading: false,
    isDue: true,
    services: new Map(),
    claimants: new Map(),
    allocations: new Map(),
    problems: new Map(),
  };
  return {
    apply: batch => {
      const changed = changesOf(batch, 'Service').map(({ change, object }) =>
        takeIn(state, object, change !== 'deleted'),
      );
      return settle(state, changed.includes(true));
    },
    configure: next => {
      if (isDeepStrictEqual(next, state.options)) return settle(state, false);
      state.options = next;
      for (const service of state.services.values()) takeIn(state, service, true);
      return settle(state, true);
    },
    lead: isLeading => {
      state.isLeading = isLeading;
      return settle(state, false);
    },
  };
}

/** @returns whether it says anything else now */
function takeIn({ services, claimants, options }: State, service: Service, exists: boolean): boolean {
  const name = `${service.namespace}/${service.name}`;
  const claimant = exists ? claimantOf(service, options) : undefined;
  const former = claimants.get(name);
  const isSame = claimant !== undefined && isDeepStrictEqual(claimant, former);
  const isNobodys = claimant === undefined && former === undefined && service.type !== 'LoadBalancer';
  if (exists && service.type === 'LoadBalancer') services.set(name, service);
  else services.delete(name);
  if (claimant === undefined) claimants.delete(name);
  else claimants.set(name, claimant);
  return !isSame && !isNobodys;
}

function settle(state: State, isDue: boolean): LoadBalancerOutcome {
  state.isDue ||= isDue;
  if (!state.isLeading) return { due: new Map(), problems: problemsOf(state, new Map()) };
  if (state.isDue) state.allocations = allocate([...state.claimants.values()], addressesOfOthers(state));
  state.isDue = false;
  const due = [...state.services].flatMap(([name, service]) => {
    const wanted = wantedOf(state, name, service);
    return wanted === undefined ? [] : [[name, wanted] as const];
  });
  return { due: new Map(due), problems: problemsOf(state, state.allocations) };
}

/** @returns undefined: its status is as it shall be */
function wantedOf({ allocations, options }: State, name: string, service: Service): WantedStatus | undefined {
  const allocation = allocations.get(name);
  const ips = allocation?.addresses.map(formatAddress) ?? [];
  const before = heldBy(service);
  if (isDeepStrictEqual(ips, before) || options.pools.length === 0) return undefined;
  return { namespace: service.namespace, name: service.name, ips, before, onlyOurs: allocation === undefined };
}

function addressesOfOthers({ services, claimants }: State): ReadonlySet<string> {
  const others = [...services].filter(([name]) => !claimants.has(name)).map(([, service]) => service);
  return new Set(others.flatMap(heldBy));
}

function heldBy({ loadBalancerIngress }: Service): readonly IpText[] {
  return loadBalancerIngress.map(({ ip }) => ip);
}

/** Those of services that are gone are reported as none. */
function problemsOf(
  state: State,
  allocations: ReadonlyMap<string, Allocation>,
): ReadonlyMap<string, readonly Problem[]> {
  const found = new Map<string, readonly Problem[]>();
  for (const owner of state.problems.keys()) found.set(owner, []);
  const standing = new Map<string, readonly Problem[]>();
  for (const [name, { complaints }] of allocations) {
    if (complaints.length === 0) continue;
    standing.set(
      `load balancer ${name}`,
      complaints.map(text => ({ subject: `Service ${name}`, text })),
    );
  }
  state.problems = standing;
  return new Map([...found, ...standing]);
}
