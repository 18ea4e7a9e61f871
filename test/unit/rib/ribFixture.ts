/** A RIB with peers that announce and members whose octets are read back: what the tests of this folder share. */

import { expect } from '@jest/globals';
import type { PathAttribute } from '../../../src/bgp/attributes.js';
import { PeerKind, type PeerKindValue } from '../../../src/bgp/peerKind.js';
import type { ScanContext } from '../../../src/bgp/scanContext.js';
import { UpdateRecord } from '../../../src/bgp/updateRecord.js';
import { encodeAttributes } from '../../../src/bgp/wire/attributeCodec.js';
import { Frame, nextFrame } from '../../../src/bgp/wire/frame.js';
import { createUpdateFraming, type FramingOptions } from '../../../src/bgp/wire/updateEncoder.js';
import { scanUpdate } from '../../../src/bgp/wire/updateScanner.js';
import { Ipv4, ipv4 } from '../../../src/core/ip.js';
import type { SharedBuffer } from '../../../src/core/sharedBuffer.js';
import type { DecisionOptions } from '../../../src/rib/decision.js';
import type { PeerId } from '../../../src/rib/peerTable.js';
import { Rib } from '../../../src/rib/rib.js';
import type { MemberSink } from '../../../src/rib/updateGroup.js';

export const LOCAL_AS = 65000;

export const DECISION: DecisionOptions = {
  alwaysCompareMed: false,
  missingMedWorst: false,
  maximumPaths: { ebgp: 4, ibgp: 4 },
  multipathRelax: false,
};

export function scanContext(ebgp: boolean): ScanContext {
  return {
    ebgp,
    fourOctetAs: true,
    families: [true, true],
    addPathReceive: [false, false],
    extendedNextHop: [false, false],
    localAsn: LOCAL_AS,
    remoteAsn: ebgp ? 65001 : LOCAL_AS,
    localId: 0x7f000001,
    clusterId: 0x7f000001,
    enforceFirstAs: false,
    loopbackNextHops: false,
  };
}

export interface Announcement {
  readonly prefixes: readonly number[];
  readonly med: number;
  readonly localPref?: number;
  readonly path?: readonly number[];
  readonly nextHop?: number;
}

/** Prefix number n is 10.x.y.0/24. */
export function prefixOctets(n: number): number[] {
  return [24, 10, n >> 8, n & 255];
}

/** The body of an UPDATE. */
export function updateBody(withdrawn: readonly number[], announced: Announcement | undefined): Uint8Array {
  const gone = withdrawn.flatMap(prefixOctets);
  const list: PathAttribute[] =
    announced === undefined
      ? []
      : [
          { kind: 'origin', origin: 'igp' },
          { kind: 'asPath', segments: announced.path?.length ? [{ type: 'sequence', asns: announced.path }] : [] },
          { kind: 'nextHop', address: Ipv4(announced.nextHop ?? 0x0a000001) },
          { kind: 'med', med: announced.med },
          { kind: 'localPref', localPref: announced.localPref ?? 100 },
        ];
  const attributes = encodeAttributes(list, { fourOctetAs: true });
  const nlri = announced?.prefixes.flatMap(prefixOctets) ?? [];
  return Uint8Array.from([
    gone.length >> 8,
    gone.length & 255,
    ...gone,
    attributes.length >> 8,
    attributes.length & 255,
    ...attributes,
    ...nlri,
  ]);
}

export class RibFixture {
  readonly rib: Rib;
  private readonly record = new UpdateRecord();

  constructor(options: Partial<ConstructorParameters<typeof Rib>[0]> = {}) {
    // Small, so that a property has hundreds of them in a second, and sees them grow.
    const small = { routerId: 0x7f000001, trackNextHops: false, decision: DECISION, firstCapacity: 64 };
    this.rib = new Rib({ ...small, ...options });
  }

  peer(name: string, kind: PeerKindValue = PeerKind.ibgp, client = true): PeerId {
    const number = Number(name.replace(/\D/g, '')) + 1;
    return this.rib.peers.add({ name, address: ipv4(0x0a000000 + number), kind, client, routerId: number })!;
  }

  update(peer: PeerId, withdrawn: readonly number[], announced?: Announcement): void {
    const body = updateBody(withdrawn, announced);
    const ebgp = this.rib.peers.kind[peer] === PeerKind.ebgp;
    const error = scanUpdate(body, 0, body.length, scanContext(ebgp), this.record);
    // Plain here and below: expect() would cost more than all the rest.
    if (error !== undefined || this.record.problems.length > 0)
      throw new Error(`malformed: ${this.record.problems.join()}`);
    this.rib.receive(peer, this.record, { addPath: [false, false], allowOwnAs: 0, zone: undefined });
    this.rib.decide();
  }

  join(
    member: Member,
    audience: { kind: 'ebgp' | 'ibgp'; clients: boolean; ownOnly: boolean } = {
      kind: 'ibgp',
      clients: true,
      ownOnly: false,
    },
  ): void {
    this.rib.join(
      0,
      JSON.stringify(audience),
      audience,
      () => createUpdateFraming(framing(audience.kind)),
      member.peer,
      member,
    );
  }

  leave(
    member: Member,
    audience: { kind: 'ebgp' | 'ibgp'; clients: boolean; ownOnly: boolean } = {
      kind: 'ibgp',
      clients: true,
      ownOnly: false,
    },
  ): void {
    this.rib.leave(0, JSON.stringify(audience), member.peer);
  }

  /** Pumps until nothing can be done any more. */
  settle(): void {
    for (let i = 0; this.rib.pump(); i++) if (i > 10_000) throw new Error('the RIB does not come to rest');
  }
}

export function framing(kind: 'ebgp' | 'ibgp'): FramingOptions {
  return {
    family: 0,
    kind,
    localAsn: LOCAL_AS,
    clusterId: 0x7f000001,
    fourOctetAs: true,
    nextHopSelf: 'auto',
    self4: ipv4(0x0a0000fe),
    self6: undefined,
    selfLinkLocal: undefined,
    extendedNextHop: false,
    addPath: false,
    maxMessage: 4096,
  };
}

/**
 * A member of an update group: reads what it is sent as a peer would, into a table of MEDs by prefix number. It reads
 * late, when somebody looks at its table, as a slow socket does.
 */
export class Member implements MemberSink {
  private readonly read = new Map<number, number>();
  private unread: { readonly octets: Uint8Array; readonly messages: number; readonly buffer: SharedBuffer }[] = [];
  messages = 0;
  walks = 0;
  /** When false the next send answers that the socket is full. */
  open = true;
  private readonly record = new UpdateRecord();
  private readonly frame = new Frame();

  constructor(readonly peer: PeerId) {}

  get table(): ReadonlyMap<number, number> {
    for (const { octets, messages, buffer } of this.unread) {
      this.readMessages(octets, messages);
      buffer.readers--;
    }
    this.unread = [];
    return this.read;
  }

  send(octets: Uint8Array, messages: number, buffer: SharedBuffer): boolean {
    buffer.readers++;
    this.unread.push({ octets, messages, buffer });
    this.messages += messages;
    return this.open;
  }

  private readMessages(octets: Uint8Array, messages: number): void {
    let seen = 0;
    for (let at = 0; at < octets.length; at = this.frame.bodyEnd) {
      const kind = nextFrame(octets, at, octets.length, 4096, this.frame);
      if (kind !== 'message') throw new Error(`not a message: ${kind}`);
      this.apply(octets);
      seen++;
    }
    expect(seen).toBe(messages);
  }

  walked(): void {
    this.walks++;
  }

  private apply(octets: Uint8Array): void {
    const { record, frame } = this;
    // Seen from a peer in another AS everything is readable; loops are the sender's business here.
    const error = scanUpdate(
      octets,
      frame.bodyStart,
      frame.bodyEnd,
      { ...scanContext(false), localAsn: 1, clusterId: 0, localId: 0 },
      record,
    );
    if (error !== undefined || record.problems.length > 0) throw new Error(`malformed: ${record.problems.join()}`);
    for (const n of numbers(octets, record.withdrawnStart, record.withdrawnEnd)) this.read.delete(n);
    for (const n of numbers(octets, record.nlriStart, record.nlriEnd)) this.read.set(n, record.med);
  }
}

function numbers(octets: Uint8Array, start: number, end: number): number[] {
  const found: number[] = [];
  for (let at = start; at < end; at += 4) {
    if (octets[at] !== 24 || octets[at + 1] !== 10) throw new Error(`no prefix of these tests at ${at}`);
    found.push((octets[at + 2]! << 8) | octets[at + 3]!);
  }
  return found;
}
