/** ROUTE-REFRESH: RFC 2918, and the marks around the answer of RFC 7313. */

import { err, ok, type Result } from '../../core/result.js';
import { afiOf, type FamilyIndex } from '../families.js';
import type { RefreshSubtype, RouteRefresh } from '../messages.js';
import { NotificationError } from '../notification.js';
import { encodeMessage } from './frame.js';
import { ErrorCode, HEADER_LENGTH, MAX_EXTENDED_MESSAGE, MessageType, RefreshCode, RefreshError } from './iana.js';

const BODY_LENGTH = 4;
const SUBTYPES: readonly RefreshSubtype[] = ['request', 'begin', 'end'];

export function encodeRouteRefresh(family: FamilyIndex, subtype: RefreshSubtype): Uint8Array {
  const body = Uint8Array.of(0, afiOf(family), RefreshCode[subtype], 1);
  return encodeMessage(MessageType.routeRefresh, body);
}

/**
 * Reads the body in octets[start .. end). A request may be longer (RFC 5291 appends filters, which were not negotiated
 * and are passed over); a mark may not.
 * @returns error 7/1 with the whole message as data when the length is wrong (RFC 7313 section 5)
 */
export function decodeRouteRefresh(
  octets: Uint8Array,
  start: number,
  end: number,
): Result<RouteRefresh, NotificationError> {
  const length = end - start;
  if (length < BODY_LENGTH) return err(invalidLength(octets, start, end));
  const afi = (octets[start]! << 8) | octets[start + 1]!;
  const subtype = SUBTYPES[octets[start + 2]!] ?? 'unknown';
  if (length > BODY_LENGTH && (subtype === 'begin' || subtype === 'end')) return err(invalidLength(octets, start, end));
  return ok({ afi, safi: octets[start + 3]!, subtype });
}

function invalidLength(octets: Uint8Array, start: number, end: number): NotificationError {
  const whole = encodeMessage(MessageType.routeRefresh, octets.subarray(start, end), MAX_EXTENDED_MESSAGE);
  const text = `ROUTE-REFRESH of ${end - start + HEADER_LENGTH} octets`;
  return new NotificationError(ErrorCode.routeRefresh, RefreshError.invalidLength, text, whole);
}
