/**
 * Who of several services has a frontend. A cluster IP is its service's alone; of services that want one port of an external
 * address the oldest has it, and of two that are equally old the first by name: the same on every node.
 */

import { isDeepStrictEqual } from 'node:util';
import type { IpText } from '../kube/objectTypes.js';
import type { Problem } from '../kube/problems.js';
import type { Frontend, FrontendKey, FrontendKind, KeyedChange, ServiceAddress } from './proxyTypes.js';

/** What one service asks for. */
export interface FrontendClaims {
  readonly createdAt: string | undefined;
  readonly frontends: readonly Frontend[];
}

export interface OwnersOutcome {
  readonly frontends: KeyedChange<FrontendKey, Frontend>;
  readonly addresses: KeyedChange<IpText, ServiceAddress>;
  /** By place: what services did not get. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

export interface FrontendOwners {
  /** Puts a service's claims in place of its former ones; undefined: it is gone. */
  claim(service: string, claims: FrontendClaims | undefined): void;
  /** Addresses that no service may have as an external one, with what they are. Given anew, they replace the former. */
  reserve(addresses: ReadonlyMap<string, string>): void;
  /** What has changed since the last call. */
  settle(): OwnersOutcome;
  readonly frontends: ReadonlyMap<FrontendKey, Frontend>;
  readonly addresses: ReadonlyMap<IpText, ServiceAddress>;
}

/** Frontends that can be in each other's way: all of an address, or one node port. */
type Place = string;

interface Claim {
  readonly service: string;
  /** Sorts by age. */
  readonly age: string;
  readonly frontend: Frontend;
}

interface State {
  readonly byService: Map<string, readonly Claim[]>;
  readonly byPlace: Map<Place, Map<string, readonly Claim[]>>;
  readonly frontends: Map<FrontendKey, Frontend>;
  readonly addresses: Map<IpText, ServiceAddress>;
  /** Frontends of a place that were handed out. */
  readonly given: Map<Place, readonly Frontend[]>;
  readonly touched: Set<Place>;
  reserved: ReadonlyMap<string, string>;
}

export function createFrontendOwners(): FrontendOwners {
  const state: State = {
    byService: new Map(),
    byPlace: new Map(),
    frontends: new Map(),
    addresses: new Map(),
    given: new Map(),
    touched: new Set(),
    reserved: new Map(),
  };
  return {
    claim: (service, claims) => claim(state, service, claims),
    reserve: addresses => {
      const differs = (address: string): boolean => state.reserved.get(address) !== addresses.get(address);
      for (const address of [...state.reserved.keys(), ...addresses.keys()])
        if (differs(address) && state.byPlace.has(address)) state.touched.add(address);
      state.reserved = addresses;
    },
    settle: () => settle(state),
    frontends: state.frontends,
    addresses: state.addresses,
  };
}

function placeOf({ address, key }: Frontend): Place {
  return address ?? key;
}

function claim({ byService, byPlace, touched }: State, service: string, claims: FrontendClaims | undefined): void {
  const own = (claims?.frontends ?? []).map(frontend => ({
    service,
    age: `${claims?.createdAt ?? ''} ${service}`,
    frontend,
  }));
  const places = groupBy(own, ({ frontend }) => placeOf(frontend));
  for (const { frontend } of byService.get(service) ?? []) {
    const place = placeOf(frontend);
    if (places.has(place)) continue;
    byPlace.get(place)?.delete(service);
    touched.add(place);
  }
  for (const [place, list] of places) {
    byPlace.set(place, (byPlace.get(place) ?? new Map<string, readonly Claim[]>()).set(service, list));
    touched.add(place);
  }
  if (own.length === 0) byService.delete(service);
  else byService.set(service, own);
}

function settle(state: State): OwnersOutcome {
  const frontends = { set: new Map<FrontendKey, Frontend>(), removed: new Set<FrontendKey>() };
  const addresses = { set: new Map<IpText, ServiceAddress>(), removed: new Set<IpText>() };
  const problems = new Map<string, readonly Problem[]>();
  for (const place of state.touched) {
    const { winners, complaints } = judge(state, place);
    const former = state.given.get(place) ?? [];
    problems.set(`frontends of ${place}`, complaints);
    for (const { key } of former) if (!winners.has(key)) remove(state.frontends, frontends.removed, key);
    for (const [key, frontend] of winners) put(state.frontends, frontends.set, key, frontend);
    const after = addressOf([...winners.values()]);
    const before = addressOf(former);
    if (after !== undefined) put(state.addresses, addresses.set, after.address, after);
    else if (before !== undefined) remove(state.addresses, addresses.removed, before.address);
    if (winners.size === 0) state.given.delete(place);
    else state.given.set(place, [...winners.values()]);
    if (state.byPlace.get(place)?.size === 0) state.byPlace.delete(place);
  }
  state.touched.clear();
  return { frontends, addresses, problems };
}

function put<K, V>(present: Map<K, V>, changed: Map<K, V>, key: K, value: V): void {
  if (isDeepStrictEqual(present.get(key), value)) return;
  present.set(key, value);
  changed.set(key, value);
}

function remove<K>(present: Map<K, unknown>, removed: Set<K>, key: K): void {
  present.delete(key);
  removed.add(key);
}

/** Node ports are at no address of a service. @param frontends of one place */
function addressOf(frontends: readonly Frontend[]): ServiceAddress | undefined {
  const [first] = frontends;
  if (first?.address === undefined) return undefined;
  const isClusterIp = frontends.some(({ kind }) => kind === 'clusterIp');
  return { address: first.address, family: first.family, isClusterIp };
}

function judge(
  { byPlace, reserved }: State,
  place: Place,
): { readonly winners: ReadonlyMap<FrontendKey, Frontend>; readonly complaints: readonly Problem[] } {
  const byService = byPlace.get(place);
  const claims = [...(byService?.values() ?? [])].flat();
  if (byService !== undefined && byService.size > 1) claims.sort((a, b) => (a.age < b.age ? -1 : 1));
  const holder = claims.find(({ frontend }) => frontend.kind === 'clusterIp')?.service;
  const winners = new Map<FrontendKey, Claim>();
  const complaints: Problem[] = [];
  for (const next of claims) {
    const { frontend, service } = next;
    const winner = winners.get(frontend.key)?.service;
    const refusal = refusalOf(next, holder, reserved.get(place)) ?? quarrel(service, winner);
    if (refusal === undefined) winners.set(frontend.key, next);
    else complaints.push(complaintOf(next, refusal));
  }
  return { winners: new Map([...winners].map(([key, { frontend }]) => [key, frontend])), complaints };
}

function complaintOf({ frontend, service }: Claim, refusal: string): Problem {
  const text = `${nameOf(frontend)} ${refusal}: it is not served`;
  return { subject: `Service ${service}`, text, reason: 'AddressConflict' };
}

/** @param holder whose cluster IP the address is @returns why a frontend cannot be, however old its service */
function refusalOf({ frontend, service }: Claim, holder: string | undefined, reserved: string | undefined) {
  if (frontend.kind === 'nodePort') return undefined;
  if (holder !== undefined && frontend.kind !== 'clusterIp' && holder !== service)
    return `is the cluster IP of Service ${holder}`;
  return reserved === undefined || frontend.kind === 'clusterIp' ? undefined : `is ${reserved}`;
}

function quarrel(service: string, winner: string | undefined): string | undefined {
  if (winner === undefined) return undefined;
  return winner === service ? 'is there twice' : `belongs to Service ${winner}, which goes before`;
}

const LABELS: Readonly<Record<FrontendKind, string>> = {
  clusterIp: 'cluster IP',
  externalIp: 'external IP',
  loadBalancer: 'load balancer IP',
  nodePort: 'node port',
};

function nameOf({ kind, family, address, protocol, port }: Frontend): string {
  const place = address === undefined ? `${port}` : `${address}, port ${port}`;
  return `${LABELS[kind]} ${place} (${protocol}, IPv${family})`;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
