/**
 * Where rules have what `frontends` says of what a packet is sent to. Nothing stays in registers from one rule to the next
 * (the kernel refuses to read what the same rule has not written), so each rule that needs it looks it up.
 *
 * nft(8) takes a map's answer to be of no length, and up to 1.0.9 it aborts when it lists a key that begins with one or
 * comes upon one. It goes by what was last put into a register by number: so zeros are put where a part of the answer will
 * be that becomes a key, and the answer begins in a register that no key begins in.
 */

import type { Expression, Register } from '../../kernel/nftables/expressions.js';
import type { Family } from '../proxyTypes.js';
import * as rule from './ruleParts.js';

/** Registers of the answer if it is put at 0, and those after it. In IPv6 the last in use is 13. */
export const FRONTEND = {
  /** Number of a policy chain, one register. */
  policy: 0,
  /** Fan chain, two. */
  fan: 1,
  /** Fan chain of the local list, for traffic from outside, two. */
  local: 3,
  /** Two. */
  identity: 5,
  /** Always 0: where the record of session affinity begins. */
  spare: 7,
  /** An address and a port; before that, the key of `frontends`. */
  target: 8,
} as const;

/** Registers of a part that can be a key of its own. */
const PART = 2;

/** Loads the answer to where {@link FRONTEND} says, and goes on only if there is one. @param key the part that a key follows from */
export function loadFrontend(
  by: 'address' | 'node',
  family: Family,
  key: 'fan' | 'local' | 'identity',
): readonly Expression[] {
  return [
    ...rule.loadFrontendKey(by, family, FRONTEND.target),
    ...rule.zeros(FRONTEND[key], PART),
    { kind: 'lookup', set: 'frontends', from: FRONTEND.target, to: 0 },
  ];
}

/** The same, one register further, with `0 . policy` as key from register 0 on. */
export function loadPolicy(by: 'address' | 'node', family: Family): readonly Expression[] {
  return [
    ...rule.loadFrontendKey(by, family, FRONTEND.target),
    ...rule.zeros(0, PART),
    { kind: 'lookup', set: 'frontends', from: FRONTEND.target, to: 1 },
  ];
}

export const POLICY_KEY: Register = 0;
