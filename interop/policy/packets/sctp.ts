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
}

const HEADER = 12;
const CHUNK = 20;
const CHECKSUM_AT = 8;
const TYPES = { init: 1, initAck: 2 } as const;
/** RFC 9260: at least 1500 octets. */
const WINDOW = 0x10000;
const STREAMS = 1;

export function encodeGreeting(greeting: Greeting): Buffer {
  const packet = Buffer.alloc(HEADER + CHUNK);
  packet.writeUInt16BE(greeting.sourcePort, 0);
  packet.writeUInt16BE(greeting.destinationPort, 2);
  packet.writeUInt32BE(greeting.verificationTag, 4);
  packet.writeUInt8(TYPES[greeting.kind], HEADER);
  packet.writeUInt16BE(CHUNK, HEADER + 2);
  packet.writeUInt32BE(greeting.initiateTag, HEADER + 4);
  packet.writeUInt32BE(WINDOW, HEADER + 8);
  packet.writeUInt16BE(STREAMS, HEADER + 12);
  packet.writeUInt16BE(STREAMS, HEADER + 14);
  packet.writeUInt32BE(greeting.initiateTag, HEADER + 16);
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
  return {
    kind,
    sourcePort: packet.readUInt16BE(0),
    destinationPort: packet.readUInt16BE(2),
    verificationTag: packet.readUInt32BE(4),
    initiateTag: packet.readUInt32BE(HEADER + 4),
  };
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
