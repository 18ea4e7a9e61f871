/** Splits what a socket delivered into messages, by offsets alone. RFC 4271 sections 4.1 and 6.1, RFC 8654. */

import { NotificationError } from '../notification.js';
import { ErrorCode, HEADER_LENGTH, HeaderError, MARKER_LENGTH, MAX_MESSAGE, MessageType } from './iana.js';

/** One message among the octets of a socket; filled in again and again by {@link nextFrame}. */
export class Frame {
  /** One of {@link MessageType}. */
  type = 0;
  /** The body stands in octets[bodyStart .. bodyEnd); the next message begins at bodyEnd. */
  bodyStart = 0;
  bodyEnd = 0;
  /** After `incomplete`: how many octets, counted from `start`, are needed before it is worth asking again. */
  needed = HEADER_LENGTH;
}

/**
 * `message`: the frame has been filled in. `incomplete`: more octets must come, at least up to `frame.needed`.
 * An error: the NOTIFICATION owed, after which nothing in the stream can be trusted.
 */
export type FrameResult = 'message' | 'incomplete' | NotificationError;

/** Shortest and longest body of each type, by its number (RFC 4271 section 6.1; ROUTE-REFRESH: RFC 2918 section 3). */
const MIN_LENGTH = [0, 29, 23, 21, 19, 23];
const ONLY_HEADER = HEADER_LENGTH;

/**
 * Looks at the first message of octets[start .. end).
 * A bad header is reported as soon as its 19 octets are there; the marker as soon as one of its octets is wrong.
 * @param maxMessage 4096, or 65535 once RFC 8654 is negotiated
 * @param frame filled in when the answer is `message`; `needed` is set when it is `incomplete`
 */
export function nextFrame(
  octets: Uint8Array,
  start: number,
  end: number,
  maxMessage: number,
  frame: Frame,
): FrameResult {
  const available = end - start;
  const marker = available < MARKER_LENGTH ? available : MARKER_LENGTH;
  for (let i = start; i < start + marker; i++) {
    if (octets[i] !== 0xff) return headerError(HeaderError.notSynchronized, 'the marker is not all ones');
  }
  if (available < HEADER_LENGTH) {
    frame.needed = HEADER_LENGTH;
    return 'incomplete';
  }
  const length = (octets[start + 16]! << 8) | octets[start + 17]!;
  const type = octets[start + 18]!;
  const error = checkHeader(length, type, maxMessage);
  if (error !== undefined) return error;
  if (available < length) {
    frame.needed = length;
    return 'incomplete';
  }
  frame.type = type;
  frame.bodyStart = start + HEADER_LENGTH;
  frame.bodyEnd = start + length;
  return 'message';
}

function checkHeader(length: number, type: number, maxMessage: number): NotificationError | undefined {
  if (length < HEADER_LENGTH || length > maxMessage) return badLength(length, type);
  const min = MIN_LENGTH[type];
  if (min === undefined || type === 0) {
    return headerError(HeaderError.badType, `message type ${type} is unknown`, Uint8Array.of(type));
  }
  if (length < min) return badLength(length, type);
  if (type === MessageType.keepalive && length !== ONLY_HEADER) return badLength(length, type);
  // RFC 8654 section 4: the larger limit is for neither of these.
  if (type === MessageType.open && length > MAX_MESSAGE) return badLength(length, type);
  return undefined;
}

function badLength(length: number, type: number): NotificationError {
  const data = Uint8Array.of(length >> 8, length & 0xff);
  return headerError(HeaderError.badLength, `length ${length} is wrong for message type ${type}`, data);
}

function headerError(subcode: number, message: string, data?: Uint8Array): NotificationError {
  return new NotificationError(ErrorCode.messageHeader, subcode, message, data);
}

/** A message of this type around a body. @throws RangeError when it would be longer than any message may be */
export function encodeMessage(type: number, body: Uint8Array, maxMessage: number = MAX_MESSAGE): Uint8Array {
  const length = HEADER_LENGTH + body.length;
  if (length > maxMessage) throw new RangeError(`a message of ${length} octets is longer than ${maxMessage}`);
  const message = new Uint8Array(length).fill(0xff, 0, MARKER_LENGTH);
  message[16] = length >> 8;
  message[17] = length & 0xff;
  message[18] = type;
  message.set(body, HEADER_LENGTH);
  return message;
}

/** A KEEPALIVE: nothing but the header (RFC 4271 section 4.4). */
export function encodeKeepalive(): Uint8Array {
  return encodeMessage(MessageType.keepalive, new Uint8Array());
}
