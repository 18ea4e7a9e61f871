/** UPDATE messages outward: RFC 4271 section 4.3, RFC 4760 (MP_REACH_NLRI), RFC 8950 (IPv4 with an IPv6 next hop). */

import { ipv4, type IpAddress, type Ipv6Words } from '../../core/ip.js';
import { afiOf, type FamilyIndex } from '../families.js';
import { PeerKind } from '../peerKind.js';
import type { OutgoingRoute, UpdateFraming } from '../updateFraming.js';
import { AttributeExport, type ExportTransform } from './exportAttributes.js';
import { AttributeCode, Flag, HEADER_LENGTH, MARKER_LENGTH, MessageType } from './iana.js';

/** Everything the members of an update group have in common that shows in its octets. */
export interface FramingOptions extends ExportTransform {
  readonly family: FamilyIndex;
  readonly nextHopSelf: 'auto' | 'always' | 'never';
  /** Our own addresses for NEXT_HOP; undefined: we have none of that version. */
  readonly self4: IpAddress | undefined;
  readonly self6: IpAddress | undefined;
  /** Our link-local address, sent beside self6 when the peer is on the same link (RFC 2545 section 3). */
  readonly selfLinkLocal: IpAddress | undefined;
  readonly extendedNextHop: boolean;
  readonly addPath: boolean;
  readonly maxMessage: number;
}

const SAFI_UNICAST = 1;
/** Flags, code and two octets of length. */
const LONG_ATTRIBUTE_HEADER = 4;
/** Withdrawn Routes Length and Total Path Attribute Length. */
const FIXED_FIELDS = 4;
/** Longest NLRI: path identifier, length, sixteen octets. */
const LONGEST_NLRI = 21;
const MP_FLAGS = Flag.optional | Flag.extendedLength;

/** The octets around NLRI for one update group. Source: RFC 4271 section 4.3, RFC 4760 section 3 and 4. */
export function createUpdateFraming(options: FramingOptions): UpdateFraming {
  return new Framing(options);
}

/** The End-of-RIB marker of a family as a whole message (RFC 4724 section 2). */
export function encodeEndOfRib(family: FamilyIndex): Uint8Array {
  const attributes = family === 0 ? [] : [Flag.optional, AttributeCode.mpUnreach, 3, 0, afiOf(family), SAFI_UNICAST];
  const message = new Uint8Array(HEADER_LENGTH + FIXED_FIELDS + attributes.length);
  message.set(attributes, HEADER_LENGTH + FIXED_FIELDS);
  message[HEADER_LENGTH + 3] = attributes.length;
  writeHeader(message, 0, message.length);
  return message;
}

class Framing implements UpdateFraming {
  readonly maxMessage: number;
  readonly pathIdOctets: 0 | 4;
  private readonly attributes: AttributeExport;
  /** MP_REACH_NLRI up to its NLRI without the attribute header; empty when the classic NLRI field is used. */
  private mpPrefix: Uint8Array = new Uint8Array(5 + 32);
  private mpLength = 0;
  private nextHop: IpAddress = ipv4(0);
  /** IPv4 withdrawals go into MP_UNREACH_NLRI towards peers that negotiated RFC 8950, as their announcements do. */
  private readonly mpWithdraw: boolean;

  constructor(private readonly options: FramingOptions) {
    this.maxMessage = options.maxMessage;
    this.pathIdOctets = options.addPath ? 4 : 0;
    this.attributes = new AttributeExport(options);
    this.mpWithdraw = options.family !== 0 || options.extendedNextHop;
  }

  prepare(route: OutgoingRoute): boolean {
    const { options } = this;
    const self =
      route.nextHop === undefined ||
      options.nextHopSelf === 'always' ||
      (options.nextHopSelf === 'auto' && options.kind === 'ebgp' && route.sourceKind !== PeerKind.local);
    const nextHop = self ? this.ownAddress() : route.nextHop;
    const linkLocal = self ? options.selfLinkLocal : undefined;
    if (nextHop === undefined || !this.speaks(nextHop)) return false;
    this.nextHop = nextHop;
    const classic = nextHop.version === 4;
    this.mpLength = classic ? 0 : this.writeMpPrefix(nextHop.words, linkLocal);
    this.attributes.transform(route, classic ? nextHop.value : -1);
    return this.announceLimit(0) - this.nlriStart(0) >= LONGEST_NLRI;
  }

  prepared(): { readonly octets: Uint8Array; readonly length: number; readonly nextHop: IpAddress } {
    return { octets: this.attributes.octets, length: this.attributes.length, nextHop: this.nextHop };
  }

  beginAnnounce(_out: Uint8Array, at: number): number {
    return this.nlriStart(at);
  }

  announceLimit(at: number): number {
    // With MP_REACH_NLRI first (RFC 7606 section 5.1) the other attributes come behind the NLRI.
    return at + this.maxMessage - (this.mpLength > 0 ? this.attributes.length : 0);
  }

  finishAnnounce(out: Uint8Array, at: number, nlriEnd: number): number {
    const fields = at + HEADER_LENGTH;
    const { octets, length } = this.attributes;
    let end = nlriEnd;
    if (this.mpLength === 0) {
      copy(octets, length, out, fields + FIXED_FIELDS);
      write16(out, fields + 2, length);
    } else {
      const attribute = fields + FIXED_FIELDS;
      out[attribute] = MP_FLAGS;
      out[attribute + 1] = AttributeCode.mpReach;
      write16(out, attribute + 2, nlriEnd - attribute - LONG_ATTRIBUTE_HEADER);
      copy(this.mpPrefix, this.mpLength, out, attribute + LONG_ATTRIBUTE_HEADER);
      copy(octets, length, out, nlriEnd);
      end += length;
      write16(out, fields + 2, end - attribute);
    }
    write16(out, fields, 0);
    writeHeader(out, at, end - at);
    return end;
  }

  beginWithdraw(_out: Uint8Array, at: number): number {
    return at + HEADER_LENGTH + (this.mpWithdraw ? FIXED_FIELDS + LONG_ATTRIBUTE_HEADER + 3 : 2);
  }

  withdrawLimit(at: number): number {
    return at + this.maxMessage - (this.mpWithdraw ? 0 : 2);
  }

  finishWithdraw(out: Uint8Array, at: number, nlriEnd: number): number {
    const fields = at + HEADER_LENGTH;
    let end = nlriEnd;
    if (this.mpWithdraw) {
      const attribute = fields + FIXED_FIELDS;
      write16(out, fields, 0);
      write16(out, fields + 2, nlriEnd - attribute);
      out[attribute] = MP_FLAGS;
      out[attribute + 1] = AttributeCode.mpUnreach;
      write16(out, attribute + 2, nlriEnd - attribute - LONG_ATTRIBUTE_HEADER);
      write16(out, attribute + 4, afiOf(this.options.family));
      out[attribute + 6] = SAFI_UNICAST;
    } else {
      write16(out, fields, nlriEnd - fields - 2);
      write16(out, nlriEnd, 0);
      end += 2;
    }
    writeHeader(out, at, end - at);
    return end;
  }

  private nlriStart(at: number): number {
    const fields = at + HEADER_LENGTH + FIXED_FIELDS;
    return this.mpLength === 0 ? fields + this.attributes.length : fields + LONG_ATTRIBUTE_HEADER + this.mpLength;
  }

  private ownAddress(): IpAddress | undefined {
    const { family, self4, self6, extendedNextHop } = this.options;
    return family === 1 ? self6 : (self4 ?? (extendedNextHop ? self6 : undefined));
  }

  private speaks(nextHop: IpAddress): boolean {
    return this.options.family === 1 ? nextHop.version === 6 : nextHop.version === 4 || this.options.extendedNextHop;
  }

  private writeMpPrefix(words: Ipv6Words, linkLocal: IpAddress | undefined): number {
    const { mpPrefix } = this;
    const second = linkLocal?.version === 6 ? linkLocal.words : undefined;
    write16(mpPrefix, 0, afiOf(this.options.family));
    mpPrefix[2] = SAFI_UNICAST;
    mpPrefix[3] = second === undefined ? 16 : 32;
    let at = writeWords(mpPrefix, 4, words);
    if (second !== undefined) at = writeWords(mpPrefix, at, second);
    mpPrefix[at] = 0;
    return at + 1;
  }
}

function writeHeader(out: Uint8Array, at: number, length: number): void {
  for (let i = at; i < at + MARKER_LENGTH; i++) out[i] = 0xff;
  write16(out, at + MARKER_LENGTH, length);
  out[at + MARKER_LENGTH + 2] = MessageType.update;
}

function write16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value;
}

function writeWords(out: Uint8Array, at: number, words: Ipv6Words): number {
  for (const word of words) {
    write16(out, at, word >>> 16);
    write16(out, at + 2, word);
    at += 4;
  }
  return at;
}

function copy(from: Uint8Array, length: number, to: Uint8Array, at: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[i]!;
}
