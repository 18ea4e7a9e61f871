/** A feed read by an engine in this process: what the benchmarks without sockets share. */

import type { Feed } from './feed.js';
import type { ScanContext } from '../../src/bgp/scanContext.js';
import { UpdateRecord } from '../../src/bgp/updateRecord.js';
import { scanUpdate } from '../../src/bgp/wire/updateScanner.js';
import type { PeerId } from '../../src/rib/peerTable.js';
import { Rib, type ReceiveContext, type RibOptions } from '../../src/rib/rib.js';

export const LOCAL_ASN = 65_000;
export const LOCAL_ID = 0x0a630001;
/** Messages between two decisions, about as many as one read of a socket brings. */
const MESSAGES_PER_READ = 600;

/** How the feeding iBGP peer speaks. */
export const SCAN: ScanContext = {
  ebgp: false,
  fourOctetAs: true,
  families: [true, true],
  addPathReceive: [false, false],
  extendedNextHop: [false, false],
  localAsn: LOCAL_ASN,
  remoteAsn: LOCAL_ASN,
  localId: LOCAL_ID,
  clusterId: LOCAL_ID,
  enforceFirstAs: true,
  loopbackNextHops: false,
};

/** Bodies of the feed's messages, with their number from one on. */
export function eachMessage(feed: Feed, visit: (start: number, end: number, count: number) => void): void {
  let count = 0;
  for (let at = 0; at < feed.octets.length;) {
    const end = at + feed.octets.readUInt16BE(at + 16);
    visit(at + 19, end, ++count);
    at = end;
  }
}

export function newRib(kernel?: RibOptions['kernel'], reserve?: RibOptions['reserve']): Rib {
  return new Rib({
    routerId: LOCAL_ID,
    trackNextHops: false,
    decision: {
      alwaysCompareMed: false,
      missingMedWorst: false,
      maximumPaths: { ebgp: 1, ibgp: 1 },
      multipathRelax: false,
    },
    ...(kernel === undefined ? {} : { kernel }),
    ...(reserve === undefined ? {} : { reserve }),
  });
}

/** Takes a feed in as if it had come from the peer. */
export function receive(rib: Rib, peer: PeerId, feed: Feed, filters?: ReceiveContext['filters']): void {
  const record = new UpdateRecord();
  const context: ReceiveContext = {
    addPath: [false, false],
    allowOwnAs: 0,
    zone: undefined,
    ...(filters === undefined ? {} : { filters }),
  };
  eachMessage(feed, (start, end, count) => {
    if (scanUpdate(feed.octets, start, end, SCAN, record) !== undefined) throw new Error('the feed is malformed');
    rib.receive(peer, record, context);
    if (count % MESSAGES_PER_READ === 0) rib.decide();
  });
  rib.decide();
}
