/** Reads one rtnetlink route message into a record that is used again for the next: dumps of a million routes allocate nothing. */

import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import { HOST_IS_LITTLE_ENDIAN } from './netlink/numbers.js';
import * as rt from './rtnetlink.js';

const INITIAL_HOPS = 16;
/** Octets of `struct rtnexthop`: u16 length, u8 flags, u8 weight - 1, s32 interface index. */
const RTNEXTHOP = 8;

/** What a route message said. The hops are columns, `hopCount` rows of them. */
export class RouteScan {
  family: rt.AddressFamily = rt.AF_INET;
  /** Four words for IPv6, the first one only for IPv4. */
  readonly destination = new Uint32Array(4);
  length = 0;
  table = 0;
  protocol = 0;
  scope = 0;
  /** RTN_*. */
  type = 0;
  /** RTA_PRIORITY: the kernel's metric. */
  metric = 0;
  /** RTA_PREFSRC. */
  hasSource = false;
  readonly source = new Uint32Array(4);
  /** RTAX_MTU; 0: none. */
  mtu = 0;
  /** It has what no route of ours has: TOS, source prefix, metrics other than an MTU as we write it, encapsulation, a nexthop object. */
  special = false;
  /** A cache entry rather than a route. */
  cloned = false;

  hopCount = 0;
  hopIfindex = new Uint32Array(INITIAL_HOPS);
  /** RTNH_F_*. */
  hopFlags = new Uint8Array(INITIAL_HOPS);
  hopWeight = new Uint16Array(INITIAL_HOPS);
  /** Family of the gateway; 0: the destination is on the link itself. */
  hopFamily = new Uint8Array(INITIAL_HOPS);
  /** Four words a hop. */
  hopGateway = new Uint32Array(INITIAL_HOPS * 4);

  private readonly attributes = new AttributeCursor();
  private readonly nested = new AttributeCursor();

  /** @returns false when the message is no IPv4 or IPv6 route or is cut short */
  read(message: MessageCursor): boolean {
    const { view, start, end } = message;
    if (end - start < rt.RTMSG) return false;
    const family = view.getUint8(start);
    if (family !== rt.AF_INET && family !== rt.AF_INET6) return false;
    this.readHead(view, start, family);
    const attributes = this.attributes.over(view, start + rt.RTMSG, end);
    while (attributes.next()) if (!this.readAttribute(attributes, view)) return false;
    return !attributes.malformed;
  }

  private readHead(view: DataView, start: number, family: rt.AddressFamily): void {
    this.family = family;
    this.length = view.getUint8(start + 1);
    this.special = view.getUint8(start + 2) !== 0 || view.getUint8(start + 3) !== 0;
    this.table = view.getUint8(start + 4);
    this.protocol = view.getUint8(start + 5);
    this.scope = view.getUint8(start + 6);
    this.type = view.getUint8(start + 7);
    const flags = view.getUint32(start + 8, HOST_IS_LITTLE_ENDIAN);
    this.cloned = (flags & rt.RTM_F_CLONED) !== 0;
    this.destination.fill(0);
    this.metric = 0;
    this.hasSource = false;
    this.mtu = 0;
    this.hopCount = 0;
    this.clearHop(0);
    this.hopFlags[0] = flags;
  }

  private readAttribute(attribute: AttributeCursor, view: DataView): boolean {
    switch (attribute.type) {
      case rt.RTA_DST:
        readWords(attribute, this.family, 0, this.destination, 0);
        return true;
      case rt.RTA_TABLE:
        this.table = attribute.u32();
        return true;
      case rt.RTA_PRIORITY:
        this.metric = attribute.u32();
        return true;
      case rt.RTA_PREFSRC:
        this.hasSource = true;
        readWords(attribute, this.family, 0, this.source, 0);
        return true;
      case rt.RTA_OIF:
        this.hopIfindex[0] = attribute.u32();
        this.hopCount = 1;
        return true;
      case rt.RTA_GATEWAY:
      case rt.RTA_VIA:
        this.readGateway(attribute, 0);
        this.hopCount = 1;
        return true;
      case rt.RTA_MULTIPATH:
        return this.readMultipath(view, attribute.start, attribute.end);
      case rt.RTA_METRICS:
        return this.readMetrics(view, attribute.start, attribute.end);
      case rt.RTA_ENCAP:
      case rt.RTA_NH_ID:
        this.special = true;
        return true;
      default:
        return true;
    }
  }

  /** IPv6 sends an empty list on every route. */
  private readMetrics(view: DataView, start: number, end: number): boolean {
    const metrics = this.nested.over(view, start, end);
    let lock = 0;
    while (metrics.next()) {
      if (metrics.type === rt.RTAX_MTU) this.mtu = metrics.u32();
      else if (metrics.type === rt.RTAX_LOCK) lock = metrics.u32();
      else this.special = true;
    }
    const ours = this.mtu !== 0 && this.family === rt.AF_INET6 ? 1 << rt.RTAX_MTU : 0;
    if (lock !== ours) this.special = true;
    return !metrics.malformed;
  }

  private readGateway(attribute: AttributeCursor, hop: number): void {
    const via = attribute.type === rt.RTA_VIA;
    const octets = attribute.size - (via ? 2 : 0);
    const family = octets === 16 ? rt.AF_INET6 : rt.AF_INET;
    this.hopFamily[hop] = family;
    readWords(attribute, family, via ? 2 : 0, this.hopGateway, hop * 4);
  }

  private readMultipath(view: DataView, start: number, end: number): boolean {
    let count = 0;
    for (let at = start; at < end; count++) {
      const length = at + RTNEXTHOP <= end ? view.getUint16(at, HOST_IS_LITTLE_ENDIAN) : 0;
      if (length < RTNEXTHOP || at + length > end) return false;
      if (count === this.hopIfindex.length) this.growHops();
      this.clearHop(count);
      this.hopFlags[count] = view.getUint8(at + 2);
      this.hopWeight[count] = view.getUint8(at + 3) + 1;
      this.hopIfindex[count] = view.getInt32(at + 4, HOST_IS_LITTLE_ENDIAN);
      const nested = this.nested.over(view, at + RTNEXTHOP, at + length);
      while (nested.next()) {
        if (nested.type === rt.RTA_GATEWAY || nested.type === rt.RTA_VIA) this.readGateway(nested, count);
        else if (nested.type === rt.RTA_ENCAP) this.special = true;
      }
      if (nested.malformed) return false;
      at += (length + 3) & ~3;
    }
    this.hopCount = count;
    return true;
  }

  private clearHop(hop: number): void {
    this.hopIfindex[hop] = 0;
    this.hopFlags[hop] = 0;
    this.hopWeight[hop] = 1;
    this.hopFamily[hop] = 0;
    this.hopGateway.fill(0, hop * 4, hop * 4 + 4);
  }

  private growHops(): void {
    const size = this.hopIfindex.length * 2;
    const copy = <T extends { set(from: T): void }>(to: T, from: T): T => (to.set(from), to);
    this.hopIfindex = copy(new Uint32Array(size), this.hopIfindex);
    this.hopFlags = copy(new Uint8Array(size), this.hopFlags);
    this.hopWeight = copy(new Uint16Array(size), this.hopWeight);
    this.hopFamily = copy(new Uint8Array(size), this.hopFamily);
    this.hopGateway = copy(new Uint32Array(size * 4), this.hopGateway);
  }
}

/** Reads an address of the family, `offset` octets into the attribute. */
function readWords(attribute: AttributeCursor, family: number, offset: number, into: Uint32Array, at: number): void {
  const words = family === rt.AF_INET ? 1 : 4;
  for (let i = 0; i < words; i++) into[at + i] = attribute.addressWord(offset + i * 4);
}
