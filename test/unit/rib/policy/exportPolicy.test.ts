import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PeerKind } from '../../../../src/bgp/peerKind.js';
import { NETWORK_TAGS, type PolicySet, type PolicyTerm } from '../../../../src/bgp/policyTypes.js';
import { createUpdateFraming } from '../../../../src/bgp/wire/updateEncoder.js';
import { ipv4 } from '../../../../src/core/ip.js';
import { PathFlag, TAG_SHIFT } from '../../../../src/rib/pathTable.js';
import { LOCAL_PEER } from '../../../../src/rib/peerTable.js';
import { PolicyBook } from '../../../../src/rib/policy/chain.js';
import { createExportFilter } from '../../../../src/rib/policy/exportFilter.js';
import { framing, LOCAL_AS, Member } from '../ribFixture.js';
import { attributesOf, onePolicy, policies, PolicyWorld, prefix, term } from './policyWorld.js';

const AUDIENCE = { kind: 'ibgp', clients: true } as const;
const low = { prefixLists: { low: [{ prefix: prefix('10.0.0.0/22'), le: 24, action: 'permit' as const }] } };
const inLow: PolicyTerm['match'] = { prefixes: ['low'] };

/** Policies, and what becomes of the MED of a prefix; undefined: it is not told. */
const POLICIES: readonly (readonly [PolicySet | undefined, (number: number, med: number) => number | undefined])[] = [
  [undefined, (_number, med): number => med],
  [onePolicy([], 'reject'), (): undefined => undefined],
  [onePolicy([{ changes: { addMed: 100 } }]), (_number, med): number => med + 100],
  [
    policies({
      ...low,
      policies: { policy: { terms: [term({ match: inLow, verdict: 'reject' })], otherwise: 'accept' } },
    }),
    (number, med): number | undefined => (number < 4 ? undefined : med),
  ],
  [
    policies({
      ...low,
      policies: {
        policy: {
          terms: [
            term({ name: 'a', match: inLow, changes: { addMed: 1 }, verdict: 'next' }),
            term({ name: 'b', match: { med: { min: 2 } }, changes: { addMed: 10 } }),
          ],
          otherwise: 'accept',
        },
      },
    }),
    (number, med): number => {
      const first = number < 4 ? med + 1 : med;
      return first >= 2 ? first + 10 : first;
    },
  ],
];

class ExportWorld extends PolicyWorld {
  private readonly groups = new Map<Member, number>();

  /** Puts a member into the group with this policy; one that is in another goes over. */
  enter(member: Member, index: number): void {
    const before = this.groups.get(member);
    const former = before === undefined ? undefined : this.rib.group(0, String(before))?.formerOf(member.peer);
    if (before !== undefined) this.rib.leave(0, String(before), member.peer);
    const set = POLICIES[index]![0];
    const subject = {
      direction: 'export',
      family: 0,
      ownAsn: LOCAL_AS,
      peerAsn: LOCAL_AS,
      peerAddress: ipv4(1),
    } as const;
    const chain = set === undefined ? [] : new PolicyBook(set).chain(['policy'], subject);
    const rules = { chain, kind: 'ibgp', nextHopSelf: 'auto', draining: false } as const;
    const filter =
      set === undefined
        ? undefined
        : (): ReturnType<typeof createExportFilter> => createExportFilter(rules, this.columns);
    this.rib.join(0, String(index), AUDIENCE, () => createUpdateFraming(framing('ibgp')), member.peer, member, {
      filter,
      former,
    });
    this.groups.set(member, index);
  }

  leaveAll(): void {
    for (const [member, index] of this.groups) this.rib.leave(0, String(index), member.peer);
    this.groups.clear();
  }
}

describe('export policies', () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 4 });
  const operation = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('announce' as const), numbers, med: fc.integer({ min: 0, max: 3 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), numbers }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('move' as const),
        member: fc.integer({ min: 0, max: 1 }),
        policy: fc.integer({ min: 0, max: POLICIES.length - 1 }),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: 'pump' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('block' as const), member: fc.integer({ min: 0, max: 1 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('open' as const), member: fc.integer({ min: 0, max: 1 }) }) },
  );

  test('members hold what their present policy tells, whatever groups they were in; nothing is leaked', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), operations => {
        const world = new ExportWorld();
        const source = world.peer('p1', PeerKind.ebgp);
        const members = [new Member(world.peer('p2', PeerKind.ibgp)), new Member(world.peer('p3', PeerKind.ibgp))];
        const policy = [0, 0];
        for (const member of members) world.enter(member, 0);
        const told = new Map<number, number>();
        const open = (i: number): void => {
          members[i]!.open = true;
          world.rib.group(0, String(policy[i]!))!.drained(members[i]!.peer);
        };
        for (const op of operations) {
          switch (op.kind) {
            case 'announce':
              world.announce(source, op.numbers, attributesOf([65001], { kind: 'med', med: op.med }));
              for (const n of op.numbers) told.set(n, op.med);
              break;
            case 'withdraw':
              world.withdraw(source, op.numbers);
              for (const n of op.numbers) told.delete(n);
              break;
            case 'move':
              if (policy[op.member] === op.policy) break;
              policy[op.member] = op.policy;
              world.enter(members[op.member]!, op.policy);
              break;
            case 'pump':
              world.rib.pump();
              break;
            case 'block':
              members[op.member]!.open = false;
              break;
            case 'open':
              open(op.member);
              break;
          }
        }
        members.forEach((_, i) => open(i));
        world.fixture.settle();
        for (const [i, member] of members.entries()) {
          const expected = [...told].flatMap(([n, med]) => {
            const out = POLICIES[policy[i]!]![1](n, med);
            return out === undefined ? [] : [[n, out] as const];
          });
          expect(new Map([...member.table].sort(([a], [b]) => a - b))).toEqual(
            new Map(expected.sort(([a], [b]) => a - b)),
          );
        }
        world.leaveAll();
        world.expectReferencesToAddUp();
        world.rib.sweep(0, source, 'withdraw');
        world.fixture.settle();
        expect(world.rib.attributes.size).toBe(0);
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  test('a suppressed network of our own is best, and told to nobody', () => {
    const world = new ExportWorld();
    const member = new Member(world.peer('p2', PeerKind.ibgp));
    world.enter(member, 0);
    const source = world.peer('p1');
    world.announce(source, [1], attributesOf([65001], { kind: 'med', med: 5 }));
    const [rib] = world.rib.families;
    const row = world.row(source, 1);
    const id = rib.paths.prefix[row]! as Parameters<typeof rib.announce>[0];
    const attr = rib.paths.attr[row]! as Parameters<typeof rib.announce>[3];
    const tag = NETWORK_TAGS.indexOf('clusterIp') << TAG_SHIFT;
    rib.announce(id, LOCAL_PEER, 0, attr, PathFlag.suppressed | tag);
    world.rib.decide();
    world.fixture.settle();
    expect(rib.paths.peer[rib.best[id]!]).toBe(LOCAL_PEER);
    expect(member.table.size).toBe(0);
    rib.announce(id, LOCAL_PEER, 0, attr, tag);
    world.rib.decide();
    world.fixture.settle();
    expect(member.table).toEqual(new Map([[1, 5]]));
  });
});
