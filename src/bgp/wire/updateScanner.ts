/**
 * One walk through the body of an UPDATE: checks everything, normalises the attributes and fills a record of offsets and
 * decision fields, allocating nothing unless something is wrong. RFC 4271 sections 4.3 and 6.3, RFC 7606, RFC 4724
 * section 2; the rules of each attribute stand in attributeTable.ts and valueScan.ts.
 */

import { IPV4_UNICAST, IPV6_UNICAST } from '../families.js';
import { NotificationError } from '../notification.js';
import type { ScanContext } from '../scanContext.js';
import type { UpdateRecord } from '../updateRecord.js';
import { Finding, FLAGS_KEPT, FLAGS_OF, INTERNAL_ONLY, NO_ROW } from './attributeRules.js';
import { putHeader, putOctets, sortBlock } from './blockWriter.js';
import { AttributeCode, ErrorCode, Flag, UpdateError } from './iana.js';
import { copyDistinctLargeCommunities } from './largeCommunities.js';
import { isNlri } from './nlriScan.js';
import { scanAsPath } from './pathScan.js';
import { judge, noteProblem, noteWithdraw } from './scanFaults.js';
import { ScanState } from './scanState.js';
import { appendWidened } from './twoOctet.js';
import { scanValue } from './valueScan.js';

/** Withdrawn Routes Length and Total Path Attribute Length. */
const MIN_BODY = 4;
const FIXED_FLAGS = Flag.optional | Flag.transitive;

/** Scans never overlap: they are synchronous, and a thread has one. */
const state = new ScanState();

/**
 * Reads the UPDATE whose body stands in octets[start .. end) into `record`, all of whose fields are set anew.
 * @returns the NOTIFICATION that ends the session; the record means nothing then
 */
export function scanUpdate(
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
): NotificationError | undefined {
  clear(record, octets, start);
  if (end - start < MIN_BODY) return malformedList(`a body of ${end - start} octets`);
  const withdrawn = start + 2;
  const withdrawnEnd = withdrawn + ((octets[start]! << 8) | octets[start + 1]!);
  if (withdrawnEnd + 2 > end) return malformedList('Withdrawn Routes Length is too large');
  const attributes = withdrawnEnd + 2;
  const attributesEnd = attributes + ((octets[withdrawnEnd]! << 8) | octets[withdrawnEnd + 1]!);
  if (attributesEnd > end) return malformedList('Total Path Attribute Length is too large');

  const addPath = context.addPathReceive[IPV4_UNICAST];
  if (!isNlri(octets, withdrawn, withdrawnEnd, 32, addPath)) return invalidNetwork('Withdrawn Routes');
  if (!isNlri(octets, attributesEnd, end, 32, addPath)) return invalidNetwork('NLRI');
  if (context.families[IPV4_UNICAST]) {
    record.withdrawnStart = withdrawn;
    record.withdrawnEnd = withdrawnEnd;
    record.nlriStart = attributesEnd;
    record.nlriEnd = end;
  } else if (withdrawnEnd > withdrawn || end > attributesEnd) {
    noteProblem(record, 'IPv4 unicast was not negotiated: its prefixes are ignored');
  }

  if (attributes === attributesEnd) return finishBare(start, end, context, record);
  state.begin();
  state.hasNlri = end > attributesEnd;
  const error = scanAttributes(octets, attributes, attributesEnd, context, record);
  if (error !== undefined) return error;
  if (withdrawnEnd === withdrawn && attributesEnd === end) markEndOfRib(octets, attributes, attributesEnd, record);
  return finish(octets, context, record);
}

/** Undoes the last scan. */
function clear(record: UpdateRecord, octets: Uint8Array, start: number): void {
  record.octets = octets;
  record.verdict = 'accept';
  if (record.problems.length > 0) record.problems = [];
  record.withdrawnStart = record.withdrawnEnd = start;
  record.nlriStart = record.nlriEnd = start;
  record.mpUnreachFamily = -1;
  record.mpUnreachStart = record.mpUnreachEnd = start;
  record.mpReachFamily = -1;
  record.mpReachStart = record.mpReachEnd = start;
  record.endOfRib = -1;
  record.nextHop4 = 0;
  record.blockLength = 0;
  record.flags = 0;
  record.origin = 0;
  record.asPathLength = 0;
  record.neighborAs = 0;
  record.originAs = 0;
  record.localAsCount = 0;
  record.med = 0;
  record.localPref = 0;
  record.originatorId = 0;
  record.clusterListLength = 0;
  record.reflectionLoop = false;
}

/** An UPDATE without path attributes: withdrawals, or nothing at all, which is IPv4's End-of-RIB (RFC 4724 section 2). */
function finishBare(
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
): NotificationError | undefined {
  if (end - start === MIN_BODY) {
    if (context.families[IPV4_UNICAST]) record.endOfRib = IPV4_UNICAST;
  } else if (record.nlriEnd > record.nlriStart) {
    treatAsWithdraw(record, 'ORIGIN, AS_PATH and NEXT_HOP are missing');
  }
  return undefined;
}

/** The walk itself. */
function scanAttributes(
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
): NotificationError | undefined {
  const { block } = record;
  const { seen, generation } = state;
  let out = 0;
  let lastCode = 0;
  let sorted = true;
  let at = start;
  while (at < end) {
    const short = (octets[at]! & Flag.extendedLength) === 0;
    const value = at + (short ? 3 : 4);
    const next = value > end ? end + 1 : value + (short ? octets[at + 2]! : (octets[at + 2]! << 8) | octets[at + 3]!);
    if (next > end) {
      overrun(record, at, end);
      break;
    }
    const code = octets[at + 1]!;
    const finding = findingOf(octets, at, value, next, context, record);
    seen[code] = generation;
    if (finding <= Finding.keepUnique) {
      if (code < lastCode) sorted = false;
      lastCode = code;
      out = keep(finding, octets, at, value, next, block, out);
    } else if (finding > Finding.pass) {
      const error = judge(finding, code, octets, at, next, record, state);
      if (error !== undefined) return error;
    }
    at = next;
  }
  record.blockLength = out;
  if (!context.fourOctetAs) {
    widen(octets, context, record);
    sorted = false;
  }
  if (!sorted) sortBlock(record);
  return undefined;
}

/** Judges the attribute octets[at .. next), whose value begins at `value`. @returns one of {@link Finding} */
function findingOf(
  octets: Uint8Array,
  at: number,
  value: number,
  next: number,
  context: ScanContext,
  record: UpdateRecord,
): number {
  const flags = octets[at]!;
  const code = octets[at + 1]!;
  const expected = FLAGS_OF[code]!;
  if (state.has(code)) return Finding.duplicate;
  if (expected === NO_ROW) return unknownFinding(flags);
  if (context.ebgp && INTERNAL_ONLY[code] === 1) return Finding.pass;
  if (((flags ^ expected) & FIXED_FLAGS) !== 0) return Finding.badFlags;
  return scanValue(code, flags, octets, value, next, context, record, state);
}

/** RFC 4271 section 5: unknown optional attributes travel on when they are transitive, with Partial set. */
function unknownFinding(flags: number): number {
  if ((flags & Flag.optional) === 0) return Finding.unrecognized;
  return (flags & Flag.transitive) === 0 ? Finding.pass : Finding.keep;
}

/** Appends the attribute octets[at .. next) to the block in normal form; returns where the next one goes. */
function keep(
  finding: number,
  octets: Uint8Array,
  at: number,
  value: number,
  next: number,
  block: Uint8Array,
  out: number,
): number {
  const flags = octets[at]!;
  const code = octets[at + 1]!;
  const length = next - value;
  const kept = (flags & FLAGS_KEPT[code]!) | (FLAGS_OF[code] === NO_ROW ? Flag.partial : 0);
  if (finding === Finding.keepUnique) return keepUnique(octets, value, next, kept, code, block, out);
  // Nearly always the attribute is in normal form already.
  if (flags === kept || (flags === (kept | Flag.extendedLength) && length > 255)) {
    return putOctets(block, out, octets, at, next);
  }
  return putOctets(block, putHeader(block, out, kept, code, length), octets, value, next);
}

function keepUnique(
  octets: Uint8Array,
  start: number,
  end: number,
  flags: number,
  code: number,
  block: Uint8Array,
  out: number,
): number {
  // Written behind the longer header first: only then is it known how much is left.
  const copied = out + 4;
  const copiedEnd = copyDistinctLargeCommunities(octets, start, end, block, copied);
  const value = putHeader(block, out, flags, code, copiedEnd - copied);
  block.copyWithin(value, copied, copiedEnd);
  return value + copiedEnd - copied;
}

/** RFC 7606 section 4: the last attribute is longer than what is left; Total Path Attribute Length is believed. */
function overrun(record: UpdateRecord, at: number, end: number): void {
  noteProblem(record, 'the last path attribute is longer than Total Path Attribute Length allows');
  noteWithdraw(state, UpdateError.malformedAttributeList, at, end);
}

/** What only makes sense once AS_PATH, AS4_PATH and the aggregators have all been seen. */
function widen(octets: Uint8Array, context: ScanContext, record: UpdateRecord): void {
  const { asPath } = state;
  const start = appendWidened(octets, record, state);
  if (start === -2) {
    noteProblem(record, 'AS_PATH: too long with four-octet AS numbers');
    noteWithdraw(state, UpdateError.malformedAsPath, asPath.start, asPath.end);
  } else if (start >= 0) {
    scanAsPath(record.block, start, record.blockLength, context, record);
  }
}

/** RFC 4724 section 2: only MP_UNREACH_NLRI, and no prefix in it. The marker of IPv4 unicast is another. */
function markEndOfRib(octets: Uint8Array, start: number, end: number, record: UpdateRecord): void {
  if (record.mpUnreachFamily !== IPV6_UNICAST) return;
  const headerAndFamily = (octets[start]! & Flag.extendedLength) === 0 ? 6 : 7;
  if (record.mpUnreachEnd === end && end - start === headerAndFamily) record.endOfRib = IPV6_UNICAST;
}

/** What concerns the UPDATE as a whole: RFC 7606 sections 3 (d) and 5.2, RFC 4271 section 6.3 (first AS). */
function finish(octets: Uint8Array, context: ScanContext, record: UpdateRecord): NotificationError | undefined {
  const classic = record.nlriEnd > record.nlriStart;
  if (classic || record.mpReachEnd > record.mpReachStart) {
    if (!state.has(AttributeCode.origin)) missing(record, 'ORIGIN', AttributeCode.origin);
    if (!state.has(AttributeCode.asPath)) missing(record, 'AS_PATH', AttributeCode.asPath);
    if (classic && !state.has(AttributeCode.nextHop)) missing(record, 'NEXT_HOP', AttributeCode.nextHop);
    if (context.ebgp && context.enforceFirstAs && record.neighborAs !== context.remoteAsn && !state.withdraw) {
      noteProblem(record, `AS_PATH: begins with ${record.neighborAs}, not with the peer's AS ${context.remoteAsn}`);
      noteWithdraw(state, UpdateError.malformedAsPath, 0, 0);
    }
  }
  if (!state.withdraw) return undefined;
  // RFC 7606 section 5.2: without anything reachable nobody can be sure that the NLRI were found at all.
  if (!state.hasNlri && !state.hasMpNlri) return escalated(octets, record);
  record.verdict = 'treatAsWithdraw';
  return undefined;
}

function missing(record: UpdateRecord, name: string, code: number): void {
  noteProblem(record, `${name} is missing`);
  noteWithdraw(state, UpdateError.missingWellKnown, code, code);
}

function treatAsWithdraw(record: UpdateRecord, problem: string): void {
  noteProblem(record, problem);
  record.verdict = 'treatAsWithdraw';
}

function escalated(octets: Uint8Array, record: UpdateRecord): NotificationError {
  const { errorSubcode: subcode, errorStart, errorEnd } = state;
  const bare = subcode === UpdateError.malformedAttributeList || subcode === UpdateError.malformedAsPath;
  const data = bare ? undefined : octets.slice(errorStart, errorEnd);
  const text = `${record.problems[0] ?? 'malformed'}, and nothing reachable beside it`;
  return new NotificationError(ErrorCode.updateMessage, subcode, text, data);
}

function malformedList(message: string): NotificationError {
  return new NotificationError(ErrorCode.updateMessage, UpdateError.malformedAttributeList, message);
}

function invalidNetwork(field: string): NotificationError {
  const message = `${field}: not a run of IPv4 prefixes`;
  return new NotificationError(ErrorCode.updateMessage, UpdateError.invalidNetworkField, message);
}
