import { expect, test } from '@jest/globals';
import { resolveCollision, type Collision } from '../../../../src/bgp/session/collision.js';

const base: Collision = {
  localId: 1,
  localAsn: 65000,
  remoteId: 2,
  remoteAsn: 65001,
  newcomer: 'remote',
  other: { state: 'OpenConfirm', initiator: 'local' },
  gracefulRestart: false,
};
const with_ = (over: Partial<Collision>): Collision => ({ ...base, ...over });
const established = { state: 'Established', initiator: 'local' } as const;

test.each([
  ['the higher identifier is the peer’s, so its connection stays: the newcomer', base, 'closeOther'],
  ['the higher identifier is ours, so our connection stays: the other', with_({ localId: 3 }), 'closeNewcomer'],
  [
    'the newcomer is ours and our identifier is higher',
    with_({ localId: 3, newcomer: 'local', other: { state: 'OpenConfirm', initiator: 'remote' } }),
    'closeOther',
  ],
  [
    'the newcomer is ours and the peer’s identifier is higher',
    with_({ newcomer: 'local', other: { state: 'OpenConfirm', initiator: 'remote' } }),
    'closeNewcomer',
  ],
  ['identifiers compare as unsigned numbers', with_({ localId: 0xf0000000, remoteId: 0x10000000 }), 'closeNewcomer'],
  ['equal identifiers: the higher AS is the peer’s (RFC 6286)', with_({ localId: 2 }), 'closeOther'],
  ['equal identifiers: the higher AS is ours', with_({ localId: 2, localAsn: 65002 }), 'closeNewcomer'],
  ['the other has not sent its OPEN', with_({ other: { state: 'Connect', initiator: 'local' } }), 'closeOther'],
  ['the other waits', with_({ other: { state: 'Active', initiator: 'local' } }), 'closeOther'],
  [
    'the other waits for its OPEN, and the peer’s connection stays',
    with_({ other: { state: 'OpenSent', initiator: 'local' } }),
    'closeOther',
  ],
  [
    'the other waits for its OPEN, and ours stays unless it fails',
    with_({ localId: 3, other: { state: 'OpenSent', initiator: 'local' } }),
    'holdNewcomer',
  ],
  ['the peer gave its first attempt up', with_({ other: { state: 'OpenSent', initiator: 'remote' } }), 'closeOther'],
  [
    'the peer gave its first attempt up after its OPEN',
    with_({ localId: 3, other: { state: 'OpenConfirm', initiator: 'remote' } }),
    'closeOther',
  ],
  ['the session is up', with_({ other: established }), 'closeNewcomer'],
  ['the session is up, whatever the identifiers', with_({ other: established, localId: 3 }), 'closeNewcomer'],
  ['the session is up with graceful restart', with_({ other: established, gracefulRestart: true }), 'replaceOther'],
  [
    'graceful restart, but the newcomer is our own attempt',
    with_({ other: established, gracefulRestart: true, newcomer: 'local' }),
    'closeNewcomer',
  ],
] as const)('%s', (_name, collision, outcome) => {
  expect(resolveCollision(collision)).toBe(outcome);
});

test('both sides keep the same connection, whoever sees the OPEN first', () => {
  for (const [a, b] of [
    [1, 2],
    [2, 1],
    [2, 2],
  ] as const) {
    const atA = { localId: a, localAsn: 10, remoteId: b, remoteAsn: 20, gracefulRestart: false };
    const atB = { localId: b, localAsn: 20, remoteId: a, remoteAsn: 10, gracefulRestart: false };
    const keptAtA = kept({ ...atA, newcomer: 'remote', other: { state: 'OpenConfirm', initiator: 'local' } });
    const keptAtB = kept({ ...atB, newcomer: 'remote', other: { state: 'OpenConfirm', initiator: 'local' } });
    expect(keptAtA === 'local' ? 'remote' : 'local').toBe(keptAtB);
  }
});

function kept(collision: Collision): 'local' | 'remote' {
  return resolveCollision(collision) === 'closeOther' ? collision.newcomer : collision.other.initiator;
}
