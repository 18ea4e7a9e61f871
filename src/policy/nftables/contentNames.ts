/**
 * Names of chains and sets, made from what is in them: what is called the same is the same, so a restart finds its work by
 * name, policies that say the same share it, and nothing with a name is ever changed. 64 bits of SHA-256.
 */

import { createHash } from 'node:crypto';

/** Sixteen hexadecimal digits. */
export function digestOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
}

/** The eight octets of a digest, as latin1 text. */
export function digestOctets(digest: string): string {
  return Buffer.from(digest, 'hex').toString('latin1');
}
