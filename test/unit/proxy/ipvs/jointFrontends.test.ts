/** A frontend is served when servers and firewall both say so, and gone when neither has it. */

import { expect, test } from '@jest/globals';
import { createJointFrontends, type JointFrontends, type Part } from '../../../../src/proxy/ipvs/jointFrontends.js';
import { frontendKey } from '../../../../src/proxy/proxyTypes.js';
import { deltaBetween, ipText, NOTHING, stateOf } from './ipvsWorld.js';

const KEY = frontendKey(4, ipText('10.96.0.119'), 'TCP', 80);
const WEB = stateOf([{ name: 'w', pods: [1] }]);

function wanted(): JointFrontends {
  const joint = createJointFrontends(['servers', 'firewall']);
  joint.apply(deltaBetween(NOTHING, WEB));
  return joint;
}

function say(joint: JointFrontends, part: Part, kind: 'programmed' | 'removed' | 'recovered'): boolean {
  const told = joint.take(part, { kind, frontends: [KEY] });
  if (told !== undefined) expect(told).toEqual({ kind, frontends: [KEY] });
  return told !== undefined;
}

test.each([
  ['servers', 'firewall'],
  ['firewall', 'servers'],
] as const)('%s first, then %s', (first, second) => {
  const joint = wanted();
  expect(say(joint, first, 'programmed')).toBe(false);
  expect(say(joint, second, 'programmed')).toBe(true);
  // Written again, for another backend.
  expect(say(joint, first, 'programmed')).toBe(true);
  joint.apply(deltaBetween(WEB, NOTHING));
  expect(say(joint, first, 'removed')).toBe(false);
  expect(say(joint, second, 'removed')).toBe(true);
});

test('what comes back before it has gone is served anew, and nobody says that it went', () => {
  const joint = wanted();
  say(joint, 'servers', 'programmed');
  say(joint, 'firewall', 'programmed');
  joint.apply(deltaBetween(WEB, NOTHING));
  joint.apply(deltaBetween(NOTHING, WEB));
  expect(say(joint, 'servers', 'removed')).toBe(false);
  expect(say(joint, 'firewall', 'removed')).toBe(false);
  expect(say(joint, 'firewall', 'programmed')).toBe(false);
  expect(say(joint, 'servers', 'programmed')).toBe(true);
});

test('a failure is over when no part has one', () => {
  const joint = wanted();
  for (const part of ['servers', 'firewall'] as const)
    expect(joint.take(part, { kind: 'failed', failures: new Map([[KEY, part]]) })).toBeDefined();
  expect(say(joint, 'servers', 'recovered')).toBe(false);
  expect(say(joint, 'firewall', 'recovered')).toBe(true);
});

test('what a former life left is counted once, and all else is passed on', () => {
  const joint = wanted();
  expect(joint.take('firewall', { kind: 'adopted', count: 1 })).toBeUndefined();
  expect(joint.take('servers', { kind: 'adopted', count: 1 })).toEqual({ kind: 'adopted', count: 1 });
  expect(joint.take('firewall', { kind: 'error', text: 'x' })).toEqual({ kind: 'error', text: 'x' });
});
