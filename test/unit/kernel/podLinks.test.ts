import { describe, expect, test } from '@jest/globals';
import type { InterfaceAddress } from '../../../src/kernel/addresses.js';
import { mapPodLinks, type HostLink, type PodLinkFacts } from '../../../src/kernel/podLinks.js';
import { address } from '../fib/routeText.js';

const NOTHING: PodLinkFacts = { links: [], inside: new Map(), routes: [], neighbours: [], forwarding: [] };
const BRIDGE = link(3, { name: 'kube-bridge', kind: 'bridge' });

function link(index: number, more: Partial<HostLink> = {}): HostLink {
  return { index, name: `veth${index}`, mtu: 1500, up: true, kind: 'veth', master: null, peer: null, ...more };
}

function inside(ifindex: number, text: string, scope = 0): InterfaceAddress {
  return { ifindex, address: address(text), length: 24, scope, flags: 0 };
}

function named(facts: Partial<PodLinkFacts>, before?: ReturnType<typeof mapPodLinks>): Record<string, string> {
  const found = mapPodLinks({ ...NOTHING, ...facts }, before);
  return Object.fromEntries([...found].map(([text, { name, by }]) => [text, `${name} ${by}`]));
}

describe('the link of a pod', () => {
  test('is the one whose other end has the address, whether it is a port of a bridge or not', () => {
    const links = [
      BRIDGE,
      link(7, { master: 3, peer: { namespace: 0, index: 2 } }),
      link(8, { peer: { namespace: 1, index: 2 } }),
    ];
    const there = new Map([
      [0, [inside(1, '127.0.0.1', 254), inside(2, '10.1.0.5'), inside(2, 'fd00::5'), inside(2, 'fe80::5', 253)]],
      [1, [inside(2, '10.1.0.6'), inside(9, '10.9.0.6')]],
    ]);
    expect(named({ links, inside: there })).toEqual({
      '10.1.0.5': 'veth7 namespace',
      'fd00::5': 'veth7 namespace',
      '10.1.0.6': 'veth8 namespace',
    });
    expect(mapPodLinks({ ...NOTHING, links, inside: there }).get('10.1.0.5')?.bridge).toBe(3);
  });

  test('is the one that a route to the single address names, but no bridge', () => {
    const routes = [
      { address: address('10.1.0.5'), ifindex: 7 },
      { address: address('10.1.0.6'), ifindex: 3 },
      { address: address('10.1.0.7'), ifindex: 99 },
    ];
    expect(named({ links: [BRIDGE, link(7, { kind: 'tun' })], routes })).toEqual({ '10.1.0.5': 'veth7 route' });
  });

  test('is the port behind which the bridge has seen the neighbour', () => {
    const facts = {
      links: [BRIDGE, link(4, { kind: 'bridge' }), link(7, { master: 3 })],
      neighbours: [
        { ifindex: 3, address: address('10.1.0.5'), lladdr: '02:00:00:00:00:05', state: 2 },
        { ifindex: 4, address: address('10.1.0.6'), lladdr: '02:00:00:00:00:05', state: 2 },
        { ifindex: 3, address: address('10.1.0.7'), state: 1 },
      ],
      forwarding: [{ port: 7, bridge: 3, lladdr: '02:00:00:00:00:05' }],
    };
    expect(named(facts)).toEqual({ '10.1.0.5': 'veth7 neighbour' });
  });

  test('goes by the better evidence', () => {
    const facts = {
      links: [link(7, { peer: { namespace: 0, index: 2 } }), link(8)],
      inside: new Map([[0, [inside(2, '10.1.0.5')]]]),
      routes: [{ address: address('10.1.0.5'), ifindex: 8 }],
    };
    expect(named(facts)).toEqual({ '10.1.0.5': 'veth7 namespace' });
  });

  test('that had an address keeps it when another pod takes it for itself; of two new ones the older has it', () => {
    const two = [7, 8].map(index => link(index, { peer: { namespace: index, index: 2 } }));
    const both = new Map(two.map(({ index }) => [index, [inside(2, '10.1.0.5')]]));
    const first = mapPodLinks({ ...NOTHING, links: [two[1]!], inside: both });
    expect(named({ links: two, inside: both })).toEqual({ '10.1.0.5': 'veth7 namespace' });
    expect(named({ links: two, inside: both }, first)).toEqual({ '10.1.0.5': 'veth8 namespace' });
    expect(named({ links: [...two].reverse(), inside: both }, first)).toEqual({ '10.1.0.5': 'veth8 namespace' });
    expect(named({ links: [two[0]!], inside: both }, first)).toEqual({ '10.1.0.5': 'veth7 namespace' });
  });
});
