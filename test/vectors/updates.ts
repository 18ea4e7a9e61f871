/** UPDATE bodies from their three parts, and scans of them, for tests. */

import type { NotificationError } from '../../src/bgp/notification.js';
import type { ScanContext } from '../../src/bgp/scanContext.js';
import { UpdateRecord } from '../../src/bgp/updateRecord.js';
import { scanUpdate } from '../../src/bgp/wire/updateScanner.js';
import { hex, join, octets } from './hex.js';

/** An internal session with everything plain. */
export const IBGP: ScanContext = {
  ebgp: false,
  fourOctetAs: true,
  families: [true, true],
  addPathReceive: [false, false],
  extendedNextHop: [false, false],
  localAsn: 65000,
  remoteAsn: 65000,
  localId: 0x0a0000fe,
  clusterId: 0x0a0000fe,
  enforceFirstAs: false,
  loopbackNextHops: false,
};
/** An external session with AS 65001. */
export const EBGP: ScanContext = { ...IBGP, ebgp: true, remoteAsn: 65001, clusterId: 0, enforceFirstAs: true };

const length16 = (value: Uint8Array): Uint8Array => Uint8Array.of(value.length >> 8, value.length & 0xff);

/** The body of an UPDATE; parts in hexadecimal. */
export function body(attributes: string, nlri = '', withdrawn = ''): Uint8Array {
  const parts = [octets(withdrawn), octets(attributes)].flatMap(part => [length16(part), part]);
  return join(...parts, octets(nlri));
}

/** ORIGIN, AS_PATH 65001, NEXT_HOP 10.0.0.1: enough for IPv4 NLRI. */
export const ORIGIN = '40010100';
export const AS_PATH = '40020602010000fde9';
export const NEXT_HOP = '4003040a000001';
export const MANDATORY = ORIGIN + AS_PATH + NEXT_HOP;
/** 10.1.0.0/16 */
export const NLRI = '100a01';

export interface Scan {
  readonly error: NotificationError | undefined;
  readonly record: UpdateRecord;
  /** The block in hexadecimal. */
  readonly block: string;
}

/** Scans a body that stands between octets that are none of its own. */
export function scan(source: Uint8Array, context: ScanContext = EBGP): Scan {
  const record = new UpdateRecord();
  const stream = join(octets('deadbeef'), source, octets('deadbeef'));
  const error = scanUpdate(stream, 4, 4 + source.length, context, record);
  return { error, record, block: hex(record.block.subarray(0, record.blockLength)) };
}

/** `accept`, `discard` (accepted, with problems), `treatAsWithdraw`, or `reset 3/n data`. */
export function verdictOf({ error, record }: Scan): string {
  if (error !== undefined) return `reset ${error.code}/${error.subcode} ${hex(error.data)}`.trim();
  return record.verdict === 'accept' && record.problems.length > 0 ? 'discard' : record.verdict;
}
