/**
 * Cuts a stream of BGP messages (RFC 4271 section 4.1) where they end, without copying any but those split between reads.
 */

const HEADER = 19;
/** RFC 8654's largest message. */
const LARGEST = 65_535;

export type MessageHandler = (type: number, octets: Uint8Array, start: number, end: number) => void;

export class MessageWalk {
  private readonly kept = new Uint8Array(LARGEST);
  private keptLength = 0;

  /** @param handle called with the body, octets[start .. end), of each message; the octets are lent for the call only */
  constructor(private readonly handle: MessageHandler) {}

  /** @throws Error when a header cannot be one */
  push(octets: Uint8Array, length: number): void {
    let at = this.keptLength > 0 ? this.finishKept(octets, length) : 0;
    while (length - at >= HEADER) {
      const size = sizeOf(octets, at);
      if (length - at < size) break;
      this.handle(octets[at + 18]!, octets, at + HEADER, at + size);
      at += size;
    }
    if (at < length) this.keep(octets, at, length);
  }

  /** Completes the message that the last read left unfinished. @returns how many octets it took */
  private finishKept(octets: Uint8Array, length: number): number {
    let at = 0;
    if (this.keptLength < HEADER) at = this.keep(octets, 0, Math.min(length, HEADER - this.keptLength));
    if (this.keptLength < HEADER) return at;
    const size = sizeOf(this.kept, 0);
    at = this.keep(octets, at, Math.min(length, at + size - this.keptLength));
    if (this.keptLength === size) {
      this.keptLength = 0;
      this.handle(this.kept[18]!, this.kept, HEADER, size);
    }
    return at;
  }

  private keep(octets: Uint8Array, from: number, to: number): number {
    this.kept.set(octets.subarray(from, to), this.keptLength);
    this.keptLength += to - from;
    return to;
  }
}

function sizeOf(octets: Uint8Array, at: number): number {
  const size = (octets[at + 16]! << 8) | octets[at + 17]!;
  if (size < HEADER || octets[at] !== 0xff) throw new Error(`not a BGP message header: length ${size}`);
  return size;
}
