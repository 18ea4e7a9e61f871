/**
 * What import policies cost: a table received through none, through one that asks for attributes, through a long prefix
 * list, and through one that changes every route; then a policy that changes while all is held.
 * Run with `node build/bench/policyBench.js [prefixes]`.
 */

import { testNextHops } from './load/addresses.js';
import type { Feed } from './workload/feed.js';
import { loadTable } from './workload/tables.js';
import { PeerKind } from '../src/bgp/peerKind.js';
import { NO_POLICIES, type PolicySet, type PolicyTerm, type PrefixRule } from '../src/bgp/policyTypes.js';
import type { ScanContext } from '../src/bgp/scanContext.js';
import { UpdateRecord } from '../src/bgp/updateRecord.js';
import { createAttributeBlocks } from '../src/bgp/wire/attributeBlocks.js';
import { parseCommunityPattern } from '../src/bgp/wire/communityPattern.js';
import { scanUpdate } from '../src/bgp/wire/updateScanner.js';
import { ipv4 } from '../src/core/ip.js';
import type { PeerId } from '../src/rib/peerTable.js';
import { PolicyBook } from '../src/rib/policy/chain.js';
import { createImportFilter, type ImportFilter } from '../src/rib/policy/importFilter.js';
import { Rib } from '../src/rib/rib.js';

const ASN = 65_000;
const ROUTER_ID = 0x0a630001;
/** Messages between two decisions, about as many as one read of a socket brings. */
const MESSAGES_PER_READ = 600;
const LIST_LENGTH = 10_000;

const SCAN: ScanContext = {
  ebgp: false,
  fourOctetAs: true,
  families: [true, true],
  addPathReceive: [false, false],
  extendedNextHop: [false, false],
  localAsn: ASN,
  remoteAsn: ASN,
  localId: ROUTER_ID,
  clusterId: ROUTER_ID,
  enforceFirstAs: true,
};

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
  readonly rib = new Rib({
    routerId: ROUTER_ID,
    trackNextHops: false,
    decision: {
      alwaysCompareMed: false,
      missingMedWorst: false,
      maximumPaths: { ebgp: 1, ibgp: 1 },
      multipathRelax: false,
    },
  });
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
    const subject = { direction: 'import', family: 0, ownAsn: ASN, peerAsn: ASN, peerAddress: ipv4(1) } as const;
    const chain = set === undefined ? [] : new PolicyBook(set).chain(['policy'], subject);
    this.filter = createImportFilter({ chain, honorGracefulShutdown: false }, this.peer, columns);
  }

  receive(feed: Feed): void {
    const record = new UpdateRecord();
    const context = {
      addPath: [false, false],
      allowOwnAs: 0,
      zone: undefined,
      filters: [this.filter, undefined],
    } as const;
    let count = 0;
    for (let at = 0; at < feed.octets.length;) {
      const end = at + feed.octets.readUInt16BE(at + 16);
      if (scanUpdate(feed.octets, at + 19, end, SCAN, record) !== undefined) throw new Error('the feed is malformed');
      this.rib.receive(this.peer, record, context);
      if (++count % MESSAGES_PER_READ === 0) this.rib.decide();
      at = end;
    }
    this.rib.decide();
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
