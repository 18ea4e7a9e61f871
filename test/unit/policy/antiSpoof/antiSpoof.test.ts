/** Whose link is whose, from what libcni keeps and the links there are, and the elements that follow. */

import { describe, expect, test } from '@jest/globals';
import type { Link } from '../../../../src/kernel/links.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import { parseCniResult } from '../../../../src/policy/antiSpoof/cniResult.js';
import { podLinks, unknownPorts, type DatedAttachment } from '../../../../src/policy/antiSpoof/podLinks.js';
import { spoofElements } from '../../../../src/policy/antiSpoof/spoofTables.js';
import { podName } from '../../../../src/policy/policyTypes.js';

const ARGS = [
  ['K8S_POD_NAMESPACE', 'shop'],
  ['K8S_POD_NAME', 'web-1'],
];
const OWN = { name: 'eth0', mac: '02:AA:00:00:00:05', sandbox: '/var/run/netns/x' };

function cached(change: object, result: object = {}): string {
  return JSON.stringify({
    kind: 'cniCacheV1',
    ifName: 'eth0',
    cniArgs: ARGS,
    result: {
      interfaces: [{ name: 'kube-bridge' }, { name: 'veth1', mac: '0a:00:00:00:00:02' }, OWN],
      ips: [
        { version: '4', address: '10.244.1.5/24', interface: 2 },
        { version: '6', address: 'FD00:1:0:0::5/64', interface: 2 },
      ],
      ...result,
    },
    ...change,
  });
}

describe('what libcni keeps', () => {
  test('names the pod, links of the node, and addresses in canonical text', () => {
    expect(parseCniResult(cached({}))).toEqual({
      ok: true,
      value: {
        pod: 'shop/web-1',
        hostLinks: ['kube-bridge', 'veth1'],
        lladdr: '02:aa:00:00:00:05',
        addresses: ['10.244.1.5', 'fd00:1::5'],
      },
    });
  });

  test.each(['', '80:00:02:08:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:17', '0x02'])(
    'may name a hardware address that is none of Ethernet: %j',
    mac => {
      const parsed = parseCniResult(cached({}, { interfaces: [{ name: 'veth1' }, { ...OWN, mac }] }));
      expect(parsed.ok && parsed.value).toMatchObject({ hostLinks: ['veth1'], lladdr: undefined });
    },
  );

  test.each([
    ['another kind of file', '{"kind":"cniCacheV2"}'],
    ['a result of old, without a kind', '{"cniVersion":"0.3.1","interfaces":[]}'],
    ['of nobody’s pod', cached({ cniArgs: null })],
    ['a loopback', cached({ ifName: 'lo' })],
    ['without a link in the node', cached({}, { interfaces: [OWN] })],
    ['without links at all', cached({}, { interfaces: null })],
  ])('%s is none of our business', (_name, text) => {
    expect(parseCniResult(text)).toEqual({ ok: true, value: undefined });
  });

  test.each([
    ['half a file', '{"kind":"cniCac', /no JSON/],
    ['no result', cached({ result: 7 }), /no result of a CNI plugin/],
    ['no address', cached({}, { ips: [{ address: 'ten' }] }), /ten/],
  ])('%s is complained of', (_name, text, complaint) => {
    const parsed = parseCniResult(text);
    expect(parsed.ok ? '' : parsed.error).toMatch(complaint);
  });
});

const link = (index: number, name: string, master: number | null = null): Link => ({
  index,
  name,
  master,
  mtu: 1500,
  flags: 0,
  operState: 6,
});
const attachment = (change: Partial<DatedAttachment> = {}): DatedAttachment => ({
  pod: podName('shop', 'web-1'),
  hostLinks: ['kube-bridge', 'veth1'],
  lladdr: '02:aa:00:00:00:05',
  addresses: ['10.244.1.5' as IpText],
  writtenAt: 1,
  ...change,
});
const LINKS = [link(4, 'kube-bridge'), link(7, 'veth1', 4), link(8, 'veth2', 4), link(9, 'ifb1'), link(10, 'cali1')];

describe('whose link is whose', () => {
  test.each([
    ['a port of the listed bridge', attachment(), [['veth1', true]]],
    ['a link of its own', attachment({ hostLinks: ['cali1'] }), [['cali1', false]]],
    ['one that a later plugin’s link follows', attachment({ hostLinks: ['cali1', 'ifb1'] }), [['cali1', false]]],
    ['a bridge’s port that comes last', attachment({ hostLinks: ['ifb1', 'kube-bridge', 'veth1'] }), [['veth1', true]]],
    ['one that is gone', attachment({ hostLinks: ['veth9'] }), []],
    ['a port without hardware address', attachment({ lladdr: undefined }), []],
  ] as const)('%s', (_name, given, expected) => {
    expect(podLinks([given], LINKS).map(found => [found.link, found.isBridged])).toEqual(expected);
  });

  test('what was written last counts, in whichever order it is read', () => {
    const old = attachment({ pod: podName('shop', 'old'), writtenAt: 1 });
    const fresh = attachment({ pod: podName('shop', 'fresh'), writtenAt: 2 });
    for (const files of [
      [old, fresh],
      [fresh, old],
    ])
      expect(podLinks(files, LINKS).map(({ pod }) => pod)).toEqual(['shop/fresh']);
  });

  test('ports of the bridge that nobody is known of', () => {
    const known = podLinks([attachment()], LINKS);
    expect(unknownPorts('kube-bridge', known, LINKS)).toEqual(['veth2']);
    expect(unknownPorts('other', known, LINKS)).toEqual([]);
  });
});

describe('elements', () => {
  test('of pods on a bridge, of routed ones, and of closed ports', () => {
    const pods = podLinks(
      [
        attachment({ addresses: ['10.244.1.5', '::5'] as IpText[] }),
        attachment({ pod: podName('shop', 'db'), hostLinks: ['cali1'], addresses: ['fd00::7'] as IpText[] }),
      ],
      LINKS,
    );
    const { bridge, routed } = spoofElements(pods, ['veth2']);
    expect([...bridge.keys()]).toEqual([
      'guarded "veth2"',
      'guarded "veth1"',
      'pods4 "veth1" . 10.244.1.5',
      'pods6 "veth1" . ::5',
      'lladdrs "veth1" . 02:aa:00:00:00:05',
      'targets6 "veth1" . 0x5',
    ]);
    expect([...routed.keys()]).toEqual(['guarded "cali1"', 'pods6 "cali1" . fd00::7']);
  });
});
