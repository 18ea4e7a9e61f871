/** What every kernel from 5.7 on takes of our tables, though none that the tests run on would refuse it. */

import { describe, expect, test } from '@jest/globals';
import type { ChainShape, SetShape } from '../../../src/kernel/nftables/messages.js';
import { layoutOf as policyLayout } from '../../../src/policy/nftables/layout.js';
import { tenantLayout } from '../../../src/policy/tenants/tenantTable.js';
import { firewallLayout } from '../../../src/proxy/ipvs/firewallLayout.js';
import { fanChain } from '../../../src/proxy/nftables/fanChains.js';
import { layoutOf as proxyLayout, setShapes } from '../../../src/proxy/nftables/layout.js';
import { SETTINGS as POLICY } from '../../kernel/policyRig.js';
import { SETTINGS as PROXY } from '../../kernel/proxyRig.js';

interface Shapes {
  readonly sets: readonly SetShape[];
  readonly chains: readonly ChainShape[];
}

function fans(family: 4 | 6): readonly ChainShape[] {
  return (['cluster', 'local'] as const).map(list =>
    fanChain({ by: 'address', list, slots: 2, shard: 0, affinity: 10_800 }, family),
  );
}

const LAYOUTS: readonly (readonly [string, (family: 4 | 6) => Shapes])[] = [
  ['policies', family => policyLayout(family, POLICY)],
  ['policies with default deny', family => policyLayout(family, { ...POLICY, defaultDeny: true })],
  ['tenants', tenantLayout],
  [
    'services',
    family => ({ sets: setShapes(family), chains: [...proxyLayout(family, PROXY).chains, ...fans(family)] }),
  ],
  ['the firewall beside IPVS', family => firewallLayout(family, PROXY)],
];

describe.each(LAYOUTS)('%s', (_name, layout) => {
  // nft_lookup_init() before Linux 6.5: a map is asked for its data, or not at all. Debian 12 has 6.1.
  test.each([4, 6] as const)('no map is asked whether it has a key only, IPv%i', family => {
    const { sets, chains } = layout(family);
    const maps = new Set(sets.flatMap(({ name, data }) => (data === undefined ? [] : [name])));
    expect(maps.size).toBeGreaterThan(0);
    const questions = chains.flatMap(({ name, rules }) =>
      rules
        .flat()
        .flatMap(expression =>
          expression.kind === 'lookup' && expression.to === undefined ? [`${name}: ${expression.set}`] : [],
        ),
    );
    expect(questions.length).toBeGreaterThan(0);
    expect(questions.filter(question => maps.has(question.split(': ')[1] ?? ''))).toEqual([]);
  });
});
