import { describe, expect, test } from '@jest/globals';
import { formatPrefix } from '../../../src/core/ip.js';
import { parseObject } from '../../../src/kube/objects.js';
import { parseCidr } from '../../../src/kube/schemaParts.js';

function complaint(spec: unknown): string {
  const result = parseObject({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'p', namespace: 'd' },
    spec,
  });
  return result.ok ? 'good' : result.error.text;
}

describe('NetworkPolicy: what an API server would refuse', () => {
  const rule = (rest: object): object => ({ podSelector: {}, ingress: [rest] });
  const selecting = (requirement: object): object => ({ podSelector: { matchExpressions: [requirement] } });
  const block = (cidr: string, ...except: string[]): object => rule({ from: [{ ipBlock: { cidr, except } }] });

  test.each([
    [
      'endPort without port',
      rule({ ports: [{ endPort: 90 }] }),
      /spec\.ingress\[0\]\.ports\[0\]\.endPort: needs a port/,
    ],
    ['endPort with a name', rule({ ports: [{ port: 'web', endPort: 90 }] }), /ports\[0\]\.endPort: needs a port/],
    ['endPort below port', rule({ ports: [{ port: 91, endPort: 90 }] }), /ports\[0\]\.endPort: needs a port/],
    ['a hole outside', block('10.0.0.0/8', '11.0.0.0/16'), /from\[0\]\.ipBlock\.except: every prefix must be inside/],
    ['a hole of another family', block('10.0.0.0/8', 'fd00::/16'), /from\[0\]\.ipBlock\.except: every prefix/],
    ['a hole as large as all', block('10.0.0.0/8', '10.0.0.0/8'), /from\[0\]\.ipBlock\.except: every prefix/],
    [
      'In of nothing',
      selecting({ key: 'a', operator: 'In' }),
      /matchExpressions\[0\]\.values: In and NotIn need values/,
    ],
    [
      'Exists of a value',
      selecting({ key: 'a', operator: 'Exists', values: ['b'] }),
      /matchExpressions\[0\]\.values: /,
    ],
    ['an operator', selecting({ key: 'a', operator: 'Is', values: ['b'] }), /matchExpressions\[0\]\.operator: /],
    ['a peer that is none', rule({ from: [{}] }), /from\[0\]: needs either an ipBlock or a selector/],
    ['a port that is none', rule({ ports: [{ port: 0 }] }), /ports\[0\]\.port: /],
  ])('%s', (_name, spec, text) => {
    expect(complaint(spec)).toMatch(text);
  });

  test.each([
    ['a range of one port', rule({ ports: [{ port: 80, endPort: 80 }] })],
    ['a hole', block('10.0.0.0/8', '10.1.0.0/16')],
    ['zeros that some put before numbers', block('010.00.000.0/8', '10.010.0.0/16')],
    ['expressions', selecting({ key: 'a', operator: 'DoesNotExist' })],
  ])('but not %s', (_name, spec) => {
    expect(complaint(spec)).toBe('good');
  });
});

describe('directions that a NetworkPolicy governs', () => {
  const directions = (spec: object): readonly string[] => {
    const result = parseObject({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p', namespace: 'd' },
      spec: { podSelector: {}, ...spec },
    });
    if (!result.ok || result.value?.kind !== 'NetworkPolicy') throw new Error('is no NetworkPolicy');
    const { ingress, egress } = result.value;
    return [...(ingress === undefined ? [] : ['ingress']), ...(egress === undefined ? [] : ['egress'])];
  };

  test.each([
    ['nothing is said', {}, ['ingress']],
    ['there are rules for what goes out', { egress: [{}] }, ['ingress', 'egress']],
    // An API server takes an empty list for none.
    ['the list is empty', { policyTypes: [] }, ['ingress']],
    ['the list is empty, and there are rules', { policyTypes: [], egress: [{}] }, ['ingress', 'egress']],
    ['one is named', { policyTypes: ['Egress'], ingress: [{}] }, ['egress']],
    ['both are named', { policyTypes: ['Egress', 'Ingress'] }, ['ingress', 'egress']],
  ])('where %s', (_name, spec, expected) => {
    expect(directions(spec)).toEqual(expected);
  });
});

test('leading zeros of an address make no octal number of it', () => {
  const parsed = parseCidr('010.0.0.08/24');
  expect(parsed.ok && formatPrefix(parsed.value)).toBe('10.0.0.0/24');
  expect(['010.0.0/8', '0/0', '1000.0.0.0/8', '10.0.0.0256/32'].filter(text => parseCidr(text).ok)).toEqual([]);
});

describe('NetworkPolicy that cannot be read: what stands for it', () => {
  const BAD = { from: [{ moonPhase: 'full' }], to: [{ moonPhase: 'full' }] };
  const GOOD = { ports: [{ port: 80 }] };

  test.each([
    ['a bad rule beside a good one', { ingress: [GOOD, BAD] }, { ingress: 1 }],
    ['a bad peer beside a good one', { ingress: [{ from: [{ podSelector: {} }, {}] }] }, { ingress: 0 }],
    ['a bad port', { ingress: [{ ports: [{ port: 80 }, { protocol: 'QUIC' }] }] }, { ingress: 0 }],
    ['bad rules of the direction that is not named', { policyTypes: ['Ingress'], egress: [BAD] }, { ingress: 0 }],
    ['bad rules of the other direction, where none is named', { egress: [BAD] }, { ingress: 0, egress: 0 }],
    ['rules that are no list', { ingress: 'all', egress: 'all' }, { ingress: 0, egress: 0 }],
    ['a type of a later version', { policyTypes: ['Egress', 'Transit'], egress: [GOOD] }, { egress: 1 }],
    ['types of later versions only', { policyTypes: ['Transit'], ingress: [GOOD] }, { ingress: 1 }],
  ])('%s', (_name, spec, rules) => {
    const standIn = standInOf({ podSelector: { matchLabels: { app: 'db' } }, ...spec });
    expect(standIn).toMatchObject({ namespace: 'd', name: 'p', podSelector: { matchLabels: { app: 'db' } } });
    if (standIn?.kind !== 'NetworkPolicy') throw new Error('no policy');
    expect({ ingress: standIn.ingress?.length, egress: standIn.egress?.length }).toEqual(rules);
  });

  test.each([
    ['whom it selects', { podSelector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } }],
    ['no spec', undefined],
  ])('nothing, without %s', (_name, spec) => {
    expect(standInOf(spec)).toBeUndefined();
  });
});

function standInOf(spec: unknown) {
  const metadata = { name: 'p', namespace: 'd' };
  const result = parseObject({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec });
  if (result.ok) throw new Error('it can be read');
  return result.error.standIn;
}
