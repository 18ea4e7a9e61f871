/**
 * What import policies cost: a table received through none, through one that asks for attributes, through a long prefix
 * list, and through one that changes every route; then a policy that changes while all is held.
 * Run with `node build/bench/policyBench.js [prefixes]`.
 */

import { testNextHops } from './load/addresses.js';
import type { Feed } from './workload/feed.js';
import { LOCAL_ASN, newRib, receive } from './workload/inProcess.js';
import { loadTable } from './workload/tables.js';
import { PeerKind } from '../src/bgp/peerKind.js';
import { NO_POLICIES, type PolicySet, type PolicyTerm, type PrefixRule } from '../src/bgp/policyTypes.js';
import { createAttributeBlocks } from '../src/bgp/wire/attributeBlocks.js';
import { parseCommunityPattern } from '../src/bgp/wire/communityPattern.js';
import { ipv4 } from '../src/core/ip.js';
import type { PeerId } from '../src/rib/peerTable.js';
import { PolicyBook } from '../src/rib/policy/chain.js';
import { createImportFilter, type ImportFilter } from '../src/rib/policy/importFilter.js';

const LIST_LENGTH = 10_000;

function policy(term: Partial<PolicyTerm>, others: Partial<PolicySet> = {}): PolicySet {
  const whole: PolicyTerm = { name: 'term', match: {}, changes: {}, verdict: 'accept', ...term };
  return { ...NO_POLICIES, ...others, policies: { policy: { terms: [whole], otherwise: 'accept' } } };
}

function manyPrefixes(): PrefixRule[] {
  return Array.from({ length: LIST_LENGTH }, (_, i) => ({
    prefix: { address: ipv4(0x0b000000 + i * 0x1000), length: 20 },
    le: 24,
    action: 'permit' as const,
  }));
}

function policies(): readonly (readonly [string, PolicySet | undefined])[] {
  const community = parseCommunityPattern('65001:*');
  if (!community.ok) throw new Error(community.error);
  return [
    ['none', undefined],
    ['communities', policy({ match: { communities: { any: ['c'] } } }, { communitySets: { c: [community.value] } })],
    [
      '10,000 prefixes',
      policy({ match: { prefixes: ['p'] }, verdict: 'reject' }, { prefixLists: { p: manyPrefixes() } }),
    ],
    ['LOCAL_PREF of all', policy({ changes: { localPref: 200 } })],
  ];
}

class World {
  readonly rib = newRib();
  readonly peer: PeerId;
  private filter: ImportFilter | undefined;

  constructor() {
    const facts = { name: 'feeder', address: ipv4(1), kind: PeerKind.ibgp, client: false, routerId: 1 };
    const peer = this.rib.peers.add(facts);
    if (peer === undefined) throw new Error('no room for a peer');
    this.peer = peer;
  }

  use(set: PolicySet | undefined): void {
    const { attributes, nextHops, peers, families } = this.rib;
    const columns = { attributes, nextHops, peers, prefixes: families[0].prefixes, blocks: createAttributeBlocks() };
    const subject = {
      direction: 'import',
      family: 0,
      ownAsn: LOCAL_ASN,
      peerAsn: LOCAL_ASN,
      peerAddress: ipv4(1),
    } as const;
    const chain = set === undefined ? [] : new PolicyBook(set).chain(['policy'], subject);
    this.filter = createImportFilter({ chain, honorGracefulShutdown: false }, this.peer, columns);
  }

  receive(feed: Feed): void {
    receive(this.rib, this.peer, feed, [this.filter, undefined]);
  }

  /** Puts what is held through another policy. */
  change(set: PolicySet | undefined): void {
    this.use(set);
    this.rib.refilter(0, this.peer, () => this.filter);
    while (this.rib.pump());
  }
}

function timed(stage: string, size: number, work: () => void): void {
  const cpu = process.cpuUsage();
  work();
  const used = process.cpuUsage(cpu);
  const ms = (used.user + used.system) / 1000;
  process.stdout.write(
    `${stage.padEnd(40)}${ms.toFixed(0).padStart(7)} ms CPU${((ms * 1e6) / size).toFixed(0).padStart(7)} ns a prefix\n`,
  );
}

const size = Number(process.argv[2] ?? '1000000');
const feed = loadTable({ kind: 'generated', family: 'ipv4-unicast', size }).feed('first', testNextHops);
new World().receive(feed);
for (const [name, set] of policies()) {
  const world = new World();
  world.use(set);
  timed(`receive through: ${name}`, size, () => world.receive(feed));
  timed('  from there to none', size, () => world.change(undefined));
  timed('  and back', size, () => world.change(set));
}
