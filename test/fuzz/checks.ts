/** What must hold for any octets whatever, message by message. A violation is thrown as an Error that says what. */

import type { PathAttribute } from '../../src/bgp/attributes.js';
import { NotificationError } from '../../src/bgp/notification.js';
import type { ScanContext } from '../../src/bgp/scanContext.js';
import { AttrFlag, UpdateRecord } from '../../src/bgp/updateRecord.js';
import { decodeBlock } from '../../src/bgp/wire/attributeCodec.js';
import { Frame, nextFrame } from '../../src/bgp/wire/frame.js';
import { decodeNlri } from '../../src/bgp/wire/nlri.js';
import { decodeNotification, describeNotification } from '../../src/bgp/wire/notificationMessage.js';
import { decodeOpen, encodeOpen } from '../../src/bgp/wire/open.js';
import { decodeRouteRefresh } from '../../src/bgp/wire/routeRefresh.js';
import { scanUpdate } from '../../src/bgp/wire/updateScanner.js';
import { hex } from '../vectors/hex.js';
import { IBGP } from '../vectors/updates.js';
import { outcomeOf } from './oracle.js';

/** Subcodes RFC 4271 section 6 and its successors allow for what can be found in each kind of message. */
const ALLOWED: Readonly<Record<number, readonly number[]>> = {
  1: [1, 2, 3],
  2: [0, 1, 2, 3, 4, 6],
  3: [1, 2, 3, 4, 5, 6, 8, 9, 10, 11],
  7: [1],
};

export function expectThat(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function checkError(error: NotificationError, code: number): void {
  expectThat(error.code === code, `error ${error.code}/${error.subcode} where only ${code} may come`);
  expectThat(ALLOWED[code]!.includes(error.subcode), `error ${error.code}/${error.subcode} is not in the RFC`);
}

export type Tally = Record<string, number>;
const count = (tally: Tally, what: string): void => {
  tally[what] = (tally[what] ?? 0) + 1;
};

const frame = new Frame();

/** Splits a stream into messages and checks each; the first octet of a message that is none ends it. */
export function checkStream(stream: Uint8Array, maxMessage: number, context: ScanContext, tally: Tally): void {
  let at = 0;
  for (;;) {
    const result = nextFrame(stream, at, stream.length, maxMessage, frame);
    if (result === 'incomplete') {
      expectThat(frame.needed > stream.length - at && frame.needed <= maxMessage, `needs ${frame.needed} octets`);
      return;
    }
    if (result instanceof NotificationError) {
      checkError(result, 1);
      expectThat(result.data.length === [0, 0, 2, 1][result.subcode], 'data of a header error');
      count(tally, 'bad header');
      return;
    }
    const { type, bodyStart, bodyEnd } = frame;
    expectThat(bodyStart === at + 19 && bodyEnd <= stream.length, 'a frame outside of the stream');
    checkBody(type, stream, bodyStart, bodyEnd, context, tally);
    at = bodyEnd;
  }
}

function checkBody(
  type: number,
  stream: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  tally: Tally,
): void {
  if (type === 1) checkOpen(stream, start, end, tally);
  else if (type === 2) checkUpdate(stream, start, end, context, tally);
  else if (type === 3) checkNotification(stream, start, end, tally);
  else if (type === 5) checkRefresh(stream, start, end, tally);
}

export function checkOpen(stream: Uint8Array, start: number, end: number, tally: Tally): void {
  const result = decodeOpen(stream, start, end);
  if (!result.ok) {
    checkError(result.error, end - start < 10 ? 1 : 2);
    count(tally, 'bad OPEN');
    return;
  }
  count(tally, 'OPEN');
  const again = encodeOpen(result.value);
  const second = decodeOpen(again, 19, again.length);
  expectThat(second.ok && hex(encodeOpen(second.value)) === hex(again), 'an OPEN that is not the same when read again');
}

export function checkNotification(stream: Uint8Array, start: number, end: number, tally: Tally): void {
  const { code, subcode, data } = decodeNotification(stream, start, end);
  const text = describeNotification(code, subcode, data);
  expectThat(text.length > 0 && !/\p{Cc}/u.test(text), `text of a NOTIFICATION: ${JSON.stringify(text)}`);
  count(tally, 'NOTIFICATION');
}

export function checkRefresh(stream: Uint8Array, start: number, end: number, tally: Tally): void {
  const result = decodeRouteRefresh(stream, start, end);
  if (!result.ok) checkError(result.error, 7);
  count(tally, result.ok ? 'ROUTE-REFRESH' : 'bad ROUTE-REFRESH');
}

const record = new UpdateRecord();
const other = new UpdateRecord();
const again = new UpdateRecord();

/** The same UPDATE between other octets: whatever it says must not depend on them. */
function scanElsewhere(
  stream: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
): NotificationError | undefined {
  const length = end - start;
  const padded = new Uint8Array(length + 16).fill(stream[start] === 0 ? 0xff : 0);
  padded.set(stream.subarray(start, end), 8);
  return scanUpdate(padded, 8, 8 + length, context, other);
}

export function checkUpdate(stream: Uint8Array, start: number, end: number, context: ScanContext, tally: Tally): void {
  const error = scanUpdate(stream, start, end, context, record);
  const elsewhere = scanElsewhere(stream, start, end, context);
  const outcome = outcomeOf([...stream.subarray(start, end)], context);
  expectThat(error?.subcode === elsewhere?.subcode, 'the octets around an UPDATE change its error');
  if (error !== undefined) {
    checkError(error, 3);
    expectThat(outcome.verdict === 'reset', `reset 3/${error.subcode}, the oracle says ${outcome.verdict}`);
    const expected = [...outcome.subcodes].join();
    expectThat(outcome.subcodes.has(error.subcode), `reset 3/${error.subcode}, the oracle says 3/${expected}`);
    count(tally, 'UPDATE reset');
    return;
  }
  expectThat(record.verdict === outcome.verdict, `${record.verdict}, the oracle says ${outcome.verdict}`);
  expectThat(record.verdict === 'accept' || record.problems.length > 0, 'a withdrawal without a reason');
  checkRanges(start, end, context);
  expectThat(
    record.blockLength === other.blockLength && record.flags === other.flags,
    'the octets around an UPDATE matter',
  );
  if (record.verdict === 'accept') checkAccepted(context);
  count(tally, record.problems.length > 0 ? `UPDATE ${record.verdict}, problems` : `UPDATE ${record.verdict}`);
}

function checkRanges(start: number, end: number, context: ScanContext): void {
  const ranges = [
    [record.withdrawnStart, record.withdrawnEnd, 0],
    [record.nlriStart, record.nlriEnd, 0],
    [record.mpReachStart, record.mpReachEnd, record.mpReachFamily],
    [record.mpUnreachStart, record.mpUnreachEnd, record.mpUnreachFamily],
  ] as const;
  for (const [from, to, family] of ranges) {
    expectThat(from >= start && from <= to && to <= end, `prefixes at ${from}..${to} of ${start}..${end}`);
    if (to === from) continue;
    expectThat(family !== -1 && context.families[family], 'prefixes of a family that was not negotiated');
    const addPath = family !== -1 && context.addPathReceive[family];
    for (const nlri of decodeNlri(record.octets, from, to, addPath)) {
      expectThat(nlri.length <= (family === 0 ? 32 : 128), `a prefix of ${nlri.length} bits`);
    }
  }
}

/** An UPDATE around the block, with nothing else in it. */
const wrapped = new Uint8Array(0x20000);

/** The block is what the table says it is, scans to itself, and says the same as the decision fields. */
function checkAccepted(context: ScanContext): void {
  const { blockLength } = record;
  checkFields(decodeBlock(record.block, 0, blockLength), context);
  if (blockLength > 0xffff) return;
  wrapped.set([0, 0, blockLength >> 8, blockLength & 0xff]);
  wrapped.set(record.block.subarray(0, blockLength), 4);
  const error = scanUpdate(wrapped, 0, 4 + blockLength, { ...IBGP, localAsn: context.localAsn }, again);
  expectThat(error === undefined && again.verdict === 'accept', 'a block that cannot be scanned again');
  const same = Buffer.compare(again.block.subarray(0, again.blockLength), record.block.subarray(0, blockLength)) === 0;
  expectThat(same, 'a block that is not in normal form');
  expectThat(again.asPathLength === record.asPathLength && again.localAsCount === record.localAsCount, 'fields differ');
}

function find<K extends PathAttribute['kind']>(
  all: readonly PathAttribute[],
  kind: K,
): Extract<PathAttribute, { kind: K }> | undefined {
  return all.find((a): a is Extract<PathAttribute, { kind: K }> => a.kind === kind);
}

function checkFields(attributes: readonly PathAttribute[], context: ScanContext): void {
  const segments = find(attributes, 'asPath')?.segments ?? [];
  const real = segments.filter(s => s.type === 'set' || s.type === 'sequence');
  const length = real.reduce((sum, s) => sum + (s.type === 'set' ? 1 : s.asns.length), 0);
  expectThat(record.asPathLength === length, `path length ${record.asPathLength} instead of ${length}`);
  const first = real[0]?.type === 'sequence' ? real[0].asns[0]! : 0;
  const last = real.at(-1)?.type === 'sequence' ? real.at(-1)!.asns.at(-1)! : 0;
  expectThat(record.neighborAs === first && record.originAs === last, 'ends of the path');
  const own = segments.flatMap(s => s.asns).filter(asn => asn === context.localAsn).length;
  expectThat(record.localAsCount === own, `own AS ${record.localAsCount} times instead of ${own}`);
  expectThat(record.med === (find(attributes, 'med')?.med ?? 0), 'MED');
  expectThat(record.localPref === (find(attributes, 'localPref')?.localPref ?? 0), 'LOCAL_PREF');
  expectThat(record.originatorId === (find(attributes, 'originatorId')?.routerId ?? 0), 'ORIGINATOR_ID');
  const clusters: readonly number[] = find(attributes, 'clusterList')?.clusters ?? [];
  expectThat(record.clusterListLength === clusters.length, 'CLUSTER_LIST');
  const loop = clusters.includes(context.clusterId) || find(attributes, 'originatorId')?.routerId === context.localId;
  expectThat(record.reflectionLoop === (loop && !(context.clusterId === 0 && clusters.includes(0))), 'reflection loop');
  const communities = find(attributes, 'communities')?.communities ?? [];
  expectThat(((record.flags & AttrFlag.noExport) !== 0) === communities.includes(0xffffff01), 'NO_EXPORT');
  for (const [kind, flag] of [
    ['med', AttrFlag.med],
    ['aigp', AttrFlag.aigp],
    ['otc', AttrFlag.otc],
    ['atomicAggregate', AttrFlag.atomicAggregate],
  ] as const) {
    expectThat(((record.flags & flag) !== 0) === (find(attributes, kind) !== undefined), `flag of ${kind}`);
  }
}
