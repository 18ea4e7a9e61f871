/** Octets in tests: written as hexadecimal with spaces wherever they help. */

export function octets(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not octets: ${hex}`);
  return Uint8Array.from(digits.match(/../g) ?? [], pair => parseInt(pair, 16));
}

export function hex(value: Uint8Array): string {
  return Array.from(value, octet => octet.toString(16).padStart(2, '0')).join('');
}

/** A message as the captures below write it: without its sixteen octets of marker. */
export function message(afterMarker: string): Uint8Array {
  return octets('ff'.repeat(16) + afterMarker);
}

/** The octets of several parts, one behind the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap(part => [...part]));
}
