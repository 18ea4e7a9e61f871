/** A RIB to which everything can happen that an engine lets happen to it, and what of it can be seen from outside. */

import type { PathAttribute } from '../../../src/bgp/attributes.js';
import { PeerKind } from '../../../src/bgp/peerKind.js';
import type { PolicySet } from '../../../src/bgp/policyTypes.js';
import { UpdateRecord } from '../../../src/bgp/updateRecord.js';
import { createAttributeBlocks } from '../../../src/bgp/wire/attributeBlocks.js';
import { encodeAttributes } from '../../../src/bgp/wire/attributeCodec.js';
import { Frame, nextFrame } from '../../../src/bgp/wire/frame.js';
import { createUpdateFraming } from '../../../src/bgp/wire/updateEncoder.js';
import { scanUpdate } from '../../../src/bgp/wire/updateScanner.js';
import { formatAddress, Ipv4, ipv4 } from '../../../src/core/ip.js';
import type { RibChanges } from '../../../src/rib/changes.js';
import type { ExportAudience } from '../../../src/rib/exportRules.js';
import type { PeerId } from '../../../src/rib/peerTable.js';
import { PolicyBook } from '../../../src/rib/policy/chain.js';
import type { PolicyColumns } from '../../../src/rib/policy/evaluation.js';
import { createExportFilter } from '../../../src/rib/policy/exportFilter.js';
import { createImportFilter, type ImportFilter } from '../../../src/rib/policy/importFilter.js';
import { Rib, type JoinOptions } from '../../../src/rib/rib.js';
import type { FormerGroup, MemberSink } from '../../../src/rib/updateGroup.js';
import { onePolicy } from './policy/policyWorld.js';
import { framing, prefixOctets, scanContext } from './ribFixture.js';

export const PEERS = 5;
export const MEMBERS = 3;
/** The last peer sends path identifiers. */
const ADD_PATH = PEERS - 1;
const HOPS = 4;

/** Policies by number; 0 is none. */
const POLICIES: readonly (PolicySet | undefined)[] = [
  undefined,
  onePolicy([{ match: { med: { min: 2 } }, verdict: 'reject' }], 'accept'),
  onePolicy([{ match: { med: { max: 1 } }, changes: { localPref: 150 } }], 'accept'),
  onePolicy([{ match: { asPathLength: { min: 2 } }, changes: { med: 7, addCommunities: [0xfde80001] } }], 'accept'),
];
export const POLICY_COUNT = POLICIES.length;

/** Whom an update group is for. */
const AUDIENCES: readonly ExportAudience[] = [
  { kind: 'ibgp', clients: true },
  { kind: 'ibgp', clients: false },
  { kind: 'ebgp', clients: false },
];
export const AUDIENCE_COUNT = AUDIENCES.length;

export interface Announced {
  readonly med: number;
  readonly localPref: number;
  readonly path: readonly number[];
  readonly hop: number;
}

export interface Membership {
  readonly audience: number;
  readonly policy: number;
}

/** What can be seen: best paths, what the kernel was told, what each member was told. */
export interface Seen {
  readonly best: Readonly<Record<string, string>>;
  readonly kernel: Readonly<Record<string, string>>;
  readonly told: readonly Readonly<Record<string, string>>[];
}

export class HistoryWorld {
  readonly rib: Rib;
  readonly ids: readonly PeerId[];
  private readonly kernel = new Map<string, string>();
  private readonly sets = new Map<number, string>();
  private readonly readers: readonly Reader[];
  private readonly imports: (ImportFilter | undefined)[] = [];
  private readonly blocks = createAttributeBlocks();
  private readonly record = new UpdateRecord();

  constructor() {
    this.rib = new Rib({
      routerId: 0x7f000001,
      trackNextHops: true,
      decision: decisionOf(0),
      firstCapacity: 64,
      kernel: changes => this.program(changes),
    });
    const add = (number: number): PeerId => this.rib.peers.add(factsOf(number, false, number))!;
    this.ids = Array.from({ length: PEERS }, (_, i) => add(i));
    // A member may be a source of routes too.
    this.readers = Array.from({ length: MEMBERS }, (_, i) => new Reader(this.ids[i]!));
    // Somebody always asks how they are reached, so that they are known before the first route.
    for (let hop = 0; hop < HOPS; hop++) this.rib.nextHops.retain(this.rib.nextHops.idOf4(hopOf(hop)));
  }

  receive(peer: number, prefixes: readonly number[], announced: Announced | undefined, pathId: number): void {
    const nlri = prefixes.flatMap(n => [...(peer === ADD_PATH ? [0, 0, 0, pathId] : []), ...prefixOctets(n)]);
    const attributes = announced === undefined ? new Uint8Array() : encodeAttributes(listOf(announced), WIDE);
    const gone = announced === undefined ? nlri : [];
    const body = [gone.length >> 8, gone.length & 255, ...gone, attributes.length >> 8, attributes.length & 255];
    const octets = Uint8Array.from([...body, ...attributes, ...(announced === undefined ? [] : nlri)]);
    const addPath = [peer === ADD_PATH, false] as const;
    const context = { ...scanContext(isEbgp(peer)), addPathReceive: addPath };
    const error = scanUpdate(octets, 0, octets.length, context, this.record);
    if (error !== undefined || this.record.problems.length > 0) throw new Error(this.record.problems.join());
    const filters = [this.imports[peer], undefined] as const;
    this.rib.receive(this.ids[peer]!, this.record, { addPath, allowOwnAs: 0, zone: undefined, filters });
    this.rib.decide();
  }

  importThrough(peer: number, policy: number): void {
    const chain = this.chain(policy, 'import', peer);
    const id = this.ids[peer]!;
    this.imports[peer] = createImportFilter({ chain, honorGracefulShutdown: false }, id, this.columns);
    if (this.rib.families[0].received[id]! > 0) this.rib.refilter(0, id, () => this.imports[peer]);
  }

  facts(peer: number, client: boolean, routerId: number): void {
    this.rib.setPeer(this.ids[peer]!, factsOf(peer, client, routerId));
  }

  hop(hop: number, reachable: boolean, metric: number): void {
    this.rib.setNextHops([{ address: ipv4(hopOf(hop)), reachable, metric }]);
  }

  decision(number: number): void {
    this.rib.setDecision(decisionOf(number));
  }

  join(member: number, { audience, policy }: Membership, former?: FormerGroup): void {
    const of = AUDIENCES[audience]!;
    const filter: JoinOptions['filter'] = () =>
      policy === 0
        ? undefined
        : createExportFilter(
            { chain: this.chain(policy, 'export', member), kind: of.kind, nextHopSelf: 'auto', draining: false },
            this.columns,
          );
    const options = { ...framing(of.kind), ...(policy === 0 ? {} : { medSettled: true }) };
    const reader = this.readers[member]!;
    if (former === undefined) reader.restart();
    const key = keyOf({ audience, policy });
    this.rib.join(0, key, of, () => createUpdateFraming(options), reader.peer, reader, { filter, former });
  }

  leave(member: number, from: Membership): void {
    this.rib.leave(0, keyOf(from), this.ids[member]!);
  }

  /** As the engine does when the configuration changes. */
  regroup(member: number, from: Membership, to: Membership): void {
    const former = this.rib.group(0, keyOf(from))!.formerOf(this.ids[member]!);
    this.leave(member, from);
    this.join(member, to, former);
  }

  refresh(member: number, membership: Membership): void {
    this.rib.group(0, keyOf(membership))!.refresh(this.ids[member]!);
  }

  block(member: number, membership: Membership | undefined, isOpen: boolean): void {
    this.readers[member]!.isOpen = isOpen;
    if (isOpen && membership !== undefined) this.rib.group(0, keyOf(membership))!.drained(this.ids[member]!);
  }

  settle(): void {
    for (let i = 0; this.rib.pump(); i++) if (i > 100_000) throw new Error('the RIB does not come to rest');
  }

  seen(): Seen {
    const { best, paths, prefixes } = this.rib.families[0];
    const chosen: Record<string, string> = {};
    for (let prefix = 1; prefix < prefixes.limit; prefix++) {
      const row = prefix < best.length ? best[prefix]! : 0;
      if (row !== 0) chosen[prefixes.words[prefix]!.toString(16)] = `${paths.peer[row]!} ${paths.pathIdOf(row)}`;
    }
    const told = this.readers.map(({ table }) => Object.fromEntries(table));
    return { best: chosen, kernel: Object.fromEntries(this.kernel), told };
  }

  private chain(policy: number, direction: 'import' | 'export', peer: number): ReturnType<PolicyBook['chain']> {
    const set = POLICIES[policy];
    if (set === undefined) return [];
    const peerAddress = this.rib.peers.get(this.ids[peer]!).address;
    return new PolicyBook(set).chain(['policy'], { direction, family: 0, ownAsn: 65000, peerAsn: 65001, peerAddress });
  }

  private get columns(): PolicyColumns {
    const { attributes, nextHops, peers, families } = this.rib;
    return { attributes, nextHops, peers, prefixes: families[0].prefixes, blocks: this.blocks };
  }

  private program({ family, count, addresses, nextHopSets, definitions }: RibChanges): void {
    if (family !== 0) throw new Error('no route of this family was announced');
    for (const { id, nextHops } of definitions) this.sets.set(id, nextHops.map(formatAddress).sort().join());
    for (let i = 0; i < count; i++) {
      const prefix = addresses[i]!.toString(16);
      if (nextHopSets[i] === 0) this.kernel.delete(prefix);
      else this.kernel.set(prefix, this.sets.get(nextHopSets[i]!)!);
    }
  }
}

/** Reads what a member is told: attributes and next hop by prefix. */
class Reader implements MemberSink {
  readonly table = new Map<string, string>();
  isOpen = true;
  private readonly record = new UpdateRecord();
  private readonly frame = new Frame();

  constructor(readonly peer: PeerId) {}

  /** A new session begins. */
  restart(): void {
    this.table.clear();
    this.isOpen = true;
  }

  send(octets: Uint8Array): boolean {
    for (let at = 0; at < octets.length; at = this.frame.bodyEnd) {
      if (nextFrame(octets, at, octets.length, 4096, this.frame) !== 'message') throw new Error('not a message');
      this.apply(octets);
    }
    return this.isOpen;
  }

  walked(): void {
    // End-of-RIB is the engine's part.
  }

  private apply(octets: Uint8Array): void {
    const { record, frame } = this;
    const context = { ...scanContext(false), localAsn: 1, clusterId: 0, localId: 0 };
    const error = scanUpdate(octets, frame.bodyStart, frame.bodyEnd, context, record);
    if (error !== undefined || record.problems.length > 0) throw new Error(record.problems.join());
    for (const key of keysIn(octets, record.withdrawnStart, record.withdrawnEnd)) this.table.delete(key);
    const said = `${Buffer.from(record.block.subarray(0, record.blockLength)).toString('hex')} ${record.nextHop4}`;
    for (const key of keysIn(octets, record.nlriStart, record.nlriEnd)) this.table.set(key, said);
  }
}

const WIDE = { fourOctetAs: true } as const;

/** Peers 0 and 1 are iBGP, the others eBGP. */
export const isEbgp = (peer: number): boolean => peer >= 2;

function factsOf(peer: number, client: boolean, routerId: number): Parameters<Rib['peers']['add']>[0] {
  const kind = isEbgp(peer) ? PeerKind.ebgp : PeerKind.ibgp;
  return { name: `peer${peer}`, address: ipv4(0x0a000010 + peer), kind, client, routerId: 0x0a000010 + routerId };
}

const hopOf = (hop: number): number => 0x0a000100 + hop;

function decisionOf(number: number): ConstructorParameters<typeof Rib>[0]['decision'] {
  const most = 1 + (number % 3);
  return {
    alwaysCompareMed: number % 2 === 1,
    missingMedWorst: false,
    maximumPaths: { ebgp: most, ibgp: most },
    multipathRelax: number % 5 !== 0,
  };
}

function listOf({ med, localPref, path, hop }: Announced): PathAttribute[] {
  return [
    { kind: 'origin', origin: 'igp' },
    { kind: 'asPath', segments: [{ type: 'sequence', asns: path }] },
    { kind: 'nextHop', address: Ipv4(hopOf(hop)) },
    { kind: 'med', med },
    { kind: 'localPref', localPref },
  ];
}

const keyOf = ({ audience, policy }: Membership): string => `${audience} ${policy}`;

function keysIn(octets: Uint8Array, start: number, end: number): string[] {
  const found: string[] = [];
  for (let at = start; at < end; at += 4)
    found.push(((octets[at + 1]! << 24) | (octets[at + 2]! << 16) | (octets[at + 3]! << 8)).toString(16));
  return found;
}
