/** What plumbing takes from nodes, links and chains: pure parts. */

import { describe, expect, test } from '@jest/globals';
import { foreignChains } from '../../../../src/app/plumbing/forward.js';
import { podMtu } from '../../../../src/app/plumbing/nodeLinks.js';
import { createNodeNetworks } from '../../../../src/app/plumbing/nodeNetworks.js';
import { formatPrefix } from '../../../../src/core/ip.js';
import { DEFAULT_OVERLAY } from '../../../../src/fib/overlay/overlayOptions.js';
import { address } from '../../fib/routeText.js';
import { batchOf, nodeN } from '../../routing/cluster.js';

describe('nodes', () => {
  test('contribute their networks and addresses; the own one also sources', () => {
    const take = createNodeNetworks('n1');
    const { own, ownChanged, parts } = take(batchOf('added', nodeN(1), nodeN(2)));
    expect(ownChanged).toBe(true);
    expect(own?.podCidrs.map(formatPrefix)).toEqual(['10.244.1.0/24', 'fd00:10:244:1::/64']);
    expect(parts.get('n1')?.local).toHaveLength(2);
    expect(parts.get('n2')).toMatchObject({ local: [], excluded: [] });
    expect(parts.get('n2')?.nodes).toHaveLength(2);
  });

  test('are told when they change only, and what is of no use here changes nothing', () => {
    const take = createNodeNetworks('n1');
    take(batchOf('added', nodeN(1), nodeN(2)));
    const same = take(batchOf('changed', nodeN(1, { cordoned: true }), nodeN(2)));
    expect([same.parts.size, same.ownChanged]).toEqual([0, false]);
    const other = take(batchOf('changed', nodeN(2, { annotations: { 'pod-cidrs': '10.99.0.0/24' } })));
    expect(other.parts.get('n2')?.pods.map(formatPrefix)).toEqual(['10.99.0.0/24']);
    expect(other.ownChanged).toBe(false);
  });

  test('take their part with them when they go; pods of the own node outlive its object', () => {
    const take = createNodeNetworks('n1');
    take(batchOf('added', nodeN(1), nodeN(2)));
    const { own, parts } = take(batchOf('deleted', nodeN(1), nodeN(2)));
    expect([...parts]).toEqual([['n2', { local: [], pods: [], nodes: [], excluded: [] }]]);
    expect(own?.podCidrs).toHaveLength(2);
  });
});

describe('the MTU of pods', () => {
  const [v4, v6] = [address('10.0.0.1'), address('fd00::1')];
  const mtuFor = (own: { readonly version: 4 | 6 }): number => (own.version === 4 ? 1500 : 9000);
  test.each([
    ['IPIP over IPv4', 'auto', DEFAULT_OVERLAY, [v4], 1480],
    ['both families: the smaller link, the larger header', 'auto', DEFAULT_OVERLAY, [v4, v6], 1460],
    ['VXLAN over IPv6', 'auto', { ...DEFAULT_OVERLAY, encapsulation: 'vxlan' }, [v6], 8930],
    ['no overlay', 'auto', { ...DEFAULT_OVERLAY, enabled: false }, [v4], 1500],
    ['a network that takes less than the link', 'auto', { ...DEFAULT_OVERLAY, underlayMtu: 1400 }, [v4], 1380],
    ['said outright', 1234, DEFAULT_OVERLAY, [v4], 1234],
    ['left alone', 'keep', DEFAULT_OVERLAY, [v4], null],
    ['own addresses unknown', 'auto', DEFAULT_OVERLAY, [], null],
  ] as const)('%s', (_name, mtu, overlay, own, expected) => {
    expect(podMtu({ mtu, overlay }, own, mtuFor)).toBe(expected);
  });
});

test('chains that drop forwarded packets by policy, and are not iptables’', () => {
  const chain = { family: 'ip', table: 'fw', name: 'forward', type: 'filter', hook: 'forward', policy: 'drop' };
  const found = foreignChains([
    chain,
    { ...chain, family: 'inet', table: 'filter', name: 'FORWARD' },
    { ...chain, table: 'filter', name: 'FORWARD' },
    { ...chain, policy: 'accept' },
    { ...chain, hook: 'input' },
    { ...chain, family: 'bridge' },
    { family: 'ip', table: 'filter', name: 'DOCKER-USER' },
  ]);
  expect(found.map(({ family, table, name }) => [family, table, name].join(' '))).toEqual([
    'ip fw forward',
    'inet filter FORWARD',
  ]);
});
