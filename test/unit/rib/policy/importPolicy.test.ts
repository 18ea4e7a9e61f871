import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAsPath } from '../../../../src/bgp/asPathExpression.js';
import type { PathAttribute } from '../../../../src/bgp/attributes.js';
import { PeerKind } from '../../../../src/bgp/peerKind.js';
import type { PolicySet, PolicyTerm } from '../../../../src/bgp/policyTypes.js';
import { parseCommunityPattern } from '../../../../src/bgp/wire/communityPattern.js';
import { ipv4 } from '../../../../src/core/ip.js';
import { attributesOf, onePolicy, policies, PolicyWorld, prefix, term } from './policyWorld.js';

const COMMUNITY = { kind: 'communities', communities: [0xfde80001] } as const;
const GRACEFUL_SHUTDOWN = { kind: 'communities', communities: [0xffff0000] } as const;

function path(text: string): PolicySet['asPaths'][string][number] {
  const parsed = parseAsPath(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function pattern(text: string): PolicySet['communitySets'][string][number] {
  const parsed = parseCommunityPattern(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** What becomes of a route of AS 65001 with path 65001 64999, MED 10 and these further attributes. */
function outcome(set: PolicySet, ...others: readonly PathAttribute[]): ReturnType<PolicyWorld['path']> {
  const world = new PolicyWorld();
  const peer = world.peer('p1');
  world.importThrough(peer, set);
  world.announce(peer, [1], attributesOf([65001, 64999], { kind: 'med', med: 10 }, ...others));
  world.expectReferencesToAddUp();
  return world.path(peer, 1);
}

describe('a match', () => {
  const lists: Partial<PolicySet> = {
    prefixLists: {
      ours: [{ prefix: prefix('10.0.0.0/8'), le: 24, action: 'permit' }],
      others: [{ prefix: prefix('172.16.0.0/12'), le: 32, action: 'permit' }],
      hops: [{ prefix: prefix('10.0.0.1/32'), action: 'permit' }],
    },
    asPaths: { direct: [path('^65001$')], via: [path('^65001 .* 64999$')] },
    communitySets: { one: [pattern('65000:1')], two: [pattern('65000:2')] },
  };

  test.each<[string, PolicyTerm['match'], boolean]>([
    ['nothing asked', {}, true],
    ['family', { families: ['ipv4-unicast'] }, true],
    ['other family', { families: ['ipv6-unicast'] }, false],
    ['prefixes', { prefixes: ['ours'] }, true],
    ['other prefixes', { prefixes: ['others'] }, false],
    ['one of two lists', { prefixes: ['others', 'ours'] }, true],
    ['next hop', { nextHops: ['hops'] }, true],
    ['other next hop', { nextHops: ['others'] }, false],
    ['AS path', { asPaths: ['via'] }, true],
    ['other AS path', { asPaths: ['direct'] }, false],
    ['one of two AS paths', { asPaths: ['direct', 'via'] }, true],
    ['community', { communities: { any: ['two', 'one'] } }, true],
    ['all communities', { communities: { all: ['two', 'one'] } }, false],
    ['no community', { communities: { none: ['two'] } }, true],
    ['not this community', { communities: { any: ['one'], none: ['one'] } }, false],
    ['origin', { origins: ['igp'] }, true],
    ['other origin', { origins: ['egp', 'incomplete'] }, false],
    ['MED', { med: { min: 10, max: 10 } }, true],
    ['other MED', { med: { min: 11 } }, false],
    ['default LOCAL_PREF', { localPref: { min: 100, max: 100 } }, true],
    ['length of the path', { asPathLength: { max: 2 } }, true],
    ['other length of the path', { asPathLength: { max: 1 } }, false],
    ['source', { sources: ['ebgp'] }, true],
    ['other source', { sources: ['own', 'ibgp'] }, false],
    ['peer', { peers: ['p1'] }, true],
    ['other peer', { peers: ['p2'] }, false],
    ['tag', { tags: ['pod'] }, false],
    ['all together', { prefixes: ['ours'], asPaths: ['via'], sources: ['ebgp'] }, true],
    ['all but one', { prefixes: ['ours'], asPaths: ['via'], sources: ['ibgp'] }, false],
  ])('%s', (_name, match, expected) => {
    const set = policies({
      ...lists,
      policies: { policy: { terms: [term({ match, verdict: 'reject' })], otherwise: 'accept' } },
    });
    expect(outcome(set, COMMUNITY) === 'rejected').toBe(expected);
  });
});

describe('changes', () => {
  const sets = { communitySets: { ours: [pattern('65000:*'), pattern('65000:*:*'), pattern('rt:65000:*')] } };
  const changes = (change: PolicyTerm['changes']): PolicySet =>
    policies({ ...sets, policies: { policy: { terms: [term({ changes: change })], otherwise: 'next' } } });

  test.each<[string, PolicyTerm['changes'], object]>([
    ['LOCAL_PREF', { localPref: 250 }, { localPref: { kind: 'localPref', localPref: 250 } }],
    ['MED', { med: 7 }, { med: { kind: 'med', med: 7 } }],
    ['no MED', { med: null }, { med: undefined }],
    ['more MED', { addMed: 5 }, { med: { kind: 'med', med: 15 } }],
    ['less MED than there is', { addMed: -50 }, { med: { kind: 'med', med: 0 } }],
    ['more MED than there can be', { addMed: 0xffff_ffff }, { med: { kind: 'med', med: 0xffff_ffff } }],
    ['MED anew and more', { med: 1, addMed: 5 }, { med: { kind: 'med', med: 6 } }],
    [
      'prepending the peer',
      { prepend: { count: 2 } },
      { asPath: { kind: 'asPath', segments: [{ type: 'sequence', asns: [65001, 65001, 65001, 64999] }] } },
    ],
    [
      'prepending another AS',
      { prepend: { asn: 7, count: 1 } },
      { asPath: { kind: 'asPath', segments: [{ type: 'sequence', asns: [7, 65001, 64999] }] } },
    ],
    [
      'one more community',
      { addCommunities: [5, 0xfde80001] },
      { communities: { kind: 'communities', communities: [0xfde80001, 5] } },
    ],
    [
      'communities in place of all',
      { setCommunities: [5] },
      { communities: { kind: 'communities', communities: [5] } },
    ],
    ['no communities', { setCommunities: [] }, { communities: undefined }],
    [
      'removing by set',
      { removeCommunities: ['ours'] },
      { communities: undefined, largeCommunities: undefined, extendedCommunities: undefined },
    ],
    [
      'removing and adding',
      {
        removeCommunities: ['ours'],
        addCommunities: [9],
        addLargeCommunities: [[1, 2, 3]],
        addExtendedCommunities: [[2, 7]],
      },
      {
        communities: { kind: 'communities', communities: [9] },
        largeCommunities: { kind: 'largeCommunities', communities: [[1, 2, 3]] },
        extendedCommunities: { kind: 'extendedCommunities', communities: [0x0000_0002_0000_0007n] },
      },
    ],
    [
      'large communities in place of all',
      { setLargeCommunities: [[9, 9, 9]] },
      { largeCommunities: { kind: 'largeCommunities', communities: [[9, 9, 9]] } },
    ],
  ])('%s', (_name, change, expected) => {
    const large = { kind: 'largeCommunities', communities: [[65000, 1, 2]] } as const;
    const extended = { kind: 'extendedCommunities', communities: [0x0002_fde8_0000_0001n] } as const;
    const seen = outcome(changes(change), COMMUNITY, large, extended);
    for (const [kind, value] of Object.entries(expected)) {
      expect(typeof seen === 'object' ? seen[kind as PathAttribute['kind']] : seen).toEqual(value);
    }
  });

  test('of the next hop reach the next-hop column', () => {
    const world = new PolicyWorld();
    const peer = world.peer('p1');
    world.importThrough(peer, changes({ nextHop: 'peer' }));
    world.announce(peer, [1], attributesOf([65001]));
    const attr = world.rib.families[0].paths.attr[world.row(peer, 1)]!;
    expect(world.rib.nextHops.address(world.rib.attributes.nextHop[attr] as never)).toEqual(world.address(peer));
    world.importThrough(peer, changes({ nextHop: ipv4(0x0a0a0a0a) }));
    world.fixture.settle();
    const later = world.rib.families[0].paths.attr[world.row(peer, 1)]!;
    expect(world.rib.nextHops.address(world.rib.attributes.nextHop[later] as never)).toEqual(ipv4(0x0a0a0a0a));
  });

  test('a full segment is not made longer than it can be', () => {
    const world = new PolicyWorld();
    const peer = world.peer('p1');
    world.importThrough(peer, changes({ prepend: { asn: 7, count: 3 } }));
    world.announce(peer, [1], attributesOf(Array.from({ length: 254 }, () => 65001)));
    expect(world.path(peer, 1)).toMatchObject({
      asPath: { segments: [{ type: 'sequence', asns: [7, 7, 7] }, { type: 'sequence' }] },
    });
  });
});

describe('terms and policies', () => {
  test('the first term that decides is the last that is looked at', () => {
    const set = onePolicy([
      { changes: { localPref: 1 }, match: { sources: ['ibgp'] } },
      { changes: { localPref: 2 } },
      { changes: { localPref: 3 } },
    ]);
    expect(outcome(set)).toMatchObject({ localPref: { localPref: 2 } });
  });

  test('a term that says next lets the following see what it changed', () => {
    const set = onePolicy([
      { changes: { localPref: 50, med: 5 }, verdict: 'next' },
      { match: { localPref: { max: 50 } }, changes: { addMed: 1 }, verdict: 'next' },
      { match: { med: { min: 6, max: 6 } }, verdict: 'reject' },
    ]);
    expect(outcome(set)).toBe('rejected');
  });

  test.each([
    ['accept', false],
    ['reject', true],
    ['next', false],
  ] as const)('a route that no term decides: %s', (otherwise, isRejected) => {
    expect(outcome(onePolicy([{ match: { sources: ['own'] } }], otherwise)) === 'rejected').toBe(isRejected);
  });
});

describe('the Adj-RIB-In', () => {
  const reject = onePolicy([], 'reject');
  const prefer = onePolicy([{ changes: { localPref: 200 } }]);

  test('a policy that changes is applied to what is held, there and back, without asking the peer', () => {
    const world = new PolicyWorld();
    const peer = world.peer('p1');
    world.announce(peer, [1, 2], attributesOf([65001]));
    const received = world.path(peer, 1);
    for (const [set, expected] of [
      [reject, 'rejected'],
      [prefer, { localPref: { localPref: 200 } }],
      [reject, 'rejected'],
      [undefined, received],
      [prefer, { localPref: { localPref: 200 } }],
      [undefined, received],
    ] as const) {
      world.importThrough(peer, set);
      world.fixture.settle();
      if (typeof expected === 'string') expect(world.path(peer, 1)).toBe(expected);
      else expect(world.path(peer, 1)).toMatchObject(expected as object);
      expect(world.rib.families[0].best[1] === 0).toBe(expected === 'rejected');
      world.expectReferencesToAddUp();
    }
    expect(world.rib.attributes.size).toBe(1);
  });

  test('what is rejected counts as received, and is found again once it is withdrawn', () => {
    const world = new PolicyWorld();
    const peer = world.peer('p1');
    world.importThrough(peer, reject);
    world.announce(peer, [1, 2], attributesOf([65001]));
    expect(world.rib.families[0].received[peer]).toBe(2);
    world.withdraw(peer, [1, 2]);
    world.fixture.settle();
    expect(world.rib.attributes.size).toBe(0);
  });

  test('a peer without a policy of its own is not touched by that of another', () => {
    const world = new PolicyWorld();
    const [a, b] = [world.peer('p1'), world.peer('p2')];
    world.importThrough(a, prefer);
    for (const peer of [a, b]) world.announce(peer, [1], attributesOf([65001]));
    expect(world.path(a, 1)).toMatchObject({ localPref: { localPref: 200 } });
    expect(world.path(b, 1)).not.toHaveProperty('localPref');
    expect(world.rib.families[0].best[1]).toBe(world.row(a, 1));
  });
});

describe('GRACEFUL_SHUTDOWN (RFC 8326)', () => {
  test('lowers what the policy preferred, and is over when the community is gone', () => {
    const world = new PolicyWorld();
    const peer = world.peer('p1', PeerKind.ebgp);
    world.importThrough(peer, onePolicy([{ changes: { localPref: 300 } }]), true);
    world.announce(peer, [1], attributesOf([65001], GRACEFUL_SHUTDOWN));
    expect(world.path(peer, 1)).toMatchObject({ localPref: { localPref: 0 } });
    world.announce(peer, [1], attributesOf([65001]));
    expect(world.path(peer, 1)).toMatchObject({ localPref: { localPref: 300 } });
    world.expectReferencesToAddUp();
  });

  test('needs no policy, and leaves other routes alone', () => {
    const world = new PolicyWorld();
    const peer = world.peer('p1');
    world.importThrough(peer, undefined, true);
    world.announce(peer, [1], attributesOf([65001], GRACEFUL_SHUTDOWN));
    world.announce(peer, [2], attributesOf([65001]));
    expect(world.path(peer, 1)).toMatchObject({ localPref: { localPref: 0 } });
    expect(world.path(peer, 2)).not.toHaveProperty('localPref');
    world.announce(peer, [1], attributesOf([65001]));
    expect(world.path(peer, 1)).not.toHaveProperty('localPref');
    world.expectReferencesToAddUp();
  });
});

describe('whatever happens', () => {
  const inList: PolicyTerm['match'] = { prefixes: ['low'] };
  const lists = { prefixLists: { low: [{ prefix: prefix('10.0.0.0/22'), le: 24, action: 'permit' as const }] } };
  const sets: readonly (PolicySet | undefined)[] = [
    undefined,
    onePolicy([], 'reject'),
    onePolicy([{ changes: { localPref: 200 } }]),
    policies({
      ...lists,
      policies: {
        policy: {
          terms: [
            term({ name: 'a', match: inList, changes: { med: 3 }, verdict: 'next' }),
            term({ name: 'b', match: { med: { max: 3 } }, changes: { addCommunities: [7] } }),
            term({ name: 'c', match: inList, verdict: 'reject' }),
          ],
          otherwise: 'accept',
        },
      },
    }),
    policies({ ...lists, policies: { policy: { terms: [term({ match: inList })], otherwise: 'reject' } } }),
  ];
  const variants: readonly (readonly PathAttribute[])[] = [
    attributesOf([65001]),
    attributesOf([65001], { kind: 'med', med: 1 }),
    attributesOf([65001], { kind: 'med', med: 3 }, { kind: 'communities', communities: [7] }),
    attributesOf([65001], GRACEFUL_SHUTDOWN),
  ];
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 4 });
  const peers = fc.integer({ min: 0, max: 1 });
  const operation = fc.oneof(
    fc.record({
      kind: fc.constant('announce' as const),
      peer: peers,
      numbers,
      variant: fc.integer({ min: 0, max: 3 }),
    }),
    fc.record({ kind: fc.constant('withdraw' as const), peer: peers, numbers }),
    fc.record({
      kind: fc.constant('policy' as const),
      peer: peers,
      set: fc.integer({ min: 0, max: 4 }),
      gshut: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('pump' as const) }),
    fc.record({ kind: fc.constant('stale' as const), peer: peers }),
    fc.record({ kind: fc.constant('lost' as const), peer: peers }),
  );

  /** What a route comes to under a policy, from a RIB of its own that knew the policy from the start. */
  function expected(set: number, gshut: boolean, variant: number, number: number): ReturnType<PolicyWorld['path']> {
    const world = new PolicyWorld();
    const peer = world.peer('p1');
    world.importThrough(peer, sets[set], gshut);
    world.announce(peer, [number], variants[variant]!);
    return world.path(peer, number);
  }
  const remembered = new Map<string, ReturnType<PolicyWorld['path']>>();
  function oracle(set: number, gshut: boolean, variant: number, number: number): ReturnType<PolicyWorld['path']> {
    const key = [set, gshut, variant, number].join();
    if (!remembered.has(key)) remembered.set(key, expected(set, gshut, variant, number));
    return remembered.get(key);
  }

  test('references add up, and every path is what its peer said, through the policy in force', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), operations => {
        const world = new PolicyWorld();
        const ids = [world.peer('p1'), world.peer('p2')];
        const policy = [0, 0];
        const gshut = [false, false];
        const told = [new Map<number, number>(), new Map<number, number>()];
        for (const op of operations) {
          switch (op.kind) {
            case 'announce':
              world.announce(ids[op.peer]!, op.numbers, variants[op.variant]!);
              for (const n of op.numbers) told[op.peer]!.set(n, op.variant);
              break;
            case 'withdraw':
              world.withdraw(ids[op.peer]!, op.numbers);
              for (const n of op.numbers) told[op.peer]!.delete(n);
              break;
            case 'policy':
              policy[op.peer] = op.set;
              gshut[op.peer] = op.gshut;
              world.importThrough(ids[op.peer]!, sets[op.set], op.gshut);
              break;
            case 'pump':
              world.rib.pump();
              break;
            case 'stale':
              world.rib.markStale(0, ids[op.peer]!);
              break;
            case 'lost':
              world.rib.sweep(0, ids[op.peer]!, 'withdraw');
              world.rib.finishSweeps(ids[op.peer]!);
              told[op.peer]!.clear();
              break;
          }
        }
        world.fixture.settle();
        for (const [i, table] of told.entries()) {
          for (let n = 0; n < 8; n++) {
            const variant = table.get(n);
            const wanted = variant === undefined ? undefined : oracle(policy[i]!, gshut[i]!, variant, n);
            expect(world.path(ids[i]!, n)).toEqual(wanted);
          }
        }
        world.expectReferencesToAddUp();
        for (const id of ids) world.rib.sweep(0, id, 'withdraw');
        world.fixture.settle();
        expect(world.rib.attributes.size).toBe(0);
        expect(Array.from(world.rib.families[0].stale).every(count => count === 0)).toBe(true);
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});
