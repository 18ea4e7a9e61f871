/** Octets in tests: written as hexadecimal with spaces wherever they help. */

export function octets(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not octets: ${hex}`);
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

export function hex(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex');
}

/** A message as the captures below write it: without its sixteen octets of marker. */
export function message(afterMarker: string): Uint8Array {
  return octets('ff'.repeat(16) + afterMarker);
}

/** The octets of several parts, one behind the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
