/** All cases of Cyclonus on the nine pods: those it makes for IPv4, and those with blocks once more for IPv6. Impure. */

import { NINE_PODS, SPARE } from './cluster.js';
import { generateCases, type TestCase } from './cyclonus.js';

export type FamilyCase = TestCase & { readonly family: 'IPv4' | 'IPv6' };

/** Cases on blocks of addresses bear one of these. */
const BLOCK_TAGS = ['ip-block-no-except', 'ip-block-with-except'];

export function allCases(): readonly FamilyCase[] {
  const [four, six] = NINE_PODS.pods.at(-1)!.ips;
  const of = (family: FamilyCase['family'], block = ''): readonly FamilyCase[] =>
    generateCases(NINE_PODS, block, SPARE).map(found => ({ ...found, family, name: `${family} ${found.name}` }));
  return [...of('IPv4', four), ...of('IPv6', six).filter(({ tags }) => tags.some(tag => BLOCK_TAGS.includes(tag)))];
}
