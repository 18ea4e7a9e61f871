import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PeerKind } from '../../../src/bgp/peerKind.js';
import type { PeerId } from '../../../src/rib/peerTable.js';
import { Member, RibFixture } from './ribFixture.js';

const PREFIXES = 24;
const PEERS = 4;

const peer = fc.integer({ min: 0, max: PEERS - 1 });
const prefixes = fc.uniqueArray(fc.integer({ min: 0, max: PREFIXES - 1 }), { minLength: 1, maxLength: 6 });
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      peer,
      prefixes,
      med: fc.integer({ min: 1, max: 5 }),
      localPref: fc.integer({ min: 99, max: 101 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), peer, prefixes }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('pump' as const), times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('block' as const), peer }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('drain' as const), peer }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), peer }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('join' as const), peer }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refresh' as const), peer }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('down' as const), peer }) },
);

/** What `member` must hold: the best path of each prefix, unless it came from the member itself. */
function expected(fixture: RibFixture, member: PeerId): Map<number, number> {
  const [locRib] = fixture.rib.families;
  const held = new Map<number, number>();
  for (let id = 1; id < locRib.prefixes.limit; id++) {
    const best = locRib.best[id]!;
    if (best === 0 || locRib.paths.peer[best] === member) continue;
    held.set((locRib.prefixes.words[id]! >>> 8) & 0xffff, fixture.rib.attributes.med[locRib.paths.attr[best]!]!);
  }
  return held;
}

describe('UpdateGroup', () => {
  test('after any history every member holds the best paths of others, and nothing is leaked', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), steps => {
        const fixture = new RibFixture();
        const { rib } = fixture;
        const ids = Array.from({ length: PEERS }, (_, i) => fixture.peer(`p${i}`));
        const members = new Map<PeerId, Member>();
        const key = JSON.stringify({ kind: 'ibgp', clients: true, ownOnly: false });
        const join = (id: PeerId): void => {
          const member = new Member(id);
          members.set(id, member);
          fixture.join(member);
        };
        const leave = (id: PeerId): void => {
          if (members.has(id)) fixture.leave(members.get(id)!);
          members.delete(id);
        };
        for (const id of ids) join(id);
        for (const s of steps) {
          if (s.kind === 'pump') {
            for (let i = 0; i < s.times; i++) rib.pump();
            continue;
          }
          const id = ids[s.peer]!;
          const member = members.get(id);
          if (s.kind === 'announce')
            fixture.update(id, [], { prefixes: s.prefixes, med: s.med, localPref: s.localPref });
          else if (s.kind === 'withdraw') fixture.update(id, s.prefixes);
          else if (s.kind === 'down') rib.sweep(0, id, 'withdraw');
          else if (s.kind === 'leave') leave(id);
          else if (s.kind === 'refresh') rib.group(0, key)?.refresh(id);
          else if (s.kind === 'join' && member === undefined) join(id);
          else if (s.kind === 'block' && member !== undefined) member.open = false;
          else if (s.kind === 'drain' && member !== undefined) {
            member.open = true;
            rib.group(0, key)?.drained(id);
          }
        }
        for (const [id, member] of members) {
          member.open = true;
          rib.group(0, key)?.drained(id);
        }
        fixture.settle();
        for (const [id, member] of members) {
          expect(member.table).toEqual(expected(fixture, id));
          expect(member.walks).toBeGreaterThan(0);
          expect(rib.group(0, key)!.toldTo(id)).toBe(member.table.size);
        }
        // Everything withdrawn, everybody gone: no attribute set, no path and no prefix may be left.
        for (const id of ids) rib.sweep(0, id, 'withdraw');
        fixture.settle();
        for (const member of members.values()) expect(member.table.size).toBe(0);
        for (const id of ids) leave(id);
        fixture.settle();
        expect([rib.attributes.size, rib.families[0].paths.size, rib.families[0].prefixes.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 300 },
    );
  });

  test('packs prefixes with equal attributes into one UPDATE, also when they changed at different times', () => {
    const fixture = new RibFixture();
    const a = fixture.peer('p0');
    const member = new Member(fixture.peer('p1'));
    fixture.join(member);
    fixture.settle();
    for (let n = 0; n < 100; n++) fixture.update(a, [], { prefixes: [n], med: 7 });
    fixture.settle();
    expect(member.table.size).toBe(100);
    expect(member.messages).toBe(1);
  });

  test('a blocked member is sent a prefix that changed ten times once', () => {
    const fixture = new RibFixture();
    const a = fixture.peer('p0');
    const slow = new Member(fixture.peer('p1'));
    const fast = new Member(fixture.peer('p2'));
    fixture.join(slow);
    fixture.join(fast);
    fixture.settle();
    slow.open = false;
    for (let med = 0; med < 10; med++) {
      fixture.update(a, [], { prefixes: [1], med });
      fixture.settle();
    }
    const before = slow.messages;
    expect([before, fast.messages]).toEqual([1, 10]);
    slow.open = true;
    fixture.rib.group(0, JSON.stringify({ kind: 'ibgp', clients: true, ownOnly: false }))!.drained(slow.peer);
    fixture.settle();
    expect(slow.messages - before).toBe(1);
    expect(slow.table).toEqual(new Map([[1, 9]]));
  });

  test('octets that nobody has read yet are not written over, however many follow', () => {
    const fixture = new RibFixture();
    const source = fixture.peer('p0');
    const early = new Member(fixture.peer('p1'));
    const late = new Member(fixture.peer('p2'));
    fixture.join(early);
    fixture.join(late);
    fixture.settle();
    const count = 30_000; // A message each: several buffers full of them.
    for (let n = 0; n < count; n++) {
      fixture.update(source, [], { prefixes: [n], med: n });
      if (n % 1000 === 0) {
        fixture.settle();
        expect(early.table.size).toBe(n + 1);
      }
    }
    fixture.settle();
    const all = new Map(Array.from({ length: count }, (_, n) => [n, n]));
    expect(early.table).toEqual(all);
    expect(late.table).toEqual(all);
  });

  test.each([
    ['eBGP to eBGP', PeerKind.ebgp, false, 'ebgp', false, true],
    ['eBGP to iBGP', PeerKind.ebgp, false, 'ibgp', false, true],
    ['iBGP to eBGP', PeerKind.ibgp, false, 'ebgp', false, true],
    ['iBGP to iBGP (split horizon)', PeerKind.ibgp, false, 'ibgp', false, false],
    ['client to client (RFC 4456)', PeerKind.ibgp, true, 'ibgp', true, true],
    ['client to non-client', PeerKind.ibgp, true, 'ibgp', false, true],
    ['non-client to client', PeerKind.ibgp, false, 'ibgp', true, true],
  ] as const)('%s: told %s', (_name, kind, client, audience, clients, told) => {
    const fixture = new RibFixture();
    const source = fixture.peer('p0', kind, client);
    const member = new Member(fixture.peer('p1', audience === 'ebgp' ? PeerKind.ebgp : PeerKind.ibgp, clients));
    fixture.join(member, { kind: audience, clients, ownOnly: false });
    fixture.update(source, [], { prefixes: [1], med: 5, path: kind === PeerKind.ebgp ? [65001] : [] });
    fixture.settle();
    expect(member.table.has(1)).toBe(told);
  });
});
