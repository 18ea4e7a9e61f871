/** NOTIFICATION: RFC 4271 section 4.5, RFC 4486, the words for people of RFC 9003, and names for everything. */

import type { NotificationMessage } from '../messages.js';
import { encodeMessage } from './frame.js';
import { CeaseCode, ErrorCode, HEADER_LENGTH, MAX_MESSAGE, MessageType } from './iana.js';

/** Octets of data that fit: a NOTIFICATION about a long attribute keeps its beginning. */
const MAX_DATA = MAX_MESSAGE - HEADER_LENGTH - 2;
/** RFC 9003 section 2: the length is one octet. */
const MAX_SHUTDOWN_TEXT = 255;

interface ErrorName {
  readonly name: string;
  readonly subcodes: Readonly<Record<number, string>>;
}

/** IANA "BGP Error (Notification) Codes" and the subcode registries below it. */
const NAMES: Readonly<Record<number, ErrorName>> = {
  1: {
    name: 'Message Header Error',
    subcodes: { 1: 'Connection Not Synchronized', 2: 'Bad Message Length', 3: 'Bad Message Type' },
  },
  2: {
    name: 'OPEN Message Error',
    subcodes: {
      1: 'Unsupported Version Number',
      2: 'Bad Peer AS',
      3: 'Bad BGP Identifier',
      4: 'Unsupported Optional Parameter',
      5: 'Authentication Failure',
      6: 'Unacceptable Hold Time',
      7: 'Unsupported Capability',
      11: 'Role Mismatch',
    },
  },
  3: {
    name: 'UPDATE Message Error',
    subcodes: {
      1: 'Malformed Attribute List',
      2: 'Unrecognized Well-known Attribute',
      3: 'Missing Well-known Attribute',
      4: 'Attribute Flags Error',
      5: 'Attribute Length Error',
      6: 'Invalid ORIGIN Attribute',
      7: 'AS Routing Loop',
      8: 'Invalid NEXT_HOP Attribute',
      9: 'Optional Attribute Error',
      10: 'Invalid Network Field',
      11: 'Malformed AS_PATH',
    },
  },
  4: { name: 'Hold Timer Expired', subcodes: {} },
  5: {
    name: 'Finite State Machine Error',
    subcodes: {
      1: 'Unexpected Message in OpenSent',
      2: 'Unexpected Message in OpenConfirm',
      3: 'Unexpected Message in Established',
    },
  },
  6: {
    name: 'Cease',
    subcodes: {
      1: 'Maximum Number of Prefixes Reached',
      2: 'Administrative Shutdown',
      3: 'Peer De-configured',
      4: 'Administrative Reset',
      5: 'Connection Rejected',
      6: 'Other Configuration Change',
      7: 'Connection Collision Resolution',
      8: 'Out of Resources',
      9: 'Hard Reset',
      10: 'BFD Down',
    },
  },
  7: { name: 'ROUTE-REFRESH Message Error', subcodes: { 1: 'Invalid Message Length' } },
  8: { name: 'Send Hold Timer Expired', subcodes: {} },
};

/** A whole message with header. Data that does not fit into 4096 octets is cut off at the end. */
export function encodeNotification(code: number, subcode: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  const kept = data.subarray(0, MAX_DATA);
  const body = new Uint8Array(2 + kept.length);
  body[0] = code;
  body[1] = subcode;
  body.set(kept, 2);
  return encodeMessage(MessageType.notification, body);
}

/** Reads the body in octets[start .. end). Never fails: a NOTIFICATION is not answered, so code 0 stands for one too short. */
export function decodeNotification(octets: Uint8Array, start: number, end: number): NotificationMessage {
  const code = start < end ? octets[start]! : 0;
  const subcode = start + 1 < end ? octets[start + 1]! : 0;
  return { code, subcode, data: octets.slice(Math.min(start + 2, end), end) };
}

/**
 * Data of Cease/2 and Cease/4 that says why, for people (RFC 9003 section 2). Text of more than 255 octets of UTF-8 is
 * cut between two characters.
 */
export function encodeShutdownData(text: string): Uint8Array {
  const buffer = new Uint8Array(1 + MAX_SHUTDOWN_TEXT);
  const { written } = new TextEncoder().encodeInto(text, buffer.subarray(1));
  buffer[0] = written;
  return buffer.slice(0, 1 + written);
}

/** The text in the data of Cease/2 and Cease/4; undefined when there is none or its length is a lie (RFC 9003 section 2). */
export function decodeShutdownData(data: Uint8Array): string | undefined {
  const length = data[0] ?? 0;
  if (length === 0 || length > data.length - 1) return undefined;
  return new TextDecoder().decode(data.subarray(1, 1 + length));
}

/** One line for people, as in `Cease/Administrative Shutdown: "rebooting"`. The peer's text is stripped of control characters. */
export function describeNotification(code: number, subcode: number, data: Uint8Array): string {
  const base = describeCodes(code, subcode);
  if (code !== ErrorCode.cease) return data.length === 0 ? base : `${base} (data ${hex(data)})`;
  if (subcode === CeaseCode.hardReset && data.length >= 2) {
    // RFC 8538 section 3.1: the data is the NOTIFICATION that would otherwise have been sent.
    const inner = decodeNotification(data, 0, data.length);
    return `${base}: ${describeCodes(inner.code, inner.subcode)}${saying(inner.code, inner.subcode, inner.data)}`;
  }
  return base + saying(code, subcode, data);
}

function saying(code: number, subcode: number, data: Uint8Array): string {
  const mayTalk = subcode === CeaseCode.administrativeShutdown || subcode === CeaseCode.administrativeReset;
  const text = code === ErrorCode.cease && mayTalk ? decodeShutdownData(data) : undefined;
  return text === undefined ? '' : `: "${printable(text)}"`;
}

function describeCodes(code: number, subcode: number): string {
  const error = NAMES[code];
  if (error === undefined) return `error ${code}/${subcode}`;
  const name = error.subcodes[subcode] ?? (subcode === 0 ? undefined : `subcode ${subcode}`);
  return name === undefined ? error.name : `${error.name}/${name}`;
}

/** What a peer wrote goes to terminals and logs: no control characters, no bidirectional overrides. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}

function hex(data: Uint8Array): string {
  const shown = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, 32)).toString('hex');
  return data.length > 32 ? `${shown}…` : shown;
}
