import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { formatConfigErrors } from '../../../../src/app/config/configError.js';
import { located } from '../../../../src/app/config/configFile.js';
import { toEngineConfig } from '../../../../src/app/config/engineConfig.js';
import { parseConfig } from '../../../../src/app/config/parseConfig.js';
import { SpeakerConfig } from '../../../../src/app/config/schema.js';
import { parsePrefix } from '../../../../src/core/ip.js';
import type { EngineConfig } from '../../../../src/engine/engineTypes.js';
import { PolicyBook } from '../../../../src/rib/policy/chain.js';

const ROUTER = 'router: { asn: 65000, id: 10.0.0.1 }\n';

function load(text: string): EngineConfig | string {
  const source = text.includes('router:') ? text : ROUTER + text;
  const parsed = parseConfig(source, 'test.yaml', SpeakerConfig);
  if (!parsed.ok) return formatConfigErrors(parsed.error);
  const engine = toEngineConfig(parsed.value.value, false);
  if (engine.ok) return engine.value;
  return formatConfigErrors(engine.error.map(error => located(error, 'test.yaml', parsed.value.locate)));
}

function engineOf(text: string): EngineConfig {
  const engine = load(text);
  if (typeof engine === 'string') throw new Error(engine);
  return engine;
}

function errorsOf(text: string): string {
  const engine = load(text);
  return typeof engine === 'string' ? engine : '';
}

function prefix(text: string): object {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

describe('policies', () => {
  test('come to plain data: names as they are, what stands in a term under its own text', () => {
    const { policies } = engineOf(`
prefixLists: { pods: [10.244.0.0/16 le 24, deny 10.0.0.0/8 le 32, { prefix: 0.0.0.0/0, ge: 8 }] }
asPaths: { customers: "^65010$" }
communitySets: { ours: ["65000:*", no-export] }
policies:
  all:
    terms:
      - name: first
        match:
          prefixes: [pods, 192.0.2.0/24]
          asPath: customers
          communities: { any: ours, none: ["65000:1:*"] }
          nextHop: pods
          origin: [igp, egp]
          med: 5
          localPref: { min: 10 }
          asPathLength: { max: 3 }
          family: ipv4-unicast
          source: ebgp
          peer: tor-1
          tag: [pod, clusterIp]
        set:
          localPref: 7
          med: none
          addMed: -3
          prepend: { asn: 65009, count: 2 }
          removeCommunities: ours
          communities: ["65000:9"]
          addCommunities: ["65000:1", "65000:1:2", "rt:65000:1"]
          nextHop: 10.0.0.9
        then: next
      - { set: { prepend: 2, communities: [], nextHop: peer }, then: accept }
    otherwise: reject
`);
    expect(policies?.prefixLists).toEqual({
      pods: [
        { prefix: prefix('10.244.0.0/16'), le: 24, action: 'permit' },
        { prefix: prefix('10.0.0.0/8'), le: 32, action: 'deny' },
        { prefix: prefix('0.0.0.0/0'), ge: 8, action: 'permit' },
      ],
      '192.0.2.0/24': [{ prefix: prefix('192.0.2.0/24'), action: 'permit' }],
    });
    expect(Object.keys(policies?.communitySets ?? {})).toEqual(['ours', '65000:1:*']);
    expect(policies?.policies['all']).toEqual({
      otherwise: 'reject',
      terms: [
        {
          name: 'term first',
          match: {
            prefixes: ['pods', '192.0.2.0/24'],
            asPaths: ['customers'],
            communities: { any: ['ours'], none: ['65000:1:*'] },
            nextHops: ['pods'],
            origins: ['igp', 'egp'],
            med: { min: 5, max: 5 },
            localPref: { min: 10 },
            asPathLength: { max: 3 },
            families: ['ipv4-unicast'],
            sources: ['ebgp'],
            peers: ['tor-1'],
            tags: ['pod', 'clusterIp'],
          },
          changes: {
            localPref: 7,
            med: null,
            addMed: -3,
            prepend: { asn: 65009, count: 2 },
            removeCommunities: ['ours'],
            setCommunities: [0xfde80009],
            addCommunities: [0xfde80001],
            addLargeCommunities: [[65000, 1, 2]],
            addExtendedCommunities: [[0x0002fde8, 1]],
            nextHop: { version: 4, value: 0x0a000009 },
          },
          verdict: 'next',
        },
        {
          name: 'term 2',
          match: {},
          changes: { prepend: { count: 2 }, setCommunities: [], setLargeCommunities: [], nextHop: 'peer' },
          verdict: 'accept',
        },
      ],
    });
    expect(structuredClone(policies)).toEqual(policies);
    expect(JSON.parse(JSON.stringify(policies))).toEqual(policies);
  });

  test("are given to peers, whose own list takes the place of their group's", () => {
    const { peers } = engineOf(`
policies: { a: {}, b: {} }
router: { asn: 65000, id: 10.0.0.1, requirePolicy: true }
peerGroups: { g: { import: [a, b], export: a, maxPrefixes: 8 } }
peers:
  - { name: x, address: 10.0.0.2, asn: 65001, group: g }
  - { name: y, address: 10.0.0.3, asn: 65001, group: g, import: b, requirePolicy: false, honorGracefulShutdown: false }
`);
    expect(peers.map(({ routing }) => routing)).toMatchObject([
      { importPolicy: ['a', 'b'], exportPolicy: ['a'], requirePolicy: true, honorGracefulShutdown: true },
      { importPolicy: ['b'], exportPolicy: ['a'], requirePolicy: false, honorGracefulShutdown: false },
    ]);
    const limit = { limit: 8, warnAt: 6, action: 'restart', restartAfter: 300 };
    expect(peers[0]?.routing.maxPrefixes).toEqual({ 'ipv4-unicast': limit, 'ipv6-unicast': limit });
  });

  test.each([
    [
      '{ limit: 10, warnAt: 3, action: idle }',
      'ipv4-unicast',
      { limit: 10, warnAt: 3, action: 'idle', restartAfter: 300 },
    ],
    ['{ ipv6-unicast: { limit: 4 } }', 'ipv4-unicast', undefined],
    ['{ ipv6-unicast: { limit: 4 } }', 'ipv6-unicast', { limit: 4, warnAt: 3, action: 'restart', restartAfter: 300 }],
  ] as const)('maxPrefixes: %s for %s', (text, family, expected) => {
    const { peers } = engineOf(`peers: [{ name: x, address: 10.0.0.2, asn: 65001, maxPrefixes: ${text} }]\n`);
    expect(peers[0]?.routing.maxPrefixes?.[family]).toEqual(expected);
  });

  test('networks have tags, and may be aggregates', () => {
    const { networks } = engineOf(`
networks:
  - { prefix: 10.96.0.0/12, aggregate: summaryOnly }
  - { prefix: 10.0.0.0/8, aggregate: withSpecifics }
  - { prefix: 10.96.0.10/32, tag: clusterIp, keepSpecific: true }
`);
    expect(networks).toMatchObject([
      { aggregate: { summaryOnly: true } },
      { aggregate: { summaryOnly: false } },
      { tag: 'clusterIp', keepSpecific: true },
    ]);
  });
});

describe('mistakes', () => {
  const inTerm = (term: string): string => `
prefixLists: { default-route: [0.0.0.0/0] }
policies:
  from-tor:
    terms:
      - { name: good, then: next }
      - ${term}
`;
  test.each([
    [
      inTerm('{ name: bad, match: { prefixes: defaultroute }, then: accept }'),
      'test.yaml:8:31: policies.from-tor.terms[1].match.prefixes: there is no prefix list "defaultroute"; did you mean "default-route"? (policy from-tor, term bad)',
    ],
    [inTerm('{ match: { asPath: transit }, then: accept }'), 'there is no AS path "transit" (policy from-tor, term 2)'],
    [inTerm('{ match: { asPath: "(65000" }, then: accept }'), '"(65000": ends where ")" should stand'],
    [inTerm('{ match: { communities: [ours] }, then: accept }'), 'there is no community set "ours"'],
    [inTerm('{ match: { communities: { all: "65000" } }, then: accept }'), '"65000" is not a community'],
    [inTerm('{ match: { prefixes: 10.0.0.1/8 }, then: accept }'), 'did you mean 10.0.0.0/8?'],
    [
      inTerm('{ set: { removeCommunities: x }, then: accept }'),
      'terms[1].set.removeCommunities: there is no community set "x"',
    ],
    [inTerm('{ set: { communities: ["rt:65000:1"] }, then: accept }'), 'extended communities can be added and removed'],
    [inTerm('{ set: { localpref: 1 }, then: accept }'), 'unknown key; did you mean "localPref"?'],
    [inTerm('{ set: { nextHop: me }, then: accept }'), 'policies.from-tor.terms[1].set.nextHop'],
    [inTerm('{ set: { addCommunities: [65000] }, then: accept }'), 'policies.from-tor.terms[1].set.addCommunities[0]'],
    [inTerm('{ match: {} }'), 'policies.from-tor.terms[1].then: must be one of accept, reject, next'],
    [inTerm('{ match: { med: { min: 3, max: 2 } }, then: accept }'), 'min is greater than max'],
    [inTerm('{ name: good, then: accept }'), 'terms[1].name: "good" is the name of terms[0] too'],
    ['prefixLists: { a: [10.0.0.0/8 le 4] }\n', 'prefixLists.a[0]: 10.0.0.0/8: le 4 is less than 8'],
    ['prefixLists: { a: [10.0.0.0/8 ge 33] }\n', 'ge and le are at most 32'],
    ['prefixLists: { a: [10.0.0.0/8 up 12] }\n', 'is not PREFIX, PREFIX ge 16'],
    [
      'prefixLists: { a: [{ prefix: 10.0.0.0/8, ge: 4 }] }\n',
      'prefixLists.a[0]: 10.0.0.0/8: ge 4 is shorter than the prefix',
    ],
    ['prefixLists: { 10-net: [10.0.0.0/8] }\n', 'a name begins with a letter'],
    ['asPaths: { a: "65000 (" }\n', 'asPaths.a'],
    ['communitySets: { a: ["65536:1"] }\n', 'communitySets.a[0]: "65536:1" is not a community'],
    [
      'policies: { in: {} }\npeers: [{ name: x, address: 10.0.0.2, asn: 65001, import: inn }]\n',
      'peers[0].import: there is no policy "inn"; did you mean "in"?',
    ],
    [
      'policies: { in: { terms: [{ set: { nextHop: self }, then: accept }] } }\npeers: [{ name: x, address: 10.0.0.2, asn: 65001, import: in }]\n',
      'peers[0].import: policy in sets nextHop to self, which is for export only',
    ],
  ])('%s', (text, expected) => {
    expect(errorsOf(text)).toContain(expected);
  });
});

test('every example in docs/policy.md is a configuration, and its policies compile', () => {
  const text = readFileSync('docs/policy.md', 'utf8');
  const examples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(match => match[1]!);
  expect(examples.length).toBeGreaterThan(4);
  for (const example of examples) {
    const { policies } = engineOf(example);
    const book = new PolicyBook(policies!);
    for (const name of Object.keys(policies!.policies)) {
      for (const family of [0, 1] as const) {
        const peerAddress = { version: 4, value: 0x0a000002 } as never;
        expect(book.chain([name], { direction: 'export', family, ownAsn: 1, peerAsn: 2, peerAddress })).toBeDefined();
      }
    }
  }
});
