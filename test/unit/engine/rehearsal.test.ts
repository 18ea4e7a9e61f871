import { describe, expect, test } from '@jest/globals';
import type { ScanContext } from '../../../src/bgp/scanContext.js';
import { UpdateRecord } from '../../../src/bgp/updateRecord.js';
import { Frame, nextFrame } from '../../../src/bgp/wire/frame.js';
import { MAX_MESSAGE, MessageType } from '../../../src/bgp/wire/iana.js';
import { scanUpdate } from '../../../src/bgp/wire/updateScanner.js';
import { systemClock, type Clock } from '../../../src/core/clock.js';
import { rehearse } from '../../../src/engine/rehearsal.js';
import { rehearsalFeed } from '../../../src/engine/rehearsalFeed.js';

const CONTEXT: ScanContext = {
  ebgp: false,
  fourOctetAs: true,
  families: [true, true],
  addPathReceive: [false, false],
  extendedNextHop: [false, false],
  localAsn: 64_512,
  remoteAsn: 64_512,
  localId: 1,
  clusterId: 1,
  enforceFirstAs: true,
  loopbackNextHops: false,
};

/** How many messages of a feed announce and withdraw, all of them looked at by the scanner. */
function judge(octets: Uint8Array): { announced: number; withdrawn: number; verdicts: Set<string> } {
  const record = new UpdateRecord();
  const frame = new Frame();
  const seen = { announced: 0, withdrawn: 0, verdicts: new Set<string>() };
  for (let at = 0; at < octets.length; at = frame.bodyEnd) {
    if (nextFrame(octets, at, octets.length, MAX_MESSAGE, frame) !== 'message') throw new Error('no whole message');
    if (frame.type !== MessageType.update) throw new Error(`a message of type ${frame.type}`);
    const reset = scanUpdate(octets, frame.bodyStart, frame.bodyEnd, CONTEXT, record);
    seen.verdicts.add(reset?.message ?? record.verdict);
    if (record.nlriEnd > record.nlriStart || record.mpReachEnd > record.mpReachStart) seen.announced++;
    if (record.withdrawnEnd > record.withdrawnStart || record.mpUnreachEnd > record.mpUnreachStart) seen.withdrawn++;
  }
  return seen;
}

describe('a rehearsal', () => {
  test.each([0, 1] as const)('has UPDATEs that nobody could find fault with, family %i', family => {
    expect(judge(rehearsalFeed(family))).toEqual({
      announced: 2400,
      withdrawn: 1200,
      verdicts: new Set(['accept']),
    });
  });

  test.each([[[1, 0]], [[0, 1]], [[1, 1]]] as const)(
    'goes from one socket to the other, families %j',
    async routes => {
      const [v4, v6] = routes;
      // Time stands still, so that no slow machine cuts it short.
      const clock: Clock = { ...systemClock, now: () => 0 };
      // OPEN, KEEPALIVE and End-of-RIB are less than this; so is not what one read of the feed makes.
      expect(await rehearse([v4, v6], clock)).toBeGreaterThan(10_000);
    },
    120_000,
  );
});
