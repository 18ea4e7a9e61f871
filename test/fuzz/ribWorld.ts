/** A RIB with peers of every kind, a plain model of what they announced, and members that read what they are told. */

import { NotificationError } from '../../src/bgp/notification.js';
import { PeerKind } from '../../src/bgp/peerKind.js';
import type { ScanContext } from '../../src/bgp/scanContext.js';
import { UpdateRecord } from '../../src/bgp/updateRecord.js';
import { Frame, nextFrame } from '../../src/bgp/wire/frame.js';
import { decodeNlri, nlriAddress } from '../../src/bgp/wire/nlri.js';
import type { Nlri } from '../../src/bgp/messages.js';
import { createUpdateFraming } from '../../src/bgp/wire/updateEncoder.js';
import { scanUpdate } from '../../src/bgp/wire/updateScanner.js';
import { ipv4, parseAddress, type IpAddress } from '../../src/core/ip.js';
import type { ExportAudience } from '../../src/rib/exportRules.js';
import type { PeerId } from '../../src/rib/peerTable.js';
import { Rib } from '../../src/rib/rib.js';
import type { MemberSink } from '../../src/rib/updateGroup.js';
import { EBGP, IBGP } from '../vectors/updates.js';
import { expectThat } from './checks.js';

const ROUTER_ID = 0x0a0000fe;

const ipv6 = (text: string): IpAddress => {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
};

/** A name for a prefix that costs less than its text. */
function nameOf(nlri: Nlri, family: 0 | 1): string {
  const address = nlriAddress(nlri, family);
  return `${address.version === 4 ? address.value : address.words.join(':')}/${nlri.length}`;
}

/** How each peer of the world speaks. */
export const SESSIONS: readonly ScanContext[] = [
  IBGP,
  { ...EBGP, enforceFirstAs: false },
  { ...EBGP, enforceFirstAs: false, fourOctetAs: false, remoteAsn: 65002 },
  { ...IBGP, addPathReceive: [true, true] },
];

/** Whom the update groups are for, and how their members read. */
const GROUPS: readonly { readonly audience: ExportAudience; readonly reads: ScanContext }[] = [
  { audience: { kind: 'ibgp', clients: true }, reads: IBGP },
  { audience: { kind: 'ebgp', clients: false }, reads: { ...EBGP, remoteAsn: 65000, localAsn: 65001 } },
  {
    audience: { kind: 'ebgp', clients: false },
    reads: { ...EBGP, remoteAsn: 65000, localAsn: 65002, fourOctetAs: false },
  },
];

export class RibWorld {
  readonly rib = new Rib({
    routerId: ROUTER_ID,
    firstCapacity: 64,
    trackNextHops: false,
    decision: {
      alwaysCompareMed: false,
      missingMedWorst: false,
      maximumPaths: { ebgp: 2, ibgp: 2 },
      multipathRelax: true,
    },
    kernel: batch => {
      expectThat(batch.count <= batch.lengths.length, 'a kernel batch longer than its columns');
    },
  });
  private readonly peers: readonly PeerId[];
  private readonly members: readonly Reader[];
  /** By family, peer, prefix and path identifier. */
  private readonly held = [new Set<string>(), new Set<string>()] as const;
  private readonly record = new UpdateRecord();

  constructor() {
    this.peers = SESSIONS.map((session, i) => this.addPeer(`peer ${i}`, session.ebgp, i));
    this.members = ([0, 1] as const).flatMap(family => GROUPS.map((group, i) => this.addMember(family, group, i)));
  }

  /** Scans a body and gives it to the RIB, and to the model. */
  update(peer: number, body: Uint8Array): void {
    const context = SESSIONS[peer]!;
    const { record } = this;
    if (scanUpdate(body, 0, body.length, context, record) !== undefined) return;
    const receive = { addPath: context.addPathReceive, allowOwnAs: 0, zone: 'eth0' };
    this.rib.receive(this.peers[peer]!, record, receive);
    const announce = record.verdict === 'accept';
    this.model(peer, 0, record.withdrawnStart, record.withdrawnEnd, false);
    this.model(peer, record.mpUnreachFamily, record.mpUnreachStart, record.mpUnreachEnd, false);
    this.model(peer, 0, record.nlriStart, record.nlriEnd, announce);
    this.model(peer, record.mpReachFamily, record.mpReachStart, record.mpReachEnd, announce);
  }

  /** The session of a peer ends. */
  down(peer: number): void {
    for (const family of [0, 1] as const) {
      this.rib.sweep(family, this.peers[peer]!, 'withdraw');
      for (const key of this.held[family]) if (key.startsWith(`${peer} `)) this.held[family].delete(key);
    }
    this.rib.finishSweeps(this.peers[peer]!);
  }

  block(member: number, open: boolean): void {
    const reader = this.members[member % this.members.length]!;
    reader.open = open;
    if (open) this.rib.group(reader.family, reader.key)?.drained(reader.peer);
  }

  /** Lets everything come to rest and compares what is held and told with the model. */
  check(): void {
    this.rib.decide();
    for (let i = 0; i < this.members.length; i++) this.block(i, true);
    for (let i = 0; this.rib.pump(); i++) expectThat(i < 10_000, 'the RIB does not come to rest');
    for (const family of [0, 1] as const) {
      const rib = this.rib.families[family];
      expectThat(
        rib.paths.size === this.held[family].size,
        `${rib.paths.size} paths, the model has ${this.held[family].size}`,
      );
      const prefixes = new Set([...this.held[family]].map(key => key.split(' ')[1])).size;
      expectThat(rib.prefixes.size === prefixes, `${rib.prefixes.size} prefixes, the model has ${prefixes}`);
    }
    for (const reader of this.members) {
      const told = this.rib.group(reader.family, reader.key)!.toldTo(reader.peer);
      expectThat(told === reader.table.size, `${reader.key}: holds ${reader.table.size} prefixes and was told ${told}`);
    }
  }

  /** Everybody leaves: nothing may be left over. */
  end(): void {
    for (let peer = 0; peer < SESSIONS.length; peer++) this.down(peer);
    this.check();
    for (const reader of this.members) {
      expectThat(reader.table.size === 0, `${reader.key}: still holds ${[...reader.table].join(', ')}`);
      this.rib.leave(reader.family, reader.key, reader.peer);
    }
    while (this.rib.pump());
    expectThat(this.rib.attributes.size === 0, `${this.rib.attributes.size} sets of attributes are left`);
  }

  private model(peer: number, family: number, start: number, end: number, announce: boolean): void {
    if (family < 0 || start === end) return;
    const index = family === 0 ? 0 : 1;
    for (const nlri of decodeNlri(this.record.octets, start, end, SESSIONS[peer]!.addPathReceive[index])) {
      const key = `${peer} ${nameOf(nlri, index)} ${nlri.pathId ?? 0}`;
      if (announce) this.held[index].add(key);
      else this.held[index].delete(key);
    }
  }

  private addPeer(name: string, ebgp: boolean, number: number): PeerId {
    const kind = ebgp ? PeerKind.ebgp : PeerKind.ibgp;
    const facts = { name, address: ipv4(0x0a000010 + number), kind, client: !ebgp, routerId: 0x0a000010 + number };
    const id = this.rib.peers.add(facts);
    if (id === undefined) throw new Error('no room for a peer');
    return id;
  }

  private addMember(family: 0 | 1, group: (typeof GROUPS)[number], number: number): Reader {
    const peer = this.addPeer(`member ${family}/${number}`, group.reads.ebgp, 20 + 10 * family + number);
    const reader = new Reader(family, `group ${number}`, peer, group.reads);
    const framing = (): ReturnType<typeof createUpdateFraming> =>
      createUpdateFraming({
        family,
        kind: group.audience.kind,
        localAsn: 65000,
        clusterId: ROUTER_ID,
        fourOctetAs: group.reads.fourOctetAs,
        nextHopSelf: 'auto',
        self4: ipv4(0x0a0000fe),
        self6: ipv6('2001:db8::fe'),
        selfLinkLocal: undefined,
        extendedNextHop: false,
        addPath: false,
        maxMessage: 4096,
      });
    this.rib.join(family, reader.key, group.audience, framing, peer, reader);
    return reader;
  }
}

/** Reads what a member is told as a peer would: every octet of it must be beyond reproach. */
class Reader implements MemberSink {
  readonly table = new Set<string>();
  open = true;
  private readonly record = new UpdateRecord();
  private readonly frame = new Frame();

  constructor(
    readonly family: 0 | 1,
    readonly key: string,
    readonly peer: PeerId,
    private readonly context: ScanContext,
  ) {}

  send(octets: Uint8Array, messages: number): boolean {
    let seen = 0;
    for (let at = 0; at < octets.length; at = this.frame.bodyEnd) {
      const result = nextFrame(octets, at, octets.length, 4096, this.frame);
      expectThat(result === 'message', `${this.key}: ${result instanceof NotificationError ? result.message : result}`);
      this.apply(octets);
      seen++;
    }
    expectThat(seen === messages, `${seen} messages, announced as ${messages}`);
    return this.open;
  }

  walked(): void {
    // End-of-RIB is the engine's part.
  }

  private apply(octets: Uint8Array): void {
    const { record, frame, family } = this;
    const error = scanUpdate(octets, frame.bodyStart, frame.bodyEnd, this.context, record);
    expectThat(error === undefined, `${this.key}: told ${error?.message ?? ''}`);
    expectThat(record.problems.length === 0, `${this.key}: told ${record.problems.join(', ')}`);
    const gone = [
      [record.withdrawnStart, record.withdrawnEnd],
      [record.mpUnreachStart, record.mpUnreachEnd],
    ] as const;
    for (const [start, end] of gone)
      for (const n of decodeNlri(octets, start, end, false)) this.table.delete(nameOf(n, family));
    const here = [
      [record.nlriStart, record.nlriEnd],
      [record.mpReachStart, record.mpReachEnd],
    ] as const;
    for (const [start, end] of here)
      for (const n of decodeNlri(octets, start, end, false)) this.table.add(nameOf(n, family));
  }
}
