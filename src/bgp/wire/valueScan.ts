/** The value of one known attribute where it stands: its rules, and what the record keeps of it. RFC 7606 section 7. */

import type { ScanContext } from '../scanContext.js';
import { AttrFlag, type UpdateRecord } from '../updateRecord.js';
import { Finding } from './attributeRules.js';
import { AIGP_TLV_LENGTH, AIGP_TLV_TYPE, AttributeCode, WellKnownCommunity } from './iana.js';
import { hasRepeatedLargeCommunity } from './largeCommunities.js';
import { isHostAddress, scanMpReach, scanMpUnreach } from './mpScan.js';
import { isAsPath, scanAsPath, u32 } from './pathScan.js';
import type { ScanState } from './scanState.js';

const HIGHEST_ORIGIN = 2;

/**
 * Judges the value octets[start .. end) of an attribute with the right flags and fills in its fields of the record.
 * @returns one of {@link Finding}
 */
export function scanValue(
  code: number,
  flags: number,
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
  state: ScanState,
): number {
  const length = end - start;
  switch (code) {
    case AttributeCode.origin:
      if (length !== 1) return Finding.badLength;
      record.origin = octets[start]!;
      return record.origin > HIGHEST_ORIGIN ? Finding.badValue : Finding.keep;
    case AttributeCode.asPath:
      if (!context.fourOctetAs) {
        if (!isAsPath(octets, start, end, 2, !context.ebgp)) return Finding.badValue;
        state.asPath.set(flags, start, end);
        return Finding.pass;
      }
      return scanAsPath(octets, start, end, context, record) ? Finding.keep : Finding.badValue;
    case AttributeCode.nextHop:
      if (length !== 4) return Finding.badLength;
      record.nextHop4 = u32(octets, start);
      // Without classic NLRI it says nothing (RFC 4760 section 3).
      return state.hasNlri && !isHostAddress(record.nextHop4, context) ? Finding.badValue : Finding.pass;
    case AttributeCode.med:
      if (length !== 4) return Finding.badLength;
      record.flags |= AttrFlag.med;
      record.med = u32(octets, start);
      return Finding.keep;
    case AttributeCode.localPref:
      if (length !== 4) return Finding.badLength;
      record.flags |= AttrFlag.localPref;
      record.localPref = u32(octets, start);
      return Finding.keep;
    case AttributeCode.atomicAggregate:
      if (length !== 0) return Finding.badLength;
      record.flags |= AttrFlag.atomicAggregate;
      return Finding.keep;
    case AttributeCode.communities:
      return scanCommunities(octets, start, end, record);
    case AttributeCode.originatorId:
      if (length !== 4) return Finding.badLength;
      record.flags |= AttrFlag.originatorId;
      record.originatorId = u32(octets, start);
      if (record.originatorId === context.localId) record.reflectionLoop = true;
      return Finding.keep;
    case AttributeCode.clusterList:
      return scanClusterList(octets, start, end, context, record);
    case AttributeCode.mpReach:
      return scanMpReach(octets, start, end, context, record, state);
    case AttributeCode.mpUnreach:
      return scanMpUnreach(octets, start, end, context, record);
    case AttributeCode.extendedCommunities:
      return isMultiple(length, 8) ? Finding.keep : Finding.badLength;
    case AttributeCode.largeCommunities:
      if (!isMultiple(length, 12)) return Finding.badLength;
      return hasRepeatedLargeCommunity(octets, start, end) ? Finding.keepUnique : Finding.keep;
    default:
      return scanRareValue(code, flags, octets, start, end, context, record, state);
  }
}

/** The rest of {@link scanValue}: apart, so that the compiler can keep the frequent ones in one piece. */
function scanRareValue(
  code: number,
  flags: number,
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
  state: ScanState,
): number {
  const length = end - start;
  switch (code) {
    case AttributeCode.aggregator:
      if (length !== (context.fourOctetAs ? 8 : 6)) return Finding.badLength;
      if (context.fourOctetAs) return u32(octets, start) === 0 ? Finding.badValue : Finding.keep;
      if (octets[start] === 0 && octets[start + 1] === 0) return Finding.badValue;
      state.aggregator.set(flags, start, end);
      return Finding.pass;
    case AttributeCode.as4Path:
      // RFC 6793 section 4.1: not between speakers that both have wide numbers.
      if (context.fourOctetAs) return Finding.pass;
      if (length === 0 || !isAsPath(octets, start, end, 4, true)) return Finding.badValue;
      state.as4Path.set(flags, start, end);
      return Finding.pass;
    case AttributeCode.as4Aggregator:
      if (context.fourOctetAs) return Finding.pass;
      if (length !== 8) return Finding.badLength;
      if (u32(octets, start) === 0) return Finding.badValue;
      state.as4Aggregator.set(flags, start, end);
      return Finding.pass;
    case AttributeCode.ipv6ExtendedCommunities:
      return isMultiple(length, 20) ? Finding.keep : Finding.badLength;
    case AttributeCode.aigp:
      if (!isAigp(octets, start, end)) return Finding.badValue;
      record.flags |= AttrFlag.aigp;
      return Finding.keep;
    case AttributeCode.otc:
      if (length !== 4) return Finding.badLength;
      record.flags |= AttrFlag.otc;
      return Finding.keep;
    default:
      // A row was added to the table and not here: our mistake, found by the first test that names it.
      throw new Error(`attribute ${code} has a row and no scanner`);
  }
}

function isMultiple(length: number, unit: number): boolean {
  return length !== 0 && length % unit === 0;
}

function scanCommunities(octets: Uint8Array, start: number, end: number, record: UpdateRecord): number {
  if (!isMultiple(end - start, 4)) return Finding.badLength;
  for (let at = start; at < end; at += 4) {
    if (octets[at] === 0xff && octets[at + 1] === 0xff) record.flags |= wellKnownFlag(u32(octets, at));
  }
  return Finding.keep;
}

function wellKnownFlag(community: number): number {
  switch (community) {
    case WellKnownCommunity.noExport:
      return AttrFlag.noExport;
    case WellKnownCommunity.noAdvertise:
      return AttrFlag.noAdvertise;
    case WellKnownCommunity.noExportSubconfed:
      return AttrFlag.noExportSubconfed;
    case WellKnownCommunity.llgrStale:
      return AttrFlag.llgrStale;
    case WellKnownCommunity.noLlgr:
      return AttrFlag.noLlgr;
    case WellKnownCommunity.gracefulShutdown:
      return AttrFlag.gracefulShutdown;
    default:
      return 0;
  }
}

function scanClusterList(
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
): number {
  if (!isMultiple(end - start, 4)) return Finding.badLength;
  record.flags |= AttrFlag.clusterList;
  record.clusterListLength = (end - start) >> 2;
  if (context.clusterId === 0) return Finding.keep;
  for (let at = start; at < end; at += 4) {
    if (u32(octets, at) === context.clusterId) record.reflectionLoop = true;
  }
  return Finding.keep;
}

/** RFC 7311 section 3: whole TLVs, and an AIGP TLV of eleven octets among them. */
function isAigp(octets: Uint8Array, start: number, end: number): boolean {
  let found = false;
  let at = start;
  while (at < end) {
    if (end - at < 3) return false;
    const length = (octets[at + 1]! << 8) | octets[at + 2]!;
    if (length < 3 || at + length > end) return false;
    if (octets[at] === AIGP_TLV_TYPE) {
      if (length !== AIGP_TLV_LENGTH) return false;
      found = true;
    }
    at += length;
  }
  return found;
}
