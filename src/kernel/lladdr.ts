/** Link-layer addresses: octets to text with colons and back. */

/** `02:50:0a:00:00:01` */
export function lladdrText(octets: Uint8Array): string {
  return [...octets].map(octet => octet.toString(16).padStart(2, '0')).join(':');
}

/** @param text hex octets with colons, as `lladdrText` makes it */
export function lladdrOctets(text: string): Uint8Array {
  return Uint8Array.from(text.split(':').map(octet => Number.parseInt(octet, 16)));
}
