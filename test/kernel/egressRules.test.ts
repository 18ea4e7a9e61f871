/** Egress rules of a namespace as packets meet them, in both families. Needs root. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EGRESS_RULES } from '../../src/policy/egress/egressList.js';
import { namespaceObject, networkPolicy, openPolicyRig, expectPassing, PODS, type PolicyRig } from './policyRig.js';
import { PORT } from './proxyRig.js';

let rig: PolicyRig;
beforeAll(async () => {
  rig = await openPolicyRig('pkegl');
  for (const name of ['client', 'node'] as const) await rig.actors[name].serve(name, PORT);
}, 120_000);
afterAll(() => rig.close());

/** Pods a and b are of namespace x, c is of y; the client is outside. */
const INSIDE = ['a>b tcp4', 'a>b tcp6', 'a>c tcp4', 'a>c tcp6', 'c>a tcp4', 'a>node tcp4', 'a>node tcp6'];
const OUTSIDE = ['a>client tcp4', 'a>client udp4', 'a>client tcp6'];
const OTHERS = ['c>client tcp4', 'client>a tcp4', 'client>a tcp6'];

function become(rules: string, ...more: readonly unknown[]): Promise<void> {
  const x = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', annotations: { [EGRESS_RULES]: rules } } };
  const others = PODS.filter(object => JSON.stringify(object) !== JSON.stringify(namespaceObject('x')));
  return rig.life.become([...others, x, ...more]);
}

describe('what pods reach outside, and nothing else, is for the rules to say', () => {
  test.each([
    ['nothing that holds', 'deny 198.51.100.0/24', OUTSIDE],
    ['IPv4 denied', 'deny 0.0.0.0/0', ['a>client tcp6']],
    ['all denied', 'deny 0.0.0.0/0, deny ::/0', []],
    [
      'one allowed before all are denied',
      'allow 192.168.9.9/32, deny 0.0.0.0/0, deny ::/0',
      ['a>client tcp4', 'a>client udp4'],
    ],
    ['denied before it is allowed', 'deny 192.168.0.0/16\nallow 192.168.9.9/32', ['a>client tcp6']],
    ['a name', 'allow client.example.org, deny 0.0.0.0/0, deny ::/0', []],
    ['rubbish', 'nonsense', []],
  ] as const)('%s', async (_name, rules, reached) => {
    await become(rules);
    await expectPassing(rig, [...INSIDE, ...OUTSIDE, ...OTHERS], [...INSIDE, ...reached, ...OTHERS]);
  });

  test('what they allow is still for NetworkPolicies to judge', async () => {
    await become('allow 0.0.0.0/0', networkPolicy('p', { podSelector: {}, policyTypes: ['Egress'] }));
    await expectPassing(rig, OUTSIDE, []);
  });

  test('without them everything is as it was', async () => {
    await rig.life.become(PODS);
    await expectPassing(rig, OUTSIDE, OUTSIDE);
    expect(rig.life.events.filter(({ kind }) => kind === 'error' || kind === 'failed')).toEqual([]);
  });
});
