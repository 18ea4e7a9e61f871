/**
 * One batch of outgoing changes: collected by (attributes, source) so that prefixes which share attributes share
 * UPDATEs, then encoded once into one buffer of segments, each for everyone, everyone but one, or one member only.
 */

import { PeerKind } from '../bgp/peerKind.js';
import type { OutgoingRoute, UpdateFraming } from '../bgp/updateFraming.js';
import { growU32, octetsOf, type MakeResident } from '../core/columns.js';
import { BufferPool, type SharedBuffer } from '../core/sharedBuffer.js';
import type { AttributeStore, AttrId } from './attributeStore.js';
import { SELF_NEXT_HOP, type NextHopId, type NextHops } from './nextHops.js';
import { nlriSize, writeNlri } from './nlri.js';
import type { PeerId, PeerTable } from './peerTable.js';
import type { PrefixTable } from './prefixTable.js';

/** Most prefixes in one batch: about a millisecond of encoding. */
export const BATCH = 1 << 13;

/** Octets for members: [start, end) of the batch's buffer. */
export interface Segment {
  start: number;
  end: number;
  messages: number;
  /** Member that must not get it (it is where the routes came from); 0: none. */
  except: PeerId;
  /** The only member that gets it; 0: all. */
  only: PeerId;
}

const Announce = 0;
const WithdrawExcept = 1;
const WithdrawOnly = 2;

/** Path identifier of the one path we send (RFC 7911 leaves its value to the sender). */
const SENT_PATH_ID = 1;

export class UpdateBatch {
  size = 0;
  readonly segments: Segment[] = [];
  /** What the segments are segments of. Members whose socket keeps octets of it count as its readers. */
  buffer: SharedBuffer;
  /** The batch is buffer.octets[start .. length). */
  start = 0;
  length = 0;

  private readonly itemPrefix = new Uint32Array(2 * BATCH);
  private readonly itemNext = new Uint32Array(2 * BATCH);
  /** Buckets in order of first use; a bucket's items are linked through itemNext, index plus one, 0 at the end. */
  private bucketCount = 0;
  private readonly bucketKind = new Uint8Array(2 * BATCH);
  private readonly bucketAttr = new Uint32Array(2 * BATCH);
  private readonly bucketPeer = new Uint16Array(2 * BATCH);
  private readonly bucketFirst = new Uint32Array(2 * BATCH);
  private readonly bucketLast = new Uint32Array(2 * BATCH);
  /** Next bucket with the same attributes from another source, plus one. */
  private readonly bucketSame = new Uint32Array(2 * BATCH);
  /** By AttrId: bucket index, believed only if that bucket really has these attributes (so it is never cleared). */
  private bucketOf: Uint32Array = new Uint32Array(1 << 16);
  /** Withdrawals have few buckets, one for each source. */
  private readonly withdrawBuckets: number[] = [];
  private readonly route: OutgoingRoute = emptyRoute();
  private readonly pool = new BufferPool();

  constructor(
    private readonly prefixes: PrefixTable,
    readonly attributes: AttributeStore,
    readonly nextHops: NextHops,
    readonly peers: PeerTable,
  ) {
    this.buffer = this.pool.take();
  }

  /** Has memory for whole batches, and for `sets` sets of attributes to be told, from the start. */
  reserve(sets: number, makeResident: MakeResident): void {
    if (sets >= this.bucketOf.length) this.bucketOf = growU32(this.bucketOf, sets + 1);
    makeResident(octetsOf(this.bucketOf, sets + 1));
    const ofItems = [this.itemPrefix, this.itemNext];
    const ofBuckets = [this.bucketKind, this.bucketAttr, this.bucketPeer, this.bucketFirst, this.bucketLast];
    for (const column of [...ofItems, ...ofBuckets, this.bucketSame]) makeResident(octetsOf(column, column.length));
    this.pool.reserve(makeResident);
  }

  /** Begins a new batch, behind the last one if that is still being read. */
  clear(): void {
    this.size = 0;
    this.bucketCount = 0;
    this.withdrawBuckets.length = 0;
    this.segments.length = 0;
    this.start = this.length = this.buffer.readers === 0 ? 0 : this.length;
  }

  announce(prefix: number, attr: AttrId, source: PeerId): void {
    const last = this.bucketCount - 1;
    // Neighbouring prefixes mostly share attributes and source.
    if (
      last >= 0 &&
      this.bucketAttr[last] === attr &&
      this.bucketPeer[last] === source &&
      this.bucketKind[last] === Announce
    )
      this.add(last, prefix);
    else this.announceElsewhere(prefix, attr, source);
  }

  private announceElsewhere(prefix: number, attr: AttrId, source: PeerId): void {
    if (attr >= this.bucketOf.length)
      this.bucketOf = growU32(this.bucketOf, Math.max(attr + 1, this.bucketOf.length * 4));
    let bucket = this.bucketOf[attr]!;
    if (bucket < this.bucketCount && this.bucketAttr[bucket] === attr && this.bucketKind[bucket] === Announce) {
      while (this.bucketPeer[bucket] !== source) {
        const same = this.bucketSame[bucket]!;
        if (same === 0) {
          const fresh = this.open(Announce, attr, source);
          this.bucketSame[bucket] = fresh + 1;
          bucket = fresh;
          break;
        }
        bucket = same - 1;
      }
    } else {
      bucket = this.open(Announce, attr, source);
      this.bucketOf[attr] = bucket;
    }
    this.add(bucket, prefix);
  }

  /** @param peer with `only` the one member to be told, else the member not to be told; 0: tell all */
  withdraw(prefix: number, peer: PeerId, only: boolean): void {
    const kind = only ? WithdrawOnly : WithdrawExcept;
    for (const bucket of this.withdrawBuckets) {
      if (this.bucketKind[bucket] === kind && this.bucketPeer[bucket] === peer) {
        this.add(bucket, prefix);
        return;
      }
    }
    const bucket = this.open(kind, 0 as AttrId, peer);
    this.withdrawBuckets.push(bucket);
    this.add(bucket, prefix);
  }

  /**
   * Encodes what was collected into `out` and `segments`.
   * @param excepts whether a source is a member, and so must be left out of what came from it
   * @param unsendable told of prefixes whose attributes this group cannot be told: they go out as withdrawals
   */
  encode(framing: UpdateFraming, excepts: (peer: PeerId) => boolean, unsendable: (prefix: number) => void): void {
    for (let bucket = 0; bucket < this.bucketCount; bucket++) {
      const peer = this.bucketPeer[bucket]! as PeerId;
      const kind = this.bucketKind[bucket]!;
      if (kind === WithdrawOnly) this.encodeWithdrawals(framing, bucket, 0 as PeerId, peer);
      else {
        const except = peer !== 0 && excepts(peer) ? peer : (0 as PeerId);
        if (kind === WithdrawExcept) this.encodeWithdrawals(framing, bucket, except, 0 as PeerId);
        else if (this.prepare(framing, bucket)) this.encodeAnnouncements(framing, bucket, except);
        else {
          for (let item = this.bucketFirst[bucket]!; item !== 0; item = this.itemNext[item - 1]!)
            unsendable(this.itemPrefix[item - 1]!);
          this.encodeWithdrawals(framing, bucket, except, 0 as PeerId);
        }
      }
    }
  }

  private prepare(framing: UpdateFraming, bucket: number): boolean {
    const { route } = this;
    fillRoute(route, this.bucketAttr[bucket]! as AttrId, this.bucketPeer[bucket]! as PeerId, this);
    return framing.prepare(route);
  }

  private encodeAnnouncements(framing: UpdateFraming, bucket: number, except: PeerId): void {
    let item = this.bucketFirst[bucket]!;
    while (item !== 0) {
      this.makeRoom(framing.maxMessage);
      const start = this.length;
      const limit = framing.announceLimit(start);
      let at = framing.beginAnnounce(this.buffer.octets, start);
      while (item !== 0) {
        const prefix = this.itemPrefix[item - 1]!;
        if (at + framing.pathIdOctets + nlriSize(this.prefixes.lengths[prefix]!) > limit) break;
        at = this.nlri(framing, prefix, at);
        item = this.itemNext[item - 1]!;
      }
      this.close(start, framing.finishAnnounce(this.buffer.octets, start, at), except, 0 as PeerId);
    }
  }

  private encodeWithdrawals(framing: UpdateFraming, bucket: number, except: PeerId, only: PeerId): void {
    let item = this.bucketFirst[bucket]!;
    while (item !== 0) {
      this.makeRoom(framing.maxMessage);
      const start = this.length;
      const limit = framing.withdrawLimit(start);
      let at = framing.beginWithdraw(this.buffer.octets, start);
      while (item !== 0) {
        const prefix = this.itemPrefix[item - 1]!;
        if (at + framing.pathIdOctets + nlriSize(this.prefixes.lengths[prefix]!) > limit) break;
        at = this.nlri(framing, prefix, at);
        item = this.itemNext[item - 1]!;
      }
      this.close(start, framing.finishWithdraw(this.buffer.octets, start, at), except, only);
    }
  }

  private nlri(framing: UpdateFraming, prefix: number, at: number): number {
    const { octets } = this.buffer;
    if (framing.pathIdOctets === 4) {
      octets[at] = octets[at + 1] = octets[at + 2] = 0;
      octets[at + 3] = SENT_PATH_ID;
      at += 4;
    }
    return writeNlri(this.prefixes, prefix, octets, at);
  }

  private close(start: number, end: number, except: PeerId, only: PeerId): void {
    this.length = end;
    const last = this.segments.at(-1);
    if (last !== undefined && last.except === except && last.only === only) {
      last.end = end;
      last.messages++;
    } else this.segments.push({ start, end, messages: 1, except, only });
  }

  /** Makes room for one more message; the batch moves to a buffer of its own when this one is full. */
  private makeRoom(octets: number): void {
    if (this.length + octets <= this.buffer.octets.length) return;
    const { start } = this;
    const size = this.length - start;
    const moved = this.pool.take(2 * (size + octets));
    moved.octets.set(this.buffer.octets.subarray(start, this.length));
    for (const segment of this.segments) {
      segment.start -= start;
      segment.end -= start;
    }
    this.buffer = moved;
    this.start = 0;
    this.length = size;
  }

  private open(kind: number, attr: AttrId, peer: PeerId): number {
    const bucket = this.bucketCount++;
    this.bucketKind[bucket] = kind;
    this.bucketAttr[bucket] = attr;
    this.bucketPeer[bucket] = peer;
    this.bucketFirst[bucket] = 0;
    this.bucketLast[bucket] = 0;
    this.bucketSame[bucket] = 0;
    return bucket;
  }

  private add(bucket: number, prefix: number): void {
    const item = ++this.size;
    this.itemPrefix[item - 1] = prefix;
    this.itemNext[item - 1] = 0;
    const last = this.bucketLast[bucket]!;
    if (last === 0) this.bucketFirst[bucket] = item;
    else this.itemNext[last - 1] = item;
    this.bucketLast[bucket] = item;
  }
}

/** A record for {@link fillRoute}. */
export function emptyRoute(): OutgoingRoute {
  return {
    block: new Uint8Array(),
    start: 0,
    length: 0,
    nextHop: undefined,
    linkLocal: undefined,
    sourceKind: PeerKind.local,
    sourceRouterId: 0,
  };
}

/** Describes attributes from a source to the framing; the record points into the store and is valid until it changes. */
export function fillRoute(
  route: OutgoingRoute,
  attr: AttrId,
  source: PeerId,
  { attributes, nextHops, peers }: { attributes: AttributeStore; nextHops: NextHops; peers: PeerTable },
): void {
  const nextHop = attributes.nextHop[attr]! as NextHopId;
  const own = nextHop === SELF_NEXT_HOP;
  route.block = attributes.blockArray(attr);
  route.start = attributes.blockStart(attr);
  route.length = attributes.blockLength(attr);
  route.nextHop = own ? undefined : nextHops.address(nextHop);
  route.linkLocal = own ? undefined : nextHops.linkLocal(nextHop);
  route.sourceKind = peers.kindOf(source);
  route.sourceRouterId = peers.routerId[source]!;
}
