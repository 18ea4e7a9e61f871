/** Community sets compiled to a test for one community of each kind. */

import type { LargeCommunity } from '../../bgp/attributes.js';
import type { CommunityPattern } from '../../bgp/policyTypes.js';

export interface CommunityTest {
  standard(community: number): boolean;
  large(community: LargeCommunity): boolean;
  extended(community: bigint): boolean;
}

type OfKind<K extends CommunityPattern['kind']> = Extract<CommunityPattern, { readonly kind: K }>;

const WHOLE = 0xffff_ffff;

/** True for a community that one of the patterns matches. Whole values are looked up, only open ones are gone over. */
export function compileCommunitySet(patterns: readonly CommunityPattern[]): CommunityTest {
  const standard = patterns.filter((p): p is OfKind<'standard'> => p.kind === 'standard');
  const whole = new Set(standard.filter(p => p.mask === WHOLE).map(p => p.value));
  const open = standard.filter(p => p.mask !== WHOLE);
  const large = patterns.filter((p): p is OfKind<'large'> => p.kind === 'large');
  const wholeLarge = new Set(large.filter(p => !p.parts.includes(null)).map(p => p.parts.join(':')));
  const openLarge = large.filter(p => p.parts.includes(null));
  const extended = patterns
    .filter((p): p is OfKind<'extended'> => p.kind === 'extended')
    .map(p => ({ mask: joined(p.mask), value: joined(p.value) }));
  return {
    standard: community =>
      whole.has(community) || open.some(p => (community & p.mask) >>> 0 === (p.value & p.mask) >>> 0),
    large: community =>
      wholeLarge.has(community.join(':')) ||
      openLarge.some(p => p.parts.every((part, i) => part === null || part === community[i])),
    extended: community => extended.some(p => (community & p.mask) === (p.value & p.mask)),
  };
}

function joined([high, low]: readonly [number, number]): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
