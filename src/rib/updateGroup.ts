/**
 * An update group: peers that are told the same share one Adj-RIB-Out and one encoding.
 *
 * The Adj-RIB-Out is (attributes, source) by prefix. A member is told all of it except what came from itself. Members in
 * step get the same buffers at once. A member whose socket is full falls behind: it keeps its own place in the journal,
 * and when its socket has drained it is sent the present state of what changed meanwhile, once for each prefix. A new
 * member first walks the whole Adj-RIB-Out, then catches up in the same way.
 */

import type { UpdateFraming } from '../bgp/updateFraming.js';
import { growU16, growU32 } from '../core/columns.js';
import type { SharedBuffer } from '../core/sharedBuffer.js';
import type { AttributeStore, AttrId } from './attributeStore.js';
import { mayExport, type ExportAudience } from './exportRules.js';
import type { JournalReader } from './journal.js';
import type { LocRib } from './locRib.js';
import { PathFlag, TAG_SHIFT } from './pathTable.js';
import { LOCAL_PEER, MAX_PEERS, type PeerId, type PeerTable } from './peerTable.js';
import { REJECTED } from './policy/evaluation.js';
import type { ExportFilter } from './policy/exportFilter.js';
import type { PrefixId } from './prefixTable.js';
import { BATCH, type UpdateBatch } from './updateBatch.js';

/** Most prefixes in one batch when each may need attributes decoded and made anew by a policy. */
const FILTERED_BATCH = 1 << 10;

/** Where a member's octets go. */
export interface MemberSink {
  /**
   * @param buffer what the octets are part of: whoever keeps them beyond the call counts as its reader
   * @returns false when the socket is full; the owner calls {@link UpdateGroup.drained} later
   */
  send(octets: Uint8Array, messages: number, buffer: SharedBuffer): boolean;
  /** Everything there was when the walk began has been sent: time for End-of-RIB, or for the end of a refresh. */
  walked(): void;
}

/** What a peer was told as a member of another group, so that what this one does not tell can be taken back. */
export interface FormerGroup {
  /** A bit for each prefix, by PrefixId. */
  readonly told: Uint32Array;
  /** Place in the journal up to which that is so. */
  readonly cursor: number;
}

/** An Adj-RIB-Out: AttrId by prefix, 0 for nothing told, and the peer each told route came from. */
export interface OutColumns {
  readonly attr: Uint32Array;
  readonly peer: Uint16Array;
}

/** Columns of an empty Adj-RIB-Out for all prefixes that the RIB has room for. */
export function emptyOut({ prefixes }: LocRib): OutColumns {
  return { attr: new Uint32Array(prefixes.capacity), peer: new Uint16Array(prefixes.capacity) };
}

interface Member {
  readonly peer: PeerId;
  readonly sink: MemberSink;
  writable: boolean;
  /** Next prefix of the first walk; 0 when the walk is over. */
  walk: number;
  /** Until the first walk is over. */
  former: FormerGroup | undefined;
  /** Own place in the journal; undefined while in step with the group. */
  reader: JournalReader | undefined;
}

export class UpdateGroup {
  /** Adj-RIB-Out: AttrId by prefix, 0 for nothing told. Each holds a reference. */
  outAttr: Uint32Array;
  /** The peer each told route came from. */
  outPeer: Uint16Array;
  /** Prefixes told, and how many of them came from each peer. */
  told = 0;
  readonly toldFrom = new Uint32Array(MAX_PEERS + 1);

  private readonly members = new Map<PeerId, Member>();
  /** Most prefixes evaluated at a time. */
  private readonly slice: number;
  private readonly reader: JournalReader;
  /** Prefixes below this are evaluated; all are once it passes the table's end for the first time. */
  private filled = 1;
  private fillDone = false;
  private lastAttr = 0;
  private lastSource = 0;
  private lastAnswer = false;

  constructor(
    private readonly rib: LocRib,
    private readonly attributes: AttributeStore,
    private readonly peers: PeerTable,
    readonly audience: ExportAudience,
    private readonly framing: UpdateFraming,
    private readonly batch: UpdateBatch,
    /** Export policy; undefined: whatever may be told is told as it is. */
    readonly filter?: ExportFilter,
    out: OutColumns = emptyOut(rib),
  ) {
    this.outAttr = out.attr;
    this.outPeer = out.peer;
    this.reader = rib.journal.open();
    this.slice = filter === undefined ? BATCH : FILTERED_BATCH;
  }

  get memberCount(): number {
    return this.members.size;
  }

  /** Begins telling a peer: first everything, then changes. */
  join(peer: PeerId, sink: MemberSink, former?: FormerGroup): void {
    const cursor = Math.min(this.reader.cursor, former?.cursor ?? Infinity);
    this.members.set(peer, { peer, sink, writable: true, walk: 1, former, reader: this.openAt(cursor) });
  }

  /** What a member has been told so far, for the group it goes to; to be asked just before it leaves. */
  formerOf(peer: PeerId): FormerGroup {
    const { limit } = this.rib.prefixes;
    const told = new Uint32Array((limit + 31) >>> 5);
    for (let prefix = 1; prefix < limit; prefix++)
      if (this.tells(prefix, peer)) told[prefix >>> 5]! |= 1 << (prefix & 31);
    const before = this.members.get(peer)?.former;
    for (let i = 0; before !== undefined && i < before.told.length; i++) told[i]! |= before.told[i]!;
    const reader = this.members.get(peer)?.reader ?? this.reader;
    return { told, cursor: Math.min(reader.cursor, this.reader.cursor) };
  }

  /** Stops telling a peer. An empty group should be {@link close}d. */
  leave(peer: PeerId): void {
    const member = this.members.get(peer);
    if (member?.reader !== undefined) this.rib.journal.close(member.reader);
    this.members.delete(peer);
  }

  /** Sends a member everything again (RFC 2918); withdrawn prefixes were told already. */
  refresh(peer: PeerId): void {
    const member = this.members.get(peer);
    if (member === undefined) return;
    member.reader ??= this.openAt(this.reader.cursor);
    member.walk = 1;
  }

  drained(peer: PeerId): void {
    const member = this.members.get(peer);
    if (member !== undefined) member.writable = true;
  }

  /** Gives back all references; the group must not be used afterwards. */
  close(): void {
    for (const peer of [...this.members.keys()]) this.leave(peer);
    this.rib.journal.close(this.reader);
    for (let prefix = 1; prefix < this.outAttr.length && this.told > 0; prefix++) {
      if (this.outAttr[prefix] !== 0) this.setOut(prefix, 0 as AttrId, 0 as PeerId);
    }
  }

  /** True when this member is told the prefix. */
  tells(prefix: number, peer: PeerId): boolean {
    return (
      prefix < this.outAttr.length &&
      this.outAttr[prefix] !== 0 &&
      (this.outPeer[prefix] === 0 || this.outPeer[prefix] !== peer)
    );
  }

  /** Prefixes this member has been told, not counting those that came from it. */
  toldTo(peer: PeerId): number {
    return this.told - this.toldFrom[peer]!;
  }

  /** Does one slice of whatever waits. @returns true when more could be done at once */
  advance(): boolean {
    if (this.rib.prefixes.capacity > this.outAttr.length) this.growColumns();
    let more = false;
    let inStep = 0;
    for (const member of this.members.values()) {
      if (member.reader === undefined) inStep++;
      else if (member.writable) {
        if (this.catchUp(member)) inStep++;
        else more = true;
      }
    }
    // With nobody in step, changes may as well collapse in the journal.
    if (inStep > 0 && this.reader.cursor < this.rib.journal.length) {
      this.flush();
      if (this.reader.cursor < this.rib.journal.length) more = true;
    }
    return more;
  }

  /** Reads a slice of the journal, brings the Adj-RIB-Out up to date and tells the members in step. */
  private flush(): void {
    const { journal } = this.rib;
    const { batch, reader } = this;
    const end = Math.min(journal.length, reader.cursor + this.slice);
    batch.clear();
    // An id may stand for other attributes, and a peer be another kind, by now.
    this.lastAttr = 0;
    for (let i = reader.cursor; i < end; i++) {
      if (journal.isLast(i)) this.update(journal.entries[i]! as PrefixId);
    }
    reader.cursor = end;
    this.filter?.clear();
    if (batch.size === 0) return;
    batch.encode(this.framing, this.isMember, this.forget);
    for (const member of this.members.values()) {
      if (member.reader === undefined && !this.deliver(member)) {
        member.writable = false;
        member.reader = this.openAt(reader.cursor);
      }
    }
  }

  /** Evaluates one prefix and collects what its change means for the members. */
  private update(prefix: PrefixId): void {
    const oldAttr = this.outAttr[prefix]!;
    const oldPeer = this.outPeer[prefix]! as PeerId;
    this.evaluate(prefix);
    const attr = this.outAttr[prefix]!;
    const peer = this.outPeer[prefix]! as PeerId;
    if (attr === oldAttr && peer === oldPeer) return;
    if (attr === 0) {
      this.batch.withdraw(prefix, oldPeer, false);
      return;
    }
    this.batch.announce(prefix, attr as AttrId, peer);
    // The new source was told the old route, unless that too was its own.
    if (oldAttr !== 0 && oldPeer !== peer && this.members.has(peer)) this.batch.withdraw(prefix, peer, true);
  }

  /** Sets the Adj-RIB-Out of one prefix from its best path. */
  private evaluate(prefix: PrefixId): void {
    const row = this.rib.best[prefix]!;
    let attr = 0 as AttrId;
    let peer = 0 as PeerId;
    if (row !== 0) {
      const { paths } = this.rib;
      attr = paths.attr[row]! as AttrId;
      peer = paths.peer[row]! as PeerId;
      if (!this.exports(attr, peer) || (peer === LOCAL_PEER && paths.flags[row]! & PathFlag.suppressed))
        attr = REJECTED;
      else if (this.filter !== undefined)
        attr = this.filter.apply(prefix, attr, peer, peer === LOCAL_PEER ? paths.flags[row]! >>> TAG_SHIFT : 0);
      if (attr === REJECTED) peer = 0 as PeerId;
    }
    if (attr !== this.outAttr[prefix] || peer !== this.outPeer[prefix]) this.setOut(prefix, attr, peer);
  }

  /** The export rules; neighbouring prefixes mostly share attributes and source, so the last answer is kept. */
  private exports(attr: AttrId, source: PeerId): boolean {
    if (attr !== this.lastAttr || source !== this.lastSource) {
      this.lastAttr = attr;
      this.lastSource = source;
      this.lastAnswer = mayExport(this.audience, this.attributes, attr, this.peers, source);
    }
    return this.lastAnswer;
  }

  /** Sends a member one slice of what it lacks; puts it in step when that was all. @returns whether it is in step */
  private catchUp(member: Member): boolean {
    const { batch } = this;
    batch.clear();
    const walking = member.walk > 0;
    if (walking) this.walkSlice(member);
    else this.replaySlice(member);
    if (batch.size > 0) {
      batch.encode(this.framing, () => false, this.forget);
      const octets = batch.buffer.octets.subarray(batch.start, batch.length);
      if (!member.sink.send(octets, messagesIn(batch), batch.buffer)) member.writable = false;
    }
    if (walking && member.walk === 0) member.sink.walked();
    if (member.walk > 0 || member.reader!.cursor < this.reader.cursor) return false;
    this.rib.journal.close(member.reader!);
    member.reader = undefined;
    return true;
  }

  private walkSlice(member: Member): void {
    const limit = this.rib.prefixes.limit;
    const end = Math.min(limit, member.walk + this.slice);
    this.lastAttr = 0;
    for (; !this.fillDone && this.filled < end; this.filled++) this.evaluate(this.filled as PrefixId);
    this.filter?.clear();
    const { former } = member;
    for (let prefix = member.walk; prefix < end; prefix++) {
      const attr = this.outAttr[prefix]!;
      const source = this.outPeer[prefix]! as PeerId;
      if (attr !== 0 && (source === 0 || source !== member.peer)) this.batch.announce(prefix, attr as AttrId, source);
      else if (former !== undefined && former.told[prefix >>> 5]! & (1 << (prefix & 31)))
        this.batch.withdraw(prefix, 0 as PeerId, false);
    }
    member.walk = end;
    if (end < limit) return;
    this.fillDone = true;
    member.walk = 0;
    member.former = undefined;
  }

  private replaySlice(member: Member): void {
    const { journal } = this.rib;
    const reader = member.reader!;
    const end = Math.min(this.reader.cursor, reader.cursor + BATCH);
    for (let i = reader.cursor; i < end; i++) {
      if (!journal.isLast(i)) continue;
      const prefix = journal.entries[i]!;
      const attr = this.outAttr[prefix]!;
      const source = this.outPeer[prefix]! as PeerId;
      // Whether the member was ever told is not remembered: a withdrawal too many is harmless.
      if (attr === 0 || (source !== 0 && source === member.peer)) this.batch.withdraw(prefix, 0 as PeerId, false);
      else this.batch.announce(prefix, attr as AttrId, source);
    }
    reader.cursor = end;
  }

  /** @returns false when the member's socket is full */
  private deliver(member: Member): boolean {
    const { buffer } = this.batch;
    let writable = true;
    let start = -1;
    let end = -1;
    let messages = 0;
    for (const segment of this.batch.segments) {
      const mine =
        segment.only === 0 ? segment.except === 0 || segment.except !== member.peer : segment.only === member.peer;
      if (!mine) continue;
      if (segment.start !== end) {
        if (messages > 0) writable = member.sink.send(buffer.octets.subarray(start, end), messages, buffer);
        start = segment.start;
        messages = 0;
      }
      end = segment.end;
      messages += segment.messages;
    }
    if (messages > 0) writable = member.sink.send(buffer.octets.subarray(start, end), messages, buffer);
    return writable;
  }

  private readonly isMember = (peer: PeerId): boolean => this.members.has(peer);

  /** The framing cannot express this route: to the members it does not exist. */
  private readonly forget = (prefix: number): void => {
    if (this.outAttr[prefix] !== 0) this.setOut(prefix, 0 as AttrId, 0 as PeerId);
  };

  private setOut(prefix: number, attr: AttrId, peer: PeerId): void {
    const old = this.outAttr[prefix]! as AttrId;
    if (attr !== 0) {
      this.attributes.references[attr]!++;
      this.told++;
      this.toldFrom[peer]!++;
    }
    if (old !== 0) {
      this.told--;
      this.toldFrom[this.outPeer[prefix]!]!--;
      this.attributes.release(old);
    }
    this.outAttr[prefix] = attr;
    this.outPeer[prefix] = peer;
  }

  private openAt(cursor: number): JournalReader {
    const reader = this.rib.journal.open();
    reader.cursor = cursor;
    return reader;
  }

  private growColumns(): void {
    this.outAttr = growU32(this.outAttr, this.rib.prefixes.capacity);
    this.outPeer = growU16(this.outPeer, this.rib.prefixes.capacity);
  }
}

function messagesIn(batch: UpdateBatch): number {
  return batch.segments.reduce((sum, segment) => sum + segment.messages, 0);
}
