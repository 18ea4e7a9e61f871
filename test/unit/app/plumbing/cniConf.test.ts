/** What becomes of CNI configurations of every shape, and that nothing of others is lost on the way there and back. */

import { describe, expect, test } from '@jest/globals';
import {
  mergeCniConf,
  newCniConf,
  rangesOfCniConf,
  restoreCniConf,
  type CniWish,
} from '../../../../src/app/plumbing/cniConf.js';
import { formatPrefix } from '../../../../src/core/ip.js';

const WISH: CniWish = { podCidrs: ['10.244.1.0/24', 'fd00:1::/64'], mtu: 1450, bridge: 'kube-bridge' };
const RANGES = [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:1::/64' }]];

/** As kube-router's manifests install it. */
const LIST = `{
   "cniVersion":"0.3.0",
   "name":"mynet",
   "plugins":[
      {
         "name":"kubernetes",
         "type":"bridge",
         "bridge":"kube-bridge",
         "isDefaultGateway":true,
         "hairpinMode":true,
         "ipam":{
            "type":"host-local"
         }
      },
      {
         "type":"portmap",
         "capabilities":{
            "snat":true,
            "portMappings":true
         }
      }
   ]
}
`;

function merged(text: string, wish: CniWish = WISH): { readonly text: string; readonly complaints: readonly string[] } {
  const result = mergeCniConf(text, wish);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** A single plugin after merging, without our note. */
function plugin(conf: object, wish: CniWish = WISH): object {
  const { peerage, ...rest } = JSON.parse(merged(JSON.stringify(conf), wish).text) as { peerage?: object };
  expect(peerage === undefined).toBe(JSON.stringify(rest) === JSON.stringify(conf));
  return rest;
}

function restored(text: string): unknown {
  const result = restoreCniConf(text);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

describe('pod networks and MTU', () => {
  test('go into the bridge plugin of a list; everything else stays in its place', () => {
    const { text, complaints } = merged(LIST);
    const conf = JSON.parse(text) as { plugins: readonly object[] };
    expect(complaints).toEqual([]);
    expect(conf.plugins[0]).toEqual({
      name: 'kubernetes',
      type: 'bridge',
      bridge: 'kube-bridge',
      isDefaultGateway: true,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: RANGES },
      mtu: 1450,
      peerage: { ranges: WISH.podCidrs, before: { mtu: null } },
    });
    const others = (lines: string): readonly string[] =>
      lines
        .replaceAll('": ', '":')
        .split('\n')
        .filter(line => /snat|name|isDef|0\.3/.test(line));
    expect(others(text)).toEqual(others(LIST));
    expect(Object.keys(conf)).toEqual(['cniVersion', 'name', 'plugins']);
  });

  test.each([
    [
      'a subnet of the old form moves to ranges, with what belongs to it',
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
        ipam: { type: 'host-local', subnet: '10.244.1.0/24', rangeStart: '10.244.1.9', routes: [{ dst: '0.0.0.0/0' }] },
        last: 1,
      },
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
        ipam: {
          type: 'host-local',
          routes: [{ dst: '0.0.0.0/0' }],
          ranges: [[{ subnet: '10.244.1.0/24', rangeStart: '10.244.1.9' }], [{ subnet: 'fd00:1::/64' }]],
        },
        last: 1,
      },
    ],
    [
      'a range that somebody refined is kept as it is',
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
        ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.1.0/24', gateway: '10.244.1.254' }]] },
      },
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.244.1.0/24', gateway: '10.244.1.254' }], [{ subnet: 'fd00:1::/64' }]],
        },
      },
    ],
    [
      'bridge, hairpin mode and IPAM are added where they are missing',
      { type: 'bridge' },
      {
        type: 'bridge',
        ipam: { type: 'host-local', ranges: RANGES },
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
      },
    ],
    [
      'a hairpin mode of false is what somebody wants',
      { type: 'bridge', bridge: 'kube-bridge', hairpinMode: false, mtu: 9000, ipam: { type: 'host-local' } },
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: false,
        mtu: 1450,
        ipam: { type: 'host-local', ranges: RANGES },
      },
    ],
    [
      'a plugin that is no bridge gets networks only',
      { type: 'ptp', ipam: { type: 'host-local' } },
      { type: 'ptp', ipam: { type: 'host-local', ranges: RANGES } },
    ],
    [
      'a file that says it all already is left alone',
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
        ipam: { type: 'host-local', ranges: RANGES },
      },
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        hairpinMode: true,
        mtu: 1450,
        ipam: { type: 'host-local', ranges: RANGES },
      },
    ],
  ])('%s', (_name, conf, expected) => {
    const result = plugin(conf);
    expect(result).toEqual(expected);
    expect(JSON.stringify(result)).toBe(JSON.stringify(expected));
  });

  test('merging twice changes nothing, to the octet', () => {
    const once = merged(LIST).text;
    expect(merged(once).text).toBe(once);
  });

  test('a network that the node has no longer goes, one of somebody else stays and is complained about', () => {
    const first = merged(
      JSON.stringify({ type: 'bridge', ipam: { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/16' }]] } }),
    );
    expect(first.complaints).toEqual(['hands out addresses of 10.9.0.0/16, which is no pod network of this node']);
    const next = merged(first.text, { ...WISH, podCidrs: ['10.244.7.0/24'] }).text;
    const conf = JSON.parse(next) as { ipam: object };
    expect(conf.ipam).toEqual({
      type: 'host-local',
      ranges: [[{ subnet: '10.9.0.0/16' }], [{ subnet: '10.244.7.0/24' }]],
    });
  });

  test('without an MTU to set, the file keeps its own', () => {
    expect(plugin({ type: 'bridge', mtu: 9000, ipam: { type: 'host-local' } }, { ...WISH, mtu: null })).toMatchObject({
      mtu: 9000,
    });
  });
});

test.each([
  ['{', /^is no JSON: /],
  ['[]', /^is no JSON object$/],
  ['{"plugins": 1}', /no list/],
  ['{"name": "x", "type": "calico", "ipam": {"type": "calico-ipam"}}', /neither a bridge plugin nor/],
  ['{"plugins": [{"type": "portmap"}]}', /neither a bridge plugin nor/],
])('%s is refused', (text, reason) => {
  const result = mergeCniConf(text, WISH);
  expect(result.ok ? 'taken' : result.error).toMatch(reason);
});

test.each([
  [{ type: 'bridge', bridge: 'cni0' }, 'names the bridge "cni0", where this router looks after kube-bridge'],
  [{ type: 'bridge', ipMasq: true }, 'says ipMasq: pods of other nodes see the node’s address instead of the pod’s'],
  [{ type: 'bridge', ipam: { type: 'dhcp' } }, 'has IPAM of type "dhcp": pods get addresses without this router'],
])('%j is complained about', (conf, complaint) => {
  expect(merged(JSON.stringify(conf)).complaints).toEqual([complaint]);
});

describe('restoring', () => {
  test.each([
    [LIST],
    ['{"type":"bridge","mtu":9000,"ipam":{"type":"host-local"}}'],
    ['{"type":"bridge","ipam":{"type":"host-local","ranges":[[{"subnet":"10.9.0.0/16"}]]}}'],
  ])('gives back %s', text => {
    const first = merged(text, { ...WISH, podCidrs: ['10.1.0.0/24'], mtu: 1400 }).text;
    const result = restored(merged(first).text) as { kind: string; text: string };
    expect(result.kind).toBe('restored');
    expect(result.text).toBe(text === LIST ? `${JSON.stringify(JSON.parse(LIST), null, 3)}\n` : text);
  });

  test('gives back a subnet of the old form', () => {
    const ipam = { type: 'host-local', subnet: '10.244.1.0/24', rangeStart: '10.244.1.9' };
    const result = restored(merged(JSON.stringify({ type: 'bridge', ipam })).text) as { text: string };
    expect(JSON.parse(result.text)).toEqual({ type: 'bridge', ipam });
  });

  test('leaves alone what we never touched', () => {
    expect(restored(LIST)).toEqual({ kind: 'untouched' });
  });

  test.each([true, false])('a file that we made (list: %s) is to be deleted, also after changes of ours', isList => {
    const made = newCniConf(isList, WISH);
    expect(merged(made).text).toBe(made);
    const changed = merged(made, { ...WISH, podCidrs: ['10.1.0.0/24'], mtu: 1300 }).text;
    expect(changed).toMatch(/"10\.1\.0\.0\/24"[^]*1300|1300[^]*"10\.1\.0\.0\/24"/);
    expect(changed).not.toContain('10.244.1.0');
    expect(restored(changed)).toEqual({ kind: 'delete' });
  });
});

describe('networks that pods get addresses of', () => {
  const bridge = (ipam: object): string => JSON.stringify({ type: 'bridge', ipam: { type: 'host-local', ...ipam } });
  test.each([
    ['what we wrote', newCniConf(true, WISH), WISH.podCidrs],
    ['the old form', bridge({ subnet: '10.9.0.0/16' }), ['10.9.0.0/16']],
    [
      'both forms',
      bridge({ subnet: '10.9.0.0/16', ranges: [[{ subnet: 'fd09::/64' }]] }),
      ['10.9.0.0/16', 'fd09::/64'],
    ],
    ['none', bridge({}), []],
    ['a range that is none', bridge({ ranges: [[{ subnet: 'x' }]] }), []],
    ['no JSON', '{', []],
  ])('%s', (_what, text, expected) => {
    expect(rangesOfCniConf(text).map(formatPrefix)).toEqual(expected);
  });
});
