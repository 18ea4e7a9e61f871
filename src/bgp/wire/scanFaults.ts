/** What becomes of an UPDATE in which an attribute is wrong: RFC 7606 sections 2 and 3, RFC 4271 section 6.3. The cold half of the scanner. */

import { NotificationError } from '../notification.js';
import type { UpdateRecord } from '../updateRecord.js';
import { attributeName, BAD_FLAGS, Finding, LENGTH_ERROR, MALFORMED, Strength, VALUE_ERROR } from './attributeRules.js';
import { AttributeCode, ErrorCode, UpdateError } from './iana.js';
import type { ScanState } from './scanState.js';

/** Of a message with thousands of mistakes, so many are told. */
const MAX_PROBLEMS = 16;

/** What people read of each finding. */
const TEXT: Readonly<Record<number, string>> = {
  [Finding.badLength]: 'wrong length',
  [Finding.badValue]: 'malformed value',
  [Finding.badFlags]: 'wrong flags',
  [Finding.badMpNextHop]: 'next hop is not the address of a host',
  [Finding.strangeFamily]: 'address family was not negotiated, ignored',
  [Finding.unrecognized]: 'well-known, but unknown',
  [Finding.duplicate]: 'stands there more than once',
};

/**
 * Acts upon a faulty attribute in octets[start .. end), header included.
 * @returns the NOTIFICATION when the verdict is session reset
 */
export function judge(
  finding: number,
  code: number,
  octets: Uint8Array,
  start: number,
  end: number,
  record: UpdateRecord,
  state: ScanState,
): NotificationError | undefined {
  const problem = `${attributeName(code)}: ${TEXT[finding] ?? 'malformed'}`;
  const strength = strengthOf(finding, code);
  const subcode = subcodeOf(finding, code);
  if (strength === Strength.reset) {
    // RFC 4271 section 6.3: a malformed attribute list has no data, every other error the attribute.
    const data = subcode === UpdateError.malformedAttributeList ? undefined : octets.slice(start, end);
    return new NotificationError(ErrorCode.updateMessage, subcode, problem, data);
  }
  noteProblem(record, problem);
  if (strength === Strength.treatAsWithdraw) noteWithdraw(state, subcode, start, end);
  return undefined;
}

function strengthOf(finding: number, code: number): number {
  switch (finding) {
    case Finding.badFlags:
      return BAD_FLAGS[code]!;
    case Finding.badMpNextHop:
      return Strength.treatAsWithdraw;
    case Finding.strangeFamily:
      return Strength.discard;
    case Finding.unrecognized:
      return Strength.reset;
    case Finding.duplicate:
      // RFC 7606 section 3 (g): fatal for these two, the later ones are dropped for all others.
      return code === AttributeCode.mpReach || code === AttributeCode.mpUnreach ? Strength.reset : Strength.discard;
    default:
      return MALFORMED[code]!;
  }
}

function subcodeOf(finding: number, code: number): number {
  switch (finding) {
    case Finding.badFlags:
      // RFC 4760 section 7 has one subcode for everything that is wrong with these two.
      return isMultiprotocol(code) ? UpdateError.optionalAttribute : UpdateError.attributeFlags;
    case Finding.unrecognized:
      return UpdateError.unrecognizedWellKnown;
    case Finding.duplicate:
      return UpdateError.malformedAttributeList;
    case Finding.badLength:
      return LENGTH_ERROR[code]!;
    default:
      return VALUE_ERROR[code]!;
  }
}

function isMultiprotocol(code: number): boolean {
  return code === AttributeCode.mpReach || code === AttributeCode.mpUnreach;
}

/** Adds a reason for people. */
export function noteProblem(record: UpdateRecord, problem: string): void {
  if (record.problems.length < MAX_PROBLEMS) record.problems.push(problem);
}

/** Remembers that treat-as-withdraw is due, and for what. */
export function noteWithdraw(state: ScanState, subcode: number, start: number, end: number): void {
  if (state.withdraw) return;
  state.withdraw = true;
  state.errorSubcode = subcode;
  state.errorStart = start;
  state.errorEnd = end;
}
