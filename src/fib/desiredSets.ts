/** The RIB's next-hop sets, each with the kernel's next hops it comes down to as long as routes use it. */

import type { FamilyIndex } from '../bgp/families.js';
import { formatAddress, type IpAddress } from '../core/ip.js';
import type { RouteHop } from '../kernel/routes.js';
import type { NextHopSet } from '../rib/changes.js';
import type { NextHopAnswer, NextHopResolver } from './nextHopResolver.js';
import { NO_ROUTE, type NextHopTable, type RouteTerms } from './nextHopTable.js';

interface DesiredSet {
  nextHops: readonly IpAddress[];
  /** Routes that want it. */
  users: number;
  /** Its next hops are watched and `kernel` is up to date. */
  active: boolean;
  /** Sets of the kernel by family; {@link NO_ROUTE} while no next hop is reachable. */
  readonly kernel: [number, number];
}

export class DesiredSets {
  private readonly sets: (DesiredSet | undefined)[] = [];
  /** Active sets by the next hops they have. */
  private readonly byAddress = new Map<string, Set<number>>();
  private idle: number[] = [];

  /** @param onChanged told which sets now come down to other next hops than before */
  constructor(
    private readonly resolver: NextHopResolver,
    private readonly kernelSets: NextHopTable,
    private readonly onChanged: (ids: ReadonlySet<number>) => void,
  ) {
    resolver.subscribe(answers => this.answersChanged(answers));
  }

  /** A new set, or another meaning of a known id. */
  define({ id, nextHops }: NextHopSet): void {
    const set = this.sets[id];
    if (set === undefined) {
      this.sets[id] = { nextHops, users: 0, active: false, kernel: [NO_ROUTE, NO_ROUTE] };
      return;
    }
    const wasActive = set.active;
    if (wasActive) this.unwatch(id, set);
    set.nextHops = nextHops;
    if (!wasActive) return;
    this.watch(id, set);
    if (this.refresh(set)) this.onChanged(new Set([id]));
  }

  /** A route begins to want the set. @throws Error when the set was never defined: the RIB's mistake */
  hold(id: number): void {
    const set = this.setOf(id);
    set.users += 1;
    if (set.active) return;
    this.watch(id, set);
    this.refresh(set);
  }

  release(id: number): void {
    const set = this.setOf(id);
    set.users -= 1;
    if (set.users === 0) this.idle.push(id);
  }

  /** Stops watching for sets that no route wants any more. */
  collect(): void {
    for (const id of this.idle) {
      const set = this.sets[id];
      if (set === undefined || set.users > 0 || !set.active) continue;
      this.unwatch(id, set);
      this.assign(set, [NO_ROUTE, NO_ROUTE]);
    }
    this.idle = [];
  }

  /** The kernel's set for routes of the family that want this one; {@link NO_ROUTE} while it is unresolved. */
  kernelSet(id: number, family: FamilyIndex): number {
    return this.sets[id]!.kernel[family];
  }

  nextHops(id: number): readonly IpAddress[] {
    return this.setOf(id).nextHops;
  }

  /** Why the set leads nowhere, for people. */
  reason(id: number, family: FamilyIndex): string {
    const reasons = this.setOf(id).nextHops.map(nextHop => {
      const answer = this.resolver.resolve(nextHop);
      const reason =
        answer.reason ?? (fits(family, answer) ? 'reachable' : 'an IPv6 route cannot have an IPv4 gateway');
      return `next hop ${formatAddress(nextHop)}: ${reason}`;
    });
    return reasons.join('; ');
  }

  private setOf(id: number): DesiredSet {
    const set = this.sets[id];
    if (set === undefined) throw new Error(`next-hop set ${id} stands in a change batch but was never defined`);
    return set;
  }

  private watch(id: number, set: DesiredSet): void {
    set.active = true;
    for (const nextHop of set.nextHops) {
      this.resolver.watch(nextHop);
      const key = formatAddress(nextHop);
      const users = this.byAddress.get(key);
      if (users === undefined) this.byAddress.set(key, new Set([id]));
      else users.add(id);
    }
  }

  private unwatch(id: number, set: DesiredSet): void {
    set.active = false;
    for (const nextHop of set.nextHops) {
      this.resolver.unwatch(nextHop);
      const key = formatAddress(nextHop);
      const users = this.byAddress.get(key);
      users?.delete(id);
      if (users?.size === 0) this.byAddress.delete(key);
    }
  }

  private answersChanged(answers: readonly NextHopAnswer[]): void {
    const affected = new Set(answers.flatMap(({ address }) => [...(this.byAddress.get(formatAddress(address)) ?? [])]));
    for (const id of affected) if (!this.refresh(this.setOf(id))) affected.delete(id);
    if (affected.size > 0) this.onChanged(affected);
  }

  /** @returns whether it comes down to something else now */
  private refresh(set: DesiredSet): boolean {
    const answers = set.nextHops.map(nextHop => this.resolver.resolve(nextHop));
    const setFor = (family: FamilyIndex): number => {
      const fitting = answers.filter(answer => fits(family, answer));
      return this.kernelSets.intern(distinct(fitting.flatMap(({ hops }) => hops)), termsOf(family, fitting));
    };
    return this.assign(set, [setFor(0), setFor(1)]);
  }

  private assign(set: DesiredSet, kernel: readonly [number, number]): boolean {
    const [v4, v6] = set.kernel;
    for (const id of kernel) this.kernelSets.hold(id);
    for (const id of set.kernel) this.kernelSets.release(id);
    [set.kernel[0], set.kernel[1]] = kernel;
    return v4 !== kernel[0] || v6 !== kernel[1];
  }
}

/** IPv4 routes may lead through IPv6 gateways (RFC 8950), not the other way round. */
function fits(family: FamilyIndex, answer: NextHopAnswer): boolean {
  return family === 0 || answer.hops.every(({ gateway }) => gateway?.version !== 4);
}

/** A route has one source and one MTU for all its hops: the smallest that any of them can take. */
function termsOf(family: FamilyIndex, answers: readonly NextHopAnswer[]): RouteTerms | undefined {
  const terms = answers.flatMap(answer => answer.terms ?? []);
  const [first] = terms;
  if (first === undefined) return undefined;
  const mtus = terms.flatMap(({ mtu }) => mtu ?? []);
  return {
    source: family === 0 ? first.source.v4 : first.source.v6,
    mtu: mtus.length === 0 ? null : Math.min(...mtus),
  };
}

/** Two next hops behind the same gateway are one way out. */
function distinct(hops: readonly RouteHop[]): readonly RouteHop[] {
  const byWay = new Map<string, RouteHop>();
  for (const hop of hops) {
    const gateway = hop.gateway === null ? '' : formatAddress(hop.gateway);
    byWay.set(`${gateway}%${hop.ifindex}`, { ...hop, weight: 1 });
  }
  return [...byWay.values()];
}
