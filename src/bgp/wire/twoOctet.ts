/**
 * Routes of speakers with two-octet AS numbers, made into what a four-octet speaker would have sent: RFC 6793 section
 * 4.2.3. Such speakers are rare, so this may allocate.
 */

import { AS_TRANS } from '../asn.js';
import type { AsSegment } from '../attributes.js';
import type { UpdateRecord } from '../updateRecord.js';
import { readSegments, writeSegments } from './asPath.js';
import { FLAGS_KEPT } from './attributeRules.js';
import { ensureBlock, putHeader, putOctets } from './blockWriter.js';
import { AttributeCode } from './iana.js';
import { OctetReader } from './octetReader.js';
import { OctetWriter } from './octetWriter.js';
import { u32 } from './pathScan.js';
import type { Place, ScanState } from './scanState.js';

const MAX_VALUE = 0xffff;
const MAX_SEGMENT = 255;

/**
 * Appends AS_PATH and AGGREGATOR, widened and with AS4_PATH and AS4_AGGREGATOR merged in, to the record's block.
 * @returns where the value of AS_PATH begins in the block, -1 when there is no AS_PATH, -2 when it became too long for
 *   an attribute
 */
export function appendWidened(octets: Uint8Array, record: UpdateRecord, state: ScanState): number {
  const narrowAggregator = state.aggregator.found ? u16(octets, state.aggregator.start) : 0;
  // A router that knew nothing of wide numbers aggregated after one that did: what the wide ones say is out of date.
  const outdated = state.as4Aggregator.found && state.aggregator.found && narrowAggregator !== AS_TRANS;
  if (state.aggregator.found) {
    const wide = state.as4Aggregator.found && !outdated;
    appendAggregator(octets, record, state.aggregator, wide ? state.as4Aggregator : undefined);
  }
  if (!state.asPath.found) return -1;
  return appendPath(octets, record, state.asPath, state.as4Path.found && !outdated ? state.as4Path : undefined);
}

function appendAggregator(octets: Uint8Array, record: UpdateRecord, narrow: Place, wide: Place | undefined): void {
  ensureBlock(record, record.blockLength + 11);
  const { block } = record;
  const flags = (wide ?? narrow).flags & FLAGS_KEPT[AttributeCode.aggregator]!;
  let at = putHeader(block, record.blockLength, flags, AttributeCode.aggregator, 8);
  if (wide !== undefined) {
    at = putOctets(block, at, octets, wide.start, wide.end);
  } else {
    block[at] = block[at + 1] = 0;
    at = putOctets(block, at + 2, octets, narrow.start, narrow.end);
  }
  record.blockLength = at;
}

function appendPath(octets: Uint8Array, record: UpdateRecord, narrow: Place, wide: Place | undefined): number {
  const path = readSegments(OctetReader.over(octets, narrow.start, narrow.end), false, true);
  const wider = wide === undefined ? [] : readSegments(OctetReader.over(octets, wide.start, wide.end), true, true);
  const writer = new OctetWriter();
  writeSegments(wide === undefined ? path : mergeAs4Path(path, wider), writer, true);
  const value = writer.done();
  if (value.length > MAX_VALUE) return -2;
  ensureBlock(record, record.blockLength + 4 + value.length);
  const flags = FLAGS_KEPT[AttributeCode.asPath]!;
  const start = putHeader(record.block, record.blockLength, flags, AttributeCode.asPath, value.length);
  record.block.set(value, start);
  record.blockLength = start + value.length;
  return start;
}

/**
 * The path of wide numbers: AS4_PATH behind as much of AS_PATH as was added by speakers with narrow ones.
 * @returns AS_PATH itself when it is shorter than AS4_PATH, which is wrong then
 */
export function mergeAs4Path(path: readonly AsSegment[], as4Path: readonly AsSegment[]): readonly AsSegment[] {
  // RFC 6793 section 6: confederation segments have no place in AS4_PATH and are dropped.
  const wide = as4Path.filter(s => s.type === 'set' || s.type === 'sequence');
  let missing = pathLength(path) - pathLength(wide);
  if (missing < 0 || wide.length === 0) return path;
  const merged: AsSegment[] = [];
  for (const segment of path) {
    const length = pathLength([segment]);
    if (missing === 0 && length > 0) break;
    // Confederation segments have no length: they come along when they lead or stand next to what is taken.
    const taken = segment.type === 'sequence' ? segment.asns.slice(0, missing) : segment.asns;
    merged.push({ type: segment.type, asns: taken });
    missing -= Math.min(length, missing);
  }
  return joinSequences([...merged, ...wide]);
}

/** RFC 4271 section 9.1.2.2 (a) and RFC 5065 section 5.3: a set counts once, confederation segments not at all. */
function pathLength(segments: readonly AsSegment[]): number {
  return segments.reduce((sum, s) => sum + (s.type === 'sequence' ? s.asns.length : s.type === 'set' ? 1 : 0), 0);
}

/** Neighbouring sequences become one, so that a path has the same octets whichever kind of speaker it came through. */
function joinSequences(segments: readonly AsSegment[]): AsSegment[] {
  const joined: AsSegment[] = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    const fits = last !== undefined && last.asns.length + segment.asns.length <= MAX_SEGMENT;
    if (fits && last.type === 'sequence' && segment.type === 'sequence') {
      joined[joined.length - 1] = { type: 'sequence', asns: [...last.asns, ...segment.asns] };
    } else {
      joined.push(segment);
    }
  }
  return joined;
}

function u16(octets: Uint8Array, at: number): number {
  return u32(octets, at) >>> 16;
}
