import { describe, expect, test } from '@jest/globals';
import { ESTABLISH_PATIENCE, progress, SETTLE_TIME, type PeerProgress } from '../../../src/engine/selection.js';

const peer = (over: Partial<PeerProgress>): PeerProgress => ({
  name: 'p',
  upFor: 10,
  gracefulRestart: true,
  restarting: false,
  endOfRib: false,
  ...over,
});

describe('what a speaker that has just started waits for (RFC 4724 section 4.1)', () => {
  test.each([
    ['nobody is configured', [], 0, true, true],
    ['a peer with graceful restart has not sent End-of-RIB', [peer({})], 20, false, false],
    ['it has', [peer({ endOfRib: true })], 1, true, true],
    ['it restarts too: waiting for each other would be a deadlock', [peer({ restarting: true })], 20, true, true],
    ['a peer without the capability is never waited for', [peer({ gracefulRestart: false })], 20, true, true],
    [
      'but kernel routes stay until it had time to speak',
      [peer({ gracefulRestart: false, upFor: 1 })],
      20,
      true,
      false,
    ],
    ['a peer that is not up yet', [peer({ upFor: undefined })], ESTABLISH_PATIENCE - 1, false, false],
    [
      'a peer that does not come up holds nobody up for long',
      [peer({ upFor: undefined })],
      ESTABLISH_PATIENCE,
      true,
      true,
    ],
    ['the deferral time is over', [peer({})], 120, true, true],
  ] as const)('%s', (_name, peers, elapsed, selected, converged) => {
    expect(progress(peers, elapsed, 120, false)).toMatchObject({ selected, converged });
  });

  test('peers that no list names get time to come up', () => {
    expect(progress([], ESTABLISH_PATIENCE - 1, 120, true)).toMatchObject({ selected: false, converged: false });
    expect(progress([], ESTABLISH_PATIENCE, 120, true)).toMatchObject({ selected: true, converged: true });
    expect(progress([peer({})], ESTABLISH_PATIENCE, 120, true)).toMatchObject({ selected: false, converged: false });
  });

  test('names who is missing, also when it waits no longer', () => {
    const peers = [
      peer({ name: 'a' }),
      peer({ name: 'b', endOfRib: true }),
      peer({ name: 'c', gracefulRestart: false, upFor: SETTLE_TIME / 2 }),
    ];
    expect(progress(peers, 5, 120, false).missing).toEqual(['a', 'c']);
    expect(progress(peers, 120, 120, false).missing).toEqual(['a', 'c']);
  });
});
