/** Patterns of communities as operators write them: `65000:1`, `65000:*`, `65000:1:*`, `rt:65000:*`, well-known names. */

import { err, ok, type Result } from '../../core/result.js';
import type { CommunityPattern } from '../policyTypes.js';
import { parseCommunity, parseExtendedCommunity, parseLargeCommunity } from './communityText.js';

/** Two octets of type and the administrator, of an extended community whose value is left open. */
const HALF = 0xffff;

/** Reads a community with `*` for any number in place of a part. The error is a sentence for a person. */
export function parseCommunityPattern(text: string): Result<CommunityPattern, string> {
  const parts = text.split(':');
  if (/^(rt|soo|0x)/.test(text)) return extendedPattern(text);
  return parts.length === 3 ? largePattern(parts, text) : standardPattern(parts, text);
}

/** The eight octets of an extended community as two words. */
export function extendedWords(community: bigint): readonly [number, number] {
  return [Number(community >> 32n), Number(community & 0xffff_ffffn)];
}

function standardPattern(parts: readonly string[], text: string): Result<CommunityPattern, string> {
  const parsed = parseCommunity(withZeros(parts));
  if (!parsed.ok) return err(notAPattern(text));
  const [high, low] = parts;
  const mask = ((high === '*' ? 0 : HALF << 16) | (low === '*' ? 0 : HALF)) >>> 0;
  return ok({ kind: 'standard', mask, value: parsed.value });
}

function largePattern(parts: readonly string[], text: string): Result<CommunityPattern, string> {
  const parsed = parseLargeCommunity(withZeros(parts));
  if (!parsed.ok) return err(notAPattern(text));
  const [a, b, c] = parsed.value;
  const open = (i: number, value: number): number | null => (parts[i] === '*' ? null : value);
  return ok({ kind: 'large', parts: [open(0, a), open(1, b), open(2, c)] });
}

function extendedPattern(text: string): Result<CommunityPattern, string> {
  const isOpen = text.endsWith(':*');
  const parsed = parseExtendedCommunity(isOpen ? `${text.slice(0, -1)}0` : text);
  if (!parsed.ok) return err(notAPattern(text));
  const value = extendedWords(parsed.value);
  if (!isOpen) return ok({ kind: 'extended', mask: [0xffff_ffff, 0xffff_ffff], value });
  // A two-octet AS leaves four octets for the value; an address, or a four-octet AS, two.
  const short = value[0] >>> 24 === 0;
  return ok({ kind: 'extended', mask: [0xffff_ffff, short ? 0 : 0xffff_0000], value });
}

function withZeros(parts: readonly string[]): string {
  return parts.map(part => (part === '*' ? '0' : part)).join(':');
}

function notAPattern(text: string): string {
  return `"${text}" is not a community: such as 65000:1, 65000:1:2, rt:65000:1 or no-export, with * for any number`;
}
