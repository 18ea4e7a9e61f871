/** What stands in the egress table as nodes come, change and go. */

import { describe, expect, test } from '@jest/globals';
import { createEgressPlan, NO_PART, samePart, type EgressPart } from '../../../../src/app/plumbing/egress.js';
import { parseAddress, parsePrefix, type IpAddress, type IpPrefix } from '../../../../src/core/ip.js';

const prefixes = (...texts: readonly string[]): readonly IpPrefix[] =>
  texts.map(text => {
    const parsed = parsePrefix(text);
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value;
  });
const addresses = (...texts: readonly string[]): readonly IpAddress[] =>
  texts.map(text => {
    const parsed = parseAddress(text);
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value;
  });
const part = (given: Partial<EgressPart>): EgressPart => ({ ...NO_PART, ...given });

const OWN = part({
  local: prefixes('10.244.1.0/24', 'fd00:1::/64'),
  pods: prefixes('10.244.1.0/24', 'fd00:1::/64'),
  nodes: addresses('10.0.0.1', '2001:db8::1'),
});
const OTHER = part({ pods: prefixes('10.244.2.0/24'), nodes: addresses('10.0.0.2') });

describe('a plan', () => {
  test('has own pods as sources, all pods and nodes as exceptions', () => {
    const plan = createEgressPlan();
    expect([...plan.set('n1', OWN).keys()].sort()).toEqual([
      'local4 10.244.1.0/24',
      'local6 fd00:1::/64',
      'nodes4 10.0.0.1',
      'nodes6 2001:db8::1',
      'pods4 10.244.1.0/24',
      'pods6 fd00:1::/64',
    ]);
    expect([...plan.set('n2', OTHER)]).toEqual([
      ['pods4 10.244.2.0/24', ''],
      ['nodes4 10.0.0.2', ''],
    ]);
    expect(plan.elements().size).toBe(8);
  });

  test('tells of a changed node what changed, and nothing when nothing did', () => {
    const plan = createEgressPlan();
    plan.set('n2', OTHER);
    expect(plan.set('n2', OTHER).size).toBe(0);
    expect([...plan.set('n2', part({ pods: prefixes('10.244.3.0/24'), nodes: addresses('10.0.0.2') }))]).toEqual([
      ['pods4 10.244.3.0/24', ''],
      ['pods4 10.244.2.0/24', undefined],
    ]);
    expect([...plan.set('n2', NO_PART)]).toEqual([
      ['pods4 10.244.3.0/24', undefined],
      ['nodes4 10.0.0.2', undefined],
    ]);
    expect(plan.elements().size).toBe(0);
  });

  test('keeps what two nodes claim until the last one leaves', () => {
    const plan = createEgressPlan();
    plan.set('n2', OTHER);
    expect(plan.set('n3', OTHER).size).toBe(0);
    expect(plan.set('n2', NO_PART).size).toBe(0);
    expect(plan.set('n3', NO_PART).size).toBe(2);
  });

  test('holds no prefix inside another one', () => {
    const plan = createEgressPlan();
    plan.set('n2', OTHER);
    expect([...plan.set('configuration', part({ pods: prefixes('10.244.0.0/16') }))]).toEqual([
      ['pods4 10.244.2.0/24', undefined],
      ['pods4 10.244.0.0/16', ''],
    ]);
    expect([...plan.elements().keys()].sort()).toEqual(['nodes4 10.0.0.2', 'pods4 10.244.0.0/16']);
  });

  test('excluded networks have sets of their own', () => {
    const plan = createEgressPlan();
    const changes = plan.set('configuration', part({ excluded: prefixes('192.168.0.0/16', 'fc00::/7') }));
    expect([...changes.keys()]).toEqual(['excluded4 192.168.0.0/16', 'excluded6 fc00::/7']);
  });
});

test('parts are the same when they say the same', () => {
  expect(samePart(OWN, { ...OWN })).toBe(true);
  expect(samePart(OWN, { ...OWN, excluded: prefixes('192.168.0.0/16') })).toBe(false);
  expect(samePart(OWN, { ...OWN, nodes: addresses('10.0.0.1') })).toBe(false);
});
