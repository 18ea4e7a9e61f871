/** OPEN: RFC 4271 sections 4.2 and 6.2, capabilities in optional parameters (RFC 5492), many of them (RFC 9072). */

import { Ipv4 } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import type { Capability } from '../capabilities.js';
import type { OpenMessage } from '../messages.js';
import { NotificationError } from '../notification.js';
import { decodeCapability, encodeCapability } from './capabilityTable.js';
import { encodeMessage } from './frame.js';
import {
  BGP_VERSION,
  ErrorCode,
  HeaderError,
  HEADER_LENGTH,
  MessageType,
  OpenError,
  OptionalParameter,
} from './iana.js';
import { Malformation, OctetReader, ShortField } from './octetReader.js';
import { OctetWriter } from './octetWriter.js';

/** Version, My AS, Hold Time, BGP Identifier, Optional Parameters Length. */
const FIXED_LENGTH = 10;
const MAX_PARAMETERS = 255;

/** A whole message with header. Parameters beyond 255 octets take the extended form of RFC 9072. */
export function encodeOpen(message: OpenMessage): Uint8Array {
  const writer = new OctetWriter();
  writer.u8(message.version).u16(message.asn).u16(message.holdTime).u32(message.routerId);
  const capabilities = new OctetWriter();
  for (const capability of message.capabilities) encodeCapability(capability, capabilities);
  writeParameters(capabilities.done(), writer);
  return encodeMessage(MessageType.open, writer.done());
}

function writeParameters(capabilities: Uint8Array, writer: OctetWriter): void {
  const length = capabilities.length;
  if (length === 0) {
    writer.u8(0);
  } else if (length + 2 <= MAX_PARAMETERS) {
    writer
      .u8(length + 2)
      .u8(OptionalParameter.capabilities)
      .u8(length)
      .octets(capabilities);
  } else {
    // RFC 9072 section 2: 255 twice, then a length of two octets, here and in each parameter.
    writer
      .u8(MAX_PARAMETERS)
      .u8(OptionalParameter.extendedLength)
      .u16(length + 3);
    writer.u8(OptionalParameter.capabilities).u16(length).octets(capabilities);
  }
}

/**
 * Reads the body in octets[start .. end) and checks what can be checked without knowing who the peer should be.
 * @returns the NOTIFICATION of RFC 4271 section 6.2 that is owed for an OPEN nobody can accept; code 1/2 when the body
 *   is shorter than an OPEN can be
 */
export function decodeOpen(octets: Uint8Array, start: number, end: number): Result<OpenMessage, NotificationError> {
  const length = end - start;
  if (length < FIXED_LENGTH) return err(tooShort(length));
  const reader = OctetReader.over(octets, start, end);
  const version = reader.u8();
  if (version !== BGP_VERSION) {
    // The data is the largest version we do speak.
    const data = Uint8Array.of(0, BGP_VERSION);
    return err(openError(OpenError.unsupportedVersion, `version ${version} instead of ${BGP_VERSION}`, data));
  }
  const asn = reader.u16();
  const holdTime = reader.u16();
  const routerId = reader.u32();
  if (asn === 0) return err(openError(OpenError.badPeerAs, 'AS 0 (RFC 7607)'));
  if (holdTime === 1 || holdTime === 2) {
    return err(openError(OpenError.unacceptableHoldTime, `hold time of ${holdTime} s`));
  }
  if (routerId === 0) return err(openError(OpenError.badIdentifier, 'BGP identifier 0.0.0.0 (RFC 6286)'));
  const capabilities = readParameters(reader);
  if (!capabilities.ok) return capabilities;
  if (capabilities.value.some(c => c.kind === 'fourOctetAs' && c.asn === 0)) {
    return err(openError(OpenError.badPeerAs, 'AS 0 in the four-octet AS capability (RFC 7607)'));
  }
  return ok({ version, asn, holdTime, routerId: Ipv4(routerId), capabilities: capabilities.value });
}

/**
 * The refusal of a peer that lacks what we cannot do without (RFC 5492 section 5).
 * @param missing the capabilities it would have to announce; they are the data
 */
export function unsupportedCapability(missing: readonly Capability[], message: string): NotificationError {
  const writer = new OctetWriter();
  for (const capability of missing) encodeCapability(capability, writer);
  return openError(OpenError.unsupportedCapability, message, writer.done());
}

/** The one place where a short or malformed field of an OPEN becomes the error it is: 2/0, unspecific. */
function readParameters(reader: OctetReader): Result<Capability[], NotificationError> {
  try {
    return readSizedParameters(reader);
  } catch (error) {
    if (!(error instanceof ShortField || error instanceof Malformation)) throw error;
    return err(openError(OpenError.unspecific, `malformed optional parameters: ${error.message}`));
  }
}

function readSizedParameters(reader: OctetReader): Result<Capability[], NotificationError> {
  const length = reader.u8();
  if (length === 0) {
    if (reader.remaining > 0) throw new Malformation(`${reader.remaining} octets after the parameters`);
    return ok([]);
  }
  const all = OctetReader.over(reader.rest());
  // RFC 9072 section 2: the type decides; the length before it should be 255 then, and does not count.
  const type = all.u8();
  const extended = type === OptionalParameter.extendedLength;
  const expected = extended ? all.u16() : length - 1;
  if (all.remaining !== expected) {
    throw new Malformation(`${expected} octets of parameters announced, ${all.remaining} there`);
  }
  return readEach(extended ? undefined : type, all, extended);
}

/** @param first type of the first parameter when it has been read already */
function readEach(
  first: number | undefined,
  reader: OctetReader,
  extended: boolean,
): Result<Capability[], NotificationError> {
  const capabilities: Capability[] = [];
  let type = first;
  while (type !== undefined || reader.remaining > 0) {
    type ??= reader.u8();
    const value = reader.part(extended ? reader.u16() : reader.u8());
    if (type !== OptionalParameter.capabilities) {
      return err(openError(OpenError.unsupportedParameter, `optional parameter ${type} is unknown`));
    }
    while (value.remaining > 0) capabilities.push(readCapability(value));
    type = undefined;
  }
  return ok(capabilities);
}

function readCapability(reader: OctetReader): Capability {
  const code = reader.u8();
  const value = reader.part(reader.u8());
  try {
    return decodeCapability(code, value);
  } catch (error) {
    if (!(error instanceof ShortField || error instanceof Malformation)) throw error;
    throw new Malformation(`capability ${code}: ${error.message}`);
  }
}

function tooShort(bodyLength: number): NotificationError {
  const length = HEADER_LENGTH + bodyLength;
  const data = Uint8Array.of(length >> 8, length & 0xff);
  return new NotificationError(ErrorCode.messageHeader, HeaderError.badLength, `an OPEN of ${length} octets`, data);
}

function openError(subcode: number, message: string, data?: Uint8Array): NotificationError {
  return new NotificationError(ErrorCode.openMessage, subcode, message, data);
}
