/**
 * Sessions, UPDATEs, policies, next hops, options and slow readers in any order: once everything has come to rest, what
 * can be seen is what a RIB shows that was built from the outcome alone.
 */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  AUDIENCE_COUNT,
  HistoryWorld,
  isEbgp,
  MEMBERS,
  PEERS,
  POLICY_COUNT,
  type Announced,
  type Membership,
} from './historyWorld.js';

/** Histories; more with PEERAGE_HISTORIES. */
const RUNS = Number(process.env['PEERAGE_HISTORIES'] ?? 120);
const PREFIXES = 12;

const peer = fc.nat(PEERS - 1);
const member = fc.nat(MEMBERS - 1);
const prefixes = fc.uniqueArray(fc.nat(PREFIXES - 1), { minLength: 1, maxLength: 6 });
const pathId = fc.integer({ min: 1, max: 2 });
const announced: fc.Arbitrary<Announced> = fc.record({
  med: fc.nat(2),
  localPref: fc.constantFrom(100, 100, 200),
  path: fc.constantFrom([65001], [65001], [65002], [65001, 65002]),
  hop: fc.nat(3),
});
const membership: fc.Arbitrary<Membership> = fc.record({
  audience: fc.nat(AUDIENCE_COUNT - 1),
  policy: fc.nat(POLICY_COUNT - 1),
});
const just = fc.constant;

const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: just('announce' as const), peer, prefixes, announced, pathId }) },
  { weight: 3, arbitrary: fc.record({ kind: just('withdraw' as const), peer, prefixes, pathId }) },
  { weight: 1, arbitrary: fc.record({ kind: just('down' as const), peer, isGraceful: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: just('up' as const), peer }) },
  { weight: 2, arbitrary: fc.record({ kind: just('endOfRib' as const), peer }) },
  { weight: 1, arbitrary: fc.record({ kind: just('beginRefresh' as const), peer }) },
  { weight: 1, arbitrary: fc.record({ kind: just('import' as const), peer, policy: fc.nat(POLICY_COUNT - 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: just('facts' as const), peer, client: fc.boolean(), routerId: fc.nat(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: just('hop' as const), hop: fc.nat(3), reachable: fc.boolean(), metric: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: just('decision' as const), number: fc.nat(11) }) },
  { weight: 3, arbitrary: fc.record({ kind: just('group' as const), member, membership }) },
  { weight: 1, arbitrary: fc.record({ kind: just('leave' as const), member }) },
  { weight: 1, arbitrary: fc.record({ kind: just('refresh' as const), member }) },
  { weight: 2, arbitrary: fc.record({ kind: just('block' as const), member, isOpen: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: just('pump' as const), times: fc.integer({ min: 1, max: 4 }) }) },
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

interface Held {
  readonly prefix: number;
  readonly pathId: number;
  readonly announced: Announced;
  isStale: boolean;
}

/** The outcome of a history, as plain values, and the world it happens to. */
class History {
  readonly world = new HistoryWorld();
  readonly held = Array.from({ length: PEERS }, () => new Map<string, Held>());
  readonly isUp = Array.from({ length: PEERS }, () => true);
  readonly policies = new Array<number>(PEERS).fill(0);
  readonly facts = Array.from({ length: PEERS }, (_, i) => ({ client: false, routerId: i }));
  readonly hops = Array.from({ length: 4 }, () => ({ reachable: true, metric: 0 }));
  readonly groups: (Membership | undefined)[] = new Array<Membership | undefined>(MEMBERS).fill(undefined);
  decision = 0;

  constructor() {
    this.hops.forEach((hop, i) => this.world.hop(i, hop.reachable, hop.metric));
  }

  happen(event: Event): void {
    const { world } = this;
    switch (event.kind) {
      case 'announce':
      case 'withdraw':
        this.update(event.peer, event.prefixes, event.kind === 'announce' ? event.announced : undefined, event.pathId);
        return;
      case 'down':
        this.down(event.peer, event.isGraceful);
        return;
      case 'up':
        world.rib.finishSweeps(world.ids[event.peer]!);
        this.isUp[event.peer] = true;
        return;
      case 'endOfRib':
        this.endOfRib(event.peer);
        return;
      case 'beginRefresh':
        if (!this.isUp[event.peer]) return;
        world.rib.finishSweeps(world.ids[event.peer]!);
        this.markStale(event.peer);
        return;
      case 'import':
        this.policies[event.peer] = event.policy;
        world.importThrough(event.peer, event.policy);
        return;
      case 'facts':
        // ORIGINATOR_ID of what was reflected already does not follow a source that comes back with another identifier.
        this.facts[event.peer] = { client: event.client, routerId: isEbgp(event.peer) ? event.routerId : event.peer };
        world.facts(event.peer, event.client, this.facts[event.peer]!.routerId);
        return;
      case 'hop':
        this.hops[event.hop] = event;
        world.hop(event.hop, event.reachable, event.metric);
        return;
      case 'decision':
        this.decision = event.number;
        world.decision(event.number);
        return;
      case 'group':
        this.group(event.member, event.membership);
        return;
      case 'leave':
        this.leave(event.member);
        return;
      case 'refresh':
        if (this.groups[event.member] !== undefined) world.refresh(event.member, this.groups[event.member]!);
        return;
      case 'block':
        world.block(event.member, this.groups[event.member], event.isOpen);
        return;
      case 'pump':
        for (let i = 0; i < event.times; i++) world.rib.pump();
        return;
    }
  }

  /** A RIB that knows only how things are now. */
  scratch(): HistoryWorld {
    const world = new HistoryWorld();
    world.decision(this.decision);
    this.hops.forEach((hop, i) => world.hop(i, hop.reachable, hop.metric));
    this.facts.forEach(({ client, routerId }, i) => world.facts(i, client, routerId));
    this.policies.forEach((policy, i) => world.importThrough(i, policy));
    this.held.forEach((held, i) => {
      for (const { prefix, announced, pathId } of held.values()) world.receive(i, [prefix], announced, pathId);
    });
    this.groups.forEach((group, i) => {
      if (group !== undefined) world.join(i, group);
    });
    return world;
  }

  private update(peer: number, prefixes: readonly number[], announced: Announced | undefined, id: number): void {
    if (!this.isUp[peer]) return;
    const pathId = peer === PEERS - 1 ? id : 0;
    this.world.receive(peer, prefixes, announced, pathId);
    for (const prefix of prefixes) {
      const key = `${prefix} ${pathId}`;
      if (announced === undefined) this.held[peer]!.delete(key);
      else this.held[peer]!.set(key, { prefix, pathId, announced, isStale: false });
    }
  }

  private down(peer: number, isGraceful: boolean): void {
    if (!this.isUp[peer]) return;
    const { rib, ids } = this.world;
    const id = ids[peer]!;
    this.isUp[peer] = false;
    if (!isGraceful) {
      rib.sweep(0, id, 'withdraw');
      this.held[peer]!.clear();
      return;
    }
    rib.finishSweeps(id);
    for (let from = 1; from !== 0;) from = rib.families[0].sweep(id, 'withdrawStale', from);
    rib.decide();
    this.dropStale(peer);
    this.markStale(peer);
  }

  private endOfRib(peer: number): void {
    if (!this.isUp[peer]) return;
    this.world.rib.sweep(0, this.world.ids[peer]!, 'withdrawStale');
    this.dropStale(peer);
    // What follows in the same read is not stale, and no sweep minds it.
  }

  private markStale(peer: number): void {
    this.world.rib.markStale(0, this.world.ids[peer]!);
    for (const held of this.held[peer]!.values()) held.isStale = true;
  }

  private dropStale(peer: number): void {
    for (const [key, { isStale }] of this.held[peer]!) if (isStale) this.held[peer]!.delete(key);
  }

  private group(member: number, to: Membership): void {
    const from = this.groups[member];
    this.groups[member] = to;
    if (from === undefined) this.world.join(member, to);
    else if (from.audience !== to.audience || from.policy !== to.policy) this.world.regroup(member, from, to);
  }

  private leave(member: number): void {
    const from = this.groups[member];
    if (from !== undefined) this.world.leave(member, from);
    this.groups[member] = undefined;
  }
}

test('after whatever has happened, a RIB shows what one shows that was built from the outcome', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), events => {
      const history = new History();
      for (const one of events) history.happen(one);
      history.groups.forEach((group, i) => history.world.block(i, group, true));
      history.world.settle();
      const scratch = history.scratch();
      scratch.settle();
      const seen = history.world.seen();
      const expected = scratch.seen();
      // A member that is told nothing any more keeps what it was told last.
      const isTold = history.groups.map(group => group !== undefined);
      const told = (of: typeof seen): unknown => of.told.filter((_, i) => isTold[i]);
      expect([seen.best, seen.kernel, told(seen)]).toEqual([expected.best, expected.kernel, told(expected)]);
    }),
    { numRuns: RUNS },
  );
});
