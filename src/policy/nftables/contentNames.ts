/**
 * Names of chains and sets, made from what is in them: what is called the same is the same, so a restart finds its work by
 * name, policies that say the same share it, and nothing with a name is ever changed. 64 bits of SHA-256.
 */

import { createHash } from 'node:crypto';

/** Sixteen hexadecimal digits. */
export function digestOf(content: unknown): string {
  return digestOfText(JSON.stringify(content));
}

/** The digest of a list. @param texts of its members, as JSON */
export function digestOfAll(texts: readonly string[]): string {
  return digestOfText(`[${texts.join(',')}]`);
}

function digestOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** The eight octets of a digest, as latin1 text. */
export function digestOctets(digest: string): string {
  return Buffer.from(digest, 'hex').toString('latin1');
}
