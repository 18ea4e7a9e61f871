/** Forms of text in policies: prefix rules, and communities of any kind. Pure. */

import type { LargeCommunity } from '../../bgp/attributes.js';
import type { PrefixRule } from '../../bgp/policyTypes.js';
import { extendedWords } from '../../bgp/wire/communityPattern.js';
import { parseCommunity, parseExtendedCommunity, parseLargeCommunity } from '../../bgp/wire/communityText.js';
import { addressBits, formatPrefix, parsePrefix } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';

export type AnyCommunity =
  | { readonly kind: 'standard'; readonly community: number }
  | { readonly kind: 'large'; readonly community: LargeCommunity }
  | { readonly kind: 'extended'; readonly community: readonly [number, number] };

/** Reads `[permit|deny] PREFIX [ge N] [le N]`. The error is a sentence for a person. */
export function parsePrefixRule(text: string): Result<PrefixRule, string> {
  const words = text.trim().split(/\s+/);
  const action = words[0] === 'deny' ? 'deny' : 'permit';
  if (words[0] === 'deny' || words[0] === 'permit') words.shift();
  const prefix = parsePrefix(words.shift() ?? '');
  if (!prefix.ok) return prefix;
  const ge = lengthAfter('ge', words);
  const le = lengthAfter('le', words);
  if (words.length > 0) return err(`"${text}" is not PREFIX, PREFIX ge 16, PREFIX le 24 or PREFIX ge 16 le 24`);
  return checkedRule({
    prefix: prefix.value,
    ...(ge === undefined ? {} : { ge }),
    ...(le === undefined ? {} : { le }),
    action,
  });
}

/** Refuses lengths that no prefix has. */
export function checkedRule(rule: PrefixRule): Result<PrefixRule, string> {
  const { prefix, ge = prefix.length, le } = rule;
  const bits = addressBits(prefix.address);
  if (ge > bits || (le ?? 0) > bits) return err(`${formatPrefix(prefix)}: ge and le are at most ${bits}`);
  if (ge < prefix.length) return err(`${formatPrefix(prefix)}: ge ${ge} is shorter than the prefix`);
  if (le !== undefined && le < ge)
    return err(`${formatPrefix(prefix)}: le ${le} is less than ${ge}: nothing would match`);
  return ok(rule);
}

/** Reads a community of any kind by its form: 65000:1 or a name, 65000:1:2, rt:65000:1. */
export function parseAnyCommunity(text: string): Result<AnyCommunity, string> {
  if (/^(rt|soo|0x)/.test(text)) {
    const parsed = parseExtendedCommunity(text);
    return parsed.ok ? ok({ kind: 'extended', community: extendedWords(parsed.value) }) : parsed;
  }
  if (text.split(':').length === 3) {
    const parsed = parseLargeCommunity(text);
    return parsed.ok ? ok({ kind: 'large', community: parsed.value }) : parsed;
  }
  const parsed = parseCommunity(text);
  return parsed.ok ? ok({ kind: 'standard', community: parsed.value }) : parsed;
}

/** Takes `word N` from the front of the words. */
function lengthAfter(word: string, words: string[]): number | undefined {
  if (words[0] !== word || !/^\d{1,3}$/.test(words[1] ?? '')) return undefined;
  return Number(words.splice(0, 2)[1]);
}
