/** What links and addresses say of the network between nodes. */

import { describe, expect, test } from '@jest/globals';
import { formatPrefix } from '../../../../src/core/ip.js';
import { UnderlayReader } from '../../../../src/fib/overlay/underlay.js';
import type { InterfaceAddress } from '../../../../src/kernel/addresses.js';
import type { Link } from '../../../../src/kernel/links.js';
import { IFF_LOOPBACK, IFF_UP } from '../../../../src/kernel/rtnetlink.js';
import { route } from '../fakeKernel.js';
import { address } from '../routeText.js';

const link = (index: number, mtu: number, flags = IFF_UP): Link => ({
  index,
  name: `l${index}`,
  mtu,
  flags,
  operState: 6,
  master: null,
});
const on = (ifindex: number, text: string): InterfaceAddress => {
  const [plain = '', length = ''] = text.split('/');
  return { ifindex, address: address(plain), length: Number(length), scope: 0, flags: 0 };
};
const LO = link(1, 65536, IFF_UP | IFF_LOOPBACK);

describe('the network between nodes', () => {
  test('subnets are those of our links, each once', () => {
    const reader = new UnderlayReader(186);
    reader.interfaces([LO, link(2, 1500)], [on(2, '10.1.0.10/24'), on(2, '10.1.0.11/24'), on(2, '2001:db8:1::10/64')]);
    expect(reader.changed()?.subnets.map(formatPrefix)).toEqual(['10.1.0.0/24', '2001:db8:1::/64']);
    expect(reader.changed()).toBeUndefined();
    reader.addressChanged('gone', on(2, '2001:db8:1::10/64'));
    expect(reader.changed()?.subnets.map(formatPrefix)).toEqual(['10.1.0.0/24']);
  });

  test('the MTU is that of the link with our address, as it is now', () => {
    const reader = new UnderlayReader(186);
    reader.interfaces([LO, link(2, 9000), link(3, 1400)], [on(2, '10.1.0.10/24'), on(3, '10.9.0.1/24')]);
    expect(reader.changed()?.mtuFor(address('10.1.0.10'))).toBe(9000);
    reader.linkChanged('set', link(2, 1500));
    expect(reader.changed()?.mtuFor(address('10.1.0.10'))).toBe(1500);
    reader.linkChanged('set', link(2, 1500));
    expect(reader.changed()).toBeUndefined();
  });

  test('an address on the loopback takes the smallest link with a gateway; without any, the usual', () => {
    const reader = new UnderlayReader(186);
    reader.interfaces([LO, link(2, 9000), link(3, 1400), link(4, 1300)], [on(1, '10.1.0.10/32')]);
    expect(reader.changed()?.mtuFor(address('10.1.0.10'))).toBe(1500);
    reader.routeChanged('set', route('0.0.0.0/0', '10.0.0.1', 2, 4, 0));
    reader.routeChanged('set', route('0.0.0.0/0', '10.0.1.1', 3, 4, 1));
    // A route of our own says nothing of the network.
    reader.routeChanged('set', route('10.244.2.0/24', '10.0.2.1', 4, 186, 20));
    expect(reader.changed()?.mtuFor(address('10.1.0.10'))).toBe(1400);
  });
});
