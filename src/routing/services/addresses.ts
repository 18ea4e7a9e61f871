/** Addresses that services claim, counted: one that several claim is announced as long as one of them wants it. */

import { isDeepStrictEqual } from 'node:util';
import type { Problem } from '../../kube/problems.js';
import type { KeyedDelta, NetworkIntent } from '../intent.js';
import type { NetworkAttributes } from '../routingOptions.js';
import type { Candidate } from './candidates.js';

export interface Claim {
  readonly candidate: Candidate;
  readonly attributes: NetworkAttributes;
  readonly createdAt: string | undefined;
}

export interface AddressOutcome {
  readonly delta: KeyedDelta<NetworkIntent>;
  /** By address: services that want one address announced in different ways. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

export interface ServiceAddresses {
  /** Puts a service's claims in place of its former ones. @param claims keyed by prefix text; none: the service is gone */
  claim(service: string, claims: ReadonlyMap<string, Claim>): void;
  /** What has changed since the last call. */
  settle(): AddressOutcome;
  networks(): ReadonlyMap<string, NetworkIntent>;
}

export function createServiceAddresses(): ServiceAddresses {
  const byService = new Map<string, ReadonlyMap<string, Claim>>();
  const byAddress = new Map<string, Map<string, Claim>>();
  const networks = new Map<string, NetworkIntent>();
  const touched = new Set<string>();
  return {
    claim: (service, claims) => {
      for (const key of byService.get(service)?.keys() ?? []) {
        if (claims.has(key)) continue;
        byAddress.get(key)?.delete(service);
        touched.add(key);
      }
      for (const [key, claim] of claims) {
        const claimants = byAddress.get(key) ?? new Map<string, Claim>();
        byAddress.set(key, claimants.set(service, claim));
        touched.add(key);
      }
      if (claims.size === 0) byService.delete(service);
      else byService.set(service, claims);
    },
    settle: () => {
      const set = new Map<string, NetworkIntent>();
      const removed = new Set<string>();
      const problems = new Map<string, readonly Problem[]>();
      for (const key of touched) {
        const claimants = inOrder(byAddress.get(key) ?? new Map<string, Claim>());
        const network = merged(claimants);
        problems.set(`address ${key}`, quarrels(key, claimants));
        if (isDeepStrictEqual(networks.get(key), network)) continue;
        if (network === undefined) {
          removed.add(key);
          networks.delete(key);
          byAddress.delete(key);
        } else {
          set.set(key, network);
          networks.set(key, network);
        }
      }
      touched.clear();
      return { delta: { set, removed }, problems };
    },
    networks: () => networks,
  };
}

type Claimant = readonly [string, Claim];

/** The oldest first; of two that are equally old, the first by name: the same on every node. */
function inOrder(claimants: ReadonlyMap<string, Claim>): readonly Claimant[] {
  const age = ([name, { createdAt }]: Claimant): string => `${createdAt ?? ''} ${name}`;
  return [...claimants].sort((a, b) => (age(a) < age(b) ? -1 : 1));
}

function merged(claimants: readonly Claimant[]): NetworkIntent | undefined {
  const [first] = claimants;
  if (first === undefined) return undefined;
  const { candidate, attributes } = first[1];
  const isLocal = claimants.every(([, claim]) => claim.candidate.local);
  return {
    ...attributes,
    prefix: candidate.prefix,
    tag: candidate.tag,
    // Behind an aggregate, traffic would come to nodes that have no endpoint.
    ...(isLocal ? { keepSpecific: true } : {}),
  };
}

function quarrels(key: string, [first, ...others]: readonly Claimant[]): readonly Problem[] {
  if (first === undefined) return [];
  const [winner, { attributes }] = first;
  return others
    .filter(([, claim]) => !isDeepStrictEqual(claim.attributes, attributes))
    .map(([name]) => ({
      subject: `Service ${name}`,
      text: `wants ${key} announced with other attributes than Service ${winner}, which is older and decides`,
    }));
}
