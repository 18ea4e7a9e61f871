/**
 * The first two packets of an SCTP association, for kernels without SCTP sockets: what a firewall sees of them is the same
 * (RFC 9260 sections 3.1, 3.3.2, 3.3.3 and appendix A).
 */

export interface Greeting {
  /** init opens an association, initAck accepts it. */
  readonly kind: 'init' | 'initAck';
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The receiver's: 0 in an init, the init's own in its initAck. */
  readonly verificationTag: number;
  /** The sender's, not 0. */
  readonly initiateTag: number;
  /** Of an initAck: whatever the sender likes (section 3.3.3.1.1). */
  readonly cookie?: string;
}

const HEADER = 12;
const CHUNK = 20;
const CHECKSUM_AT = 8;
const TYPES = { init: 1, initAck: 2 } as const;
/** RFC 9260: at least 1500 octets. */
const WINDOW = 0x10000;
const STREAMS = 1;
const PARAMETER = 4;
const STATE_COOKIE = 7;
const padded = (size: number): number => (size + 3) & ~3;

export function encodeGreeting(greeting: Greeting): Buffer {
  const cookie = Buffer.from(greeting.cookie ?? '');
  const parameter = cookie.length === 0 ? 0 : PARAMETER + cookie.length;
  const packet = Buffer.alloc(HEADER + CHUNK + padded(parameter));
  packet.writeUInt16BE(greeting.sourcePort, 0);
  packet.writeUInt16BE(greeting.destinationPort, 2);
  packet.writeUInt32BE(greeting.verificationTag, 4);
  packet.writeUInt8(TYPES[greeting.kind], HEADER);
  packet.writeUInt16BE(CHUNK + parameter, HEADER + 2);
  packet.writeUInt32BE(greeting.initiateTag, HEADER + 4);
  packet.writeUInt32BE(WINDOW, HEADER + 8);
  packet.writeUInt16BE(STREAMS, HEADER + 12);
  packet.writeUInt16BE(STREAMS, HEADER + 14);
  packet.writeUInt32BE(greeting.initiateTag, HEADER + 16);
  if (parameter > 0) {
    packet.writeUInt16BE(STATE_COOKIE, HEADER + CHUNK);
    packet.writeUInt16BE(parameter, HEADER + CHUNK + 2);
    cookie.copy(packet, HEADER + CHUNK + PARAMETER);
  }
  packet.writeUInt32LE(crc32c(packet), CHECKSUM_AT);
  return packet;
}

/** @returns undefined for whatever else, and for a wrong checksum */
export function decodeGreeting(packet: Buffer): Greeting | undefined {
  if (packet.length < HEADER + CHUNK) return undefined;
  const type = packet.readUInt8(HEADER);
  const kind = type === TYPES.init ? 'init' : type === TYPES.initAck ? 'initAck' : undefined;
  if (kind === undefined) return undefined;
  const checked = Buffer.from(packet);
  checked.writeUInt32LE(0, CHECKSUM_AT);
  if (crc32c(checked) !== packet.readUInt32LE(CHECKSUM_AT)) return undefined;
  const cookie = cookieOf(packet.subarray(HEADER + CHUNK, HEADER + packet.readUInt16BE(HEADER + 2)));
  return {
    kind,
    ...(cookie === undefined ? {} : { cookie }),
    sourcePort: packet.readUInt16BE(0),
    destinationPort: packet.readUInt16BE(2),
    verificationTag: packet.readUInt32BE(4),
    initiateTag: packet.readUInt32BE(HEADER + 4),
  };
}

function cookieOf(parameters: Buffer): string | undefined {
  for (let at = 0; at + PARAMETER <= parameters.length;) {
    const size = Math.max(PARAMETER, parameters.readUInt16BE(at + 2));
    if (parameters.readUInt16BE(at) === STATE_COOKIE) return parameters.toString('utf8', at + PARAMETER, at + size);
    at += padded(size);
  }
  return undefined;
}

/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let value = octet;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

export function crc32c(octets: Uint8Array): number {
  let value = 0xffffffff;
  for (const octet of octets) value = (value >>> 8) ^ TABLE[(value ^ octet) & 0xff]!;
  return (value ^ 0xffffffff) >>> 0;
}
