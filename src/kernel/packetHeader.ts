/** The addresses, protocol and ports that an IP packet begins with (RFC 791, RFC 8200). */

export interface PacketHeader {
  readonly version: 4 | 6;
  /** Octets, as latin1 text. */
  readonly source: string;
  readonly destination: string;
  /** As in the IP header, or the last extension header that was looked at. */
  readonly protocol: number;
  /** Undefined: the protocol has none, or the packet was cut short, or is a later fragment. */
  readonly ports: { readonly source: number; readonly destination: number } | undefined;
}

/** TCP, UDP, UDP-Lite, SCTP and DCCP begin with both ports. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);
const [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS, MOBILITY] = [0, 43, 44, 51, 60, 135];

/** @returns undefined for what is no IP packet, or cut short within its addresses */
export function readPacketHeader(octets: Uint8Array): PacketHeader | undefined {
  const version = (octets[0] ?? 0) >>> 4;
  if (version === 4 && octets.length >= 20) return readFour(octets);
  if (version === 6 && octets.length >= 40) return readSix(octets);
  return undefined;
}

function readFour(octets: Uint8Array): PacketHeader {
  const protocol = octets[9]!;
  const isFirst = (u16(octets, 6) & 0x1fff) === 0;
  return {
    version: 4,
    source: text(octets, 12, 16),
    destination: text(octets, 16, 20),
    protocol,
    ports: isFirst ? portsAt(octets, (octets[0]! & 15) * 4, protocol) : undefined,
  };
}

function readSix(octets: Uint8Array): PacketHeader {
  let [next, at, isFirst] = [octets[6]!, 40, true];
  // An extension header is eight octets at least.
  while (at + 8 <= octets.length && isFirst) {
    const step = extensionSize(octets, at, next);
    if (step === 0) break;
    if (next === FRAGMENT) isFirst = (u16(octets, at + 2) & 0xfff8) === 0;
    next = octets[at]!;
    at += step;
  }
  return {
    version: 6,
    source: text(octets, 8, 24),
    destination: text(octets, 24, 40),
    protocol: next,
    ports: isFirst ? portsAt(octets, at, next) : undefined,
  };
}

/** @returns octets of the extension header; 0: it is none */
function extensionSize(octets: Uint8Array, at: number, type: number): number {
  switch (type) {
    case FRAGMENT:
      return 8;
    case AUTHENTICATION:
      return (octets[at + 1]! + 2) * 4;
    case HOP_BY_HOP:
    case ROUTING:
    case DESTINATION_OPTIONS:
    case MOBILITY:
      return (octets[at + 1]! + 1) * 8;
    default:
      return 0;
  }
}

function portsAt(octets: Uint8Array, at: number, protocol: number): PacketHeader['ports'] {
  if (!WITH_PORTS.has(protocol) || at + 4 > octets.length) return undefined;
  return { source: u16(octets, at), destination: u16(octets, at + 2) };
}

function u16(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!;
}

function text(octets: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...octets.subarray(start, end));
}
