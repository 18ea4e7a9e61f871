import { describe, expect, test } from '@jest/globals';
import {
  decodeNotification,
  decodeShutdownData,
  describeNotification,
  encodeNotification,
  encodeShutdownData,
} from '../../../../src/bgp/wire/notificationMessage.js';
import { BIRD_RESET, BIRD_SHUTDOWN } from '../../../vectors/captures.js';
import { hex, join, message, octets } from '../../../vectors/hex.js';

const decodeMessage = (whole: Uint8Array) => decodeNotification(whole, 19, whole.length);

test.each([
  ['BIRD, shutdown with a message', BIRD_SHUTDOWN, 6, 2, 'maintenance, back soon'],
  ['BIRD, reset without one', BIRD_RESET, 6, 4, undefined],
])('%s, both ways', (_name, captured, code, subcode, text) => {
  const decoded = decodeMessage(message(captured));
  expect([decoded.code, decoded.subcode, decodeShutdownData(decoded.data)]).toEqual([code, subcode, text]);
  const data = text === undefined ? undefined : encodeShutdownData(text);
  expect(hex(encodeNotification(code, subcode, data))).toBe(hex(message(captured)));
});

describe('what people read', () => {
  const none = new Uint8Array();
  test.each([
    [1, 1, none, 'Message Header Error/Connection Not Synchronized'],
    [1, 2, octets('0012'), 'Message Header Error/Bad Message Length (data 0012)'],
    [2, 6, none, 'OPEN Message Error/Unacceptable Hold Time'],
    [2, 0, none, 'OPEN Message Error'],
    [2, 11, none, 'OPEN Message Error/Role Mismatch'],
    [3, 11, none, 'UPDATE Message Error/Malformed AS_PATH'],
    [4, 0, none, 'Hold Timer Expired'],
    [5, 3, none, 'Finite State Machine Error/Unexpected Message in Established'],
    [6, 2, none, 'Cease/Administrative Shutdown'],
    [6, 2, encodeShutdownData('rebooting'), 'Cease/Administrative Shutdown: "rebooting"'],
    [6, 4, encodeShutdownData('né'), 'Cease/Administrative Reset: "né"'],
    [6, 7, none, 'Cease/Connection Collision Resolution'],
    [6, 9, octets('0602 03 616263'), 'Cease/Hard Reset: Cease/Administrative Shutdown: "abc"'],
    [6, 9, octets('0400'), 'Cease/Hard Reset: Hold Timer Expired'],
    [6, 99, none, 'Cease/subcode 99'],
    [7, 1, none, 'ROUTE-REFRESH Message Error/Invalid Message Length'],
    [8, 0, none, 'Send Hold Timer Expired'],
    [99, 7, none, 'error 99/7'],
  ])('%d/%d', (code, subcode, data, text) => {
    expect(describeNotification(code, subcode, data)).toBe(text);
  });

  test('a peer cannot write to the terminal', () => {
    const data = encodeShutdownData('a\u001b[2Jb\nc\u202ed');
    expect(describeNotification(6, 2, data)).toBe('Cease/Administrative Shutdown: "a?[2Jb?c?d"');
  });
});

describe('shutdown communication, RFC 9003', () => {
  test('is cut after at most 255 octets, between characters', () => {
    const data = encodeShutdownData('ü'.repeat(200));
    expect(data.length).toBe(1 + 254);
    expect(decodeShutdownData(data)).toBe('ü'.repeat(127));
  });

  test.each([
    ['nothing', ''],
    ['length 0', '00'],
    ['a length beyond the data', '05 6162'],
    ['a length one beyond the data', '03 6162'],
  ])('%s is no text', (_name, data) => {
    expect(decodeShutdownData(octets(data))).toBeUndefined();
  });

  test('invalid UTF-8 is shown, not believed', () => {
    expect(decodeShutdownData(octets('02 ff61'))).toBe('\ufffda');
  });
});

// CVE-2025-59688: NOTIFICATIONs that end before their fields do.
test('a NOTIFICATION too short for its fields is read as far as it goes', () => {
  expect(decodeNotification(new Uint8Array(), 0, 0)).toEqual({ code: 0, subcode: 0, data: new Uint8Array() });
  expect(decodeNotification(octets('06'), 0, 1)).toEqual({ code: 6, subcode: 0, data: new Uint8Array() });
  expect(describeNotification(0, 0, new Uint8Array())).toBe('error 0/0');
});

test('data that does not fit is cut: a NOTIFICATION is never longer than 4096 octets', () => {
  expect(encodeNotification(3, 9, new Uint8Array(60000)).length).toBe(4096);
});

test('decoding looks at its window only', () => {
  const stream = join(octets('aaaa'), octets('0602'), octets('bbbb'));
  expect(decodeNotification(stream, 2, 4)).toEqual({ code: 6, subcode: 2, data: new Uint8Array() });
});
