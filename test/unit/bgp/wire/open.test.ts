import { describe, expect, test } from '@jest/globals';
import type { Capability } from '../../../../src/bgp/capabilities.js';
import type { OpenMessage } from '../../../../src/bgp/messages.js';
import { decodeCapability, encodeCapability } from '../../../../src/bgp/wire/capabilityTable.js';
import { OctetReader } from '../../../../src/bgp/wire/octetReader.js';
import { OctetWriter } from '../../../../src/bgp/wire/octetWriter.js';
import { decodeOpen, encodeOpen, unsupportedCapability } from '../../../../src/bgp/wire/open.js';
import { Ipv4 } from '../../../../src/core/ip.js';
import { BIRD_OPEN, BIRD_TWO_OCTET_OPEN, FRR_OPEN, GOBGP_OPEN } from '../../../vectors/captures.js';
import { hex, message, octets } from '../../../vectors/hex.js';

const HEADER = 19;
const IPV4 = { afi: 1, safi: 1 };
const IPV6 = { afi: 2, safi: 1 };
const unknown = (code: number, value: string): Capability => ({ kind: 'unknown', code, value: octets(value) });

const BIRD: OpenMessage = {
  version: 4,
  asn: 23456,
  holdTime: 240,
  routerId: Ipv4(0x0a000001),
  capabilities: [
    { kind: 'multiprotocol', ...IPV4 },
    { kind: 'multiprotocol', ...IPV6 },
    { kind: 'routeRefresh', prestandard: false },
    { kind: 'extendedNextHop', families: [{ ...IPV4, nextHopAfi: 2 }] },
    { kind: 'extendedMessages' },
    {
      kind: 'gracefulRestart',
      restarting: false,
      notification: false,
      restartTime: 120,
      families: [
        { ...IPV4, forwarding: false },
        { ...IPV6, forwarding: false },
      ],
    },
    { kind: 'fourOctetAs', asn: 4200000100 },
    { kind: 'addPath', families: [{ ...IPV4, send: true, receive: true }] },
    { kind: 'enhancedRouteRefresh' },
    unknown(71, ''),
  ],
};

const BIRD_TWO_OCTET: OpenMessage = {
  version: 4,
  asn: 65001,
  holdTime: 240,
  routerId: Ipv4(0x0a000001),
  capabilities: [
    { kind: 'multiprotocol', ...IPV4 },
    { kind: 'routeRefresh', prestandard: false },
    { kind: 'gracefulRestart', restarting: false, notification: false, restartTime: 120, families: [] },
    { kind: 'enhancedRouteRefresh' },
    unknown(71, ''),
  ],
};

const GOBGP: OpenMessage = {
  version: 4,
  asn: 65010,
  holdTime: 90,
  routerId: Ipv4(0x0a00000a),
  capabilities: [
    { kind: 'routeRefresh', prestandard: false },
    { kind: 'fqdn', hostname: 'vm', domain: '' },
    { kind: 'multiprotocol', ...IPV4 },
    { kind: 'multiprotocol', ...IPV6 },
    { kind: 'fourOctetAs', asn: 65010 },
    {
      kind: 'gracefulRestart',
      restarting: false,
      notification: true,
      restartTime: 120,
      families: [{ ...IPV4, forwarding: false }],
    },
    { kind: 'extendedNextHop', families: [{ ...IPV4, nextHopAfi: 2 }] },
  ],
};

/** One optional parameter for each capability: decoded the same, written differently by us. */
const FRR: OpenMessage = {
  version: 4,
  asn: 65020,
  holdTime: 180,
  routerId: Ipv4(0x0a000014),
  capabilities: [
    { kind: 'multiprotocol', ...IPV4 },
    { kind: 'multiprotocol', ...IPV6 },
    { kind: 'routeRefresh', prestandard: true },
    { kind: 'routeRefresh', prestandard: false },
    { kind: 'enhancedRouteRefresh' },
    { kind: 'fourOctetAs', asn: 65020 },
    { kind: 'extendedMessages' },
    {
      kind: 'addPath',
      families: [
        { ...IPV4, send: true, receive: true },
        { ...IPV6, send: true, receive: true },
      ],
    },
    { kind: 'fqdn', hostname: 'frr-one', domain: 'example.net' },
    {
      kind: 'gracefulRestart',
      restarting: true,
      notification: true,
      restartTime: 120,
      families: [
        { ...IPV4, forwarding: false },
        { ...IPV6, forwarding: false },
      ],
    },
    unknown(71, '0001 01 80 000000 0002 01 80 000000'),
  ],
};

const decodeMessage = (whole: Uint8Array) => decodeOpen(whole, HEADER, whole.length);

describe('OPENs of real speakers', () => {
  test.each([
    ['BIRD', BIRD_OPEN, BIRD],
    ['BIRD without four-octet AS', BIRD_TWO_OCTET_OPEN, BIRD_TWO_OCTET],
    ['GoBGP', GOBGP_OPEN, GOBGP],
  ])('%s, both ways', (_name, captured, value) => {
    expect(decodeMessage(message(captured))).toEqual({ ok: true, value });
    expect(hex(encodeOpen(value))).toBe(hex(message(captured)));
  });

  test('FRR, one parameter for each capability', () => {
    expect(decodeMessage(message(FRR_OPEN))).toEqual({ ok: true, value: FRR });
  });
});

const CAPABILITIES: readonly (readonly [string, string, Capability])[] = [
  ['multiprotocol, RFC 4760', '01 04 0019 00 46', { kind: 'multiprotocol', afi: 25, safi: 70 }],
  ['route refresh, RFC 2918', '02 00', { kind: 'routeRefresh', prestandard: false }],
  ['route refresh before RFC 2918', '80 00', { kind: 'routeRefresh', prestandard: true }],
  [
    'extended next hop, RFC 8950',
    '05 0c 0001 0001 0002 0001 0080 0002',
    {
      kind: 'extendedNextHop',
      families: [
        { afi: 1, safi: 1, nextHopAfi: 2 },
        { afi: 1, safi: 128, nextHopAfi: 2 },
      ],
    },
  ],
  ['extended messages, RFC 8654', '06 00', { kind: 'extendedMessages' }],
  [
    'graceful restart, RFC 4724 and RFC 8538',
    '40 06 cfff 0002 01 80',
    {
      kind: 'gracefulRestart',
      restarting: true,
      notification: true,
      restartTime: 4095,
      families: [{ ...IPV6, forwarding: true }],
    },
  ],
  ['four-octet AS, RFC 6793', '41 04 ffffffff', { kind: 'fourOctetAs', asn: 4294967295 }],
  [
    'add-path, RFC 7911',
    '45 0c 0001 01 01 0001 02 02 0002 01 03',
    {
      kind: 'addPath',
      families: [
        { ...IPV4, send: false, receive: true },
        { afi: 1, safi: 2, send: true, receive: false },
        { ...IPV6, send: true, receive: true },
      ],
    },
  ],
  ['enhanced route refresh, RFC 7313', '46 00', { kind: 'enhancedRouteRefresh' }],
  ['FQDN', '49 05 01 61 02 c3a9', { kind: 'fqdn', hostname: 'a', domain: 'é' }],
  ['one nobody here knows', 'c8 02 beef', unknown(200, 'beef')],
];

function decodeOne(whole: string): Capability {
  const reader = OctetReader.over(octets(whole));
  const code = reader.u8();
  return decodeCapability(code, reader.part(reader.u8()));
}

describe('capabilities', () => {
  test.each(CAPABILITIES)('%s', (_name, whole, capability) => {
    expect(decodeOne(whole)).toEqual(capability);
    const writer = new OctetWriter();
    encodeCapability(capability, writer);
    expect(hex(writer.done())).toBe(hex(octets(whole)));
  });

  test('add-path with another Send/Receive than 1, 2 or 3 is ignored for that family (RFC 7911 section 4)', () => {
    expect(decodeOne('45 08 0001 01 00 0002 01 04')).toEqual({ kind: 'addPath', families: [] });
  });

  test('a host name is cut between characters', () => {
    const writer = new OctetWriter();
    encodeCapability({ kind: 'fqdn', hostname: 'é'.repeat(40), domain: '' }, writer);
    expect(decodeOne(hex(writer.done()))).toEqual({ kind: 'fqdn', hostname: 'é'.repeat(32), domain: '' });
  });
});

describe('extended optional parameters, RFC 9072', () => {
  const many: OpenMessage = {
    ...BIRD,
    capabilities: [unknown(200, 'aa'.repeat(200)), unknown(201, 'bb'.repeat(200))],
  };

  test('are used when 255 octets do not suffice, and read back', () => {
    const whole = encodeOpen(many);
    const parameters = 2 * (2 + 200);
    expect(hex(whole.subarray(28, 35))).toBe(`ffff${(parameters + 3).toString(16).padStart(4, '0')}020194`);
    expect(decodeMessage(whole)).toEqual({ ok: true, value: many });
  });

  test('253 octets of capabilities still fit the old form', () => {
    const snug = { ...BIRD, capabilities: [unknown(200, 'aa'.repeat(251))] };
    const whole = encodeOpen(snug);
    expect(whole[28]).toBe(255);
    expect(whole[29]).toBe(2);
    expect(decodeMessage(whole)).toEqual({ ok: true, value: snug });
  });

  test('a short list may take the extended form too, whatever the old length says', () => {
    const body = octets('04 fde8 005a 0a000001 01 ff 0005 02 0002 0200');
    expect(decodeOpen(body, 0, body.length)).toMatchObject({
      ok: true,
      value: { capabilities: [{ kind: 'routeRefresh' }] },
    });
  });
});

const FIXED = '04 fde8 005a 0a000001';
const VALID = octets(`${FIXED} 00`);

describe('errors of RFC 4271 section 6.2', () => {
  test.each([
    ['version 3', '03 fde8 005a 0a000001 00', 2, 1, '0004'],
    ['version 5', '05 fde8 005a 0a000001 00', 2, 1, '0004'],
    ['AS 0 (RFC 7607)', '04 0000 005a 0a000001 00', 2, 2, ''],
    ['AS 0 in the capability (RFC 7607)', `${FIXED} 08 02 06 41 04 00000000`, 2, 2, ''],
    ['hold time 1', '04 fde8 0001 0a000001 00', 2, 6, ''],
    ['hold time 2', '04 fde8 0002 0a000001 00', 2, 6, ''],
    ['identifier 0.0.0.0', '04 fde8 005a 00000000 00', 2, 3, ''],
    ['authentication parameter (deprecated)', `${FIXED} 03 01 01 00`, 2, 4, ''],
    ['a parameter nobody knows', `${FIXED} 02 63 00`, 2, 4, ''],
    ['parameters shorter than announced', `${FIXED} 08 02 02 02 00`, 2, 0, ''],
    ['octets behind the parameters', `${FIXED} 00 02 00`, 2, 0, ''],
    ['a parameter behind those announced', `${FIXED} 04 02 02 02 00 02 00`, 2, 0, ''],
    ['parameter longer than the field', `${FIXED} 04 02 07 02 00`, 2, 0, ''],
    ['capability longer than its parameter', `${FIXED} 04 02 02 41 04`, 2, 0, ''],
    ['multiprotocol of three octets', `${FIXED} 07 02 05 01 03 0001 00`, 2, 0, ''],
    ['multiprotocol of five octets', `${FIXED} 09 02 07 01 05 0001 00 01 00`, 2, 0, ''],
    ['route refresh with a value', `${FIXED} 05 02 03 02 01 00`, 2, 0, ''],
    ['graceful restart of one octet', `${FIXED} 05 02 03 40 01 00`, 2, 0, ''],
    ['four-octet AS of two octets', `${FIXED} 06 02 04 41 02 fde8`, 2, 0, ''],
    ['add-path of three octets', `${FIXED} 07 02 05 45 03 0001 01`, 2, 0, ''],
    ['host name longer than the capability', `${FIXED} 06 02 04 49 02 09 61`, 2, 0, ''],
    // CVE-2022-40302: extended parameters announced in an OPEN too short to hold their length.
    ['CVE-2022-40302, 255 and nothing', `${FIXED} ff`, 2, 0, ''],
    ['CVE-2022-40302, 255 twice and nothing', `${FIXED} ff ff`, 2, 0, ''],
    ['CVE-2022-40302, half an extended length', `${FIXED} ff ff 00`, 2, 0, ''],
    // CVE-2022-40318: parameter header cut off in the extended form.
    ['CVE-2022-40318, half a parameter header', `${FIXED} ff ff 0002 02 00`, 2, 0, ''],
    // CVE-2022-43681: an OPEN that ends inside a capability's header.
    ['CVE-2022-43681, a capability without length', `${FIXED} 03 02 01 41`, 2, 0, ''],
  ])('%s', (_name, body, code, subcode, data) => {
    const source = octets(body);
    const result = decodeOpen(source, 0, source.length);
    expect(result).toMatchObject({ ok: false, error: { code, subcode } });
    expect(result.ok ? '' : hex(result.error.data)).toBe(data);
  });

  test('CVE-2022-43681: every OPEN cut short is answered, never thrown at', () => {
    const whole = message(FRR_OPEN);
    for (let end = HEADER; end < whole.length; end++) {
      const result = decodeOpen(whole.slice(0, end), HEADER, end);
      expect(result.ok).toBe(false);
    }
  });

  test('an OPEN of 29 octets has no parameters', () => {
    expect(decodeOpen(VALID, 0, VALID.length)).toMatchObject({ ok: true, value: { capabilities: [] } });
  });

  test('hold time 0 and 3 are fine', () => {
    for (const seconds of ['0000', '0003']) {
      const body = octets(`04 fde8 ${seconds} 0a000001 00`);
      expect(decodeOpen(body, 0, body.length).ok).toBe(true);
    }
  });
});

test('a missing capability is named in the data (RFC 5492 section 5)', () => {
  const error = unsupportedCapability([{ kind: 'multiprotocol', afi: 2, safi: 1 }], 'needs IPv6');
  expect([error.code, error.subcode, hex(error.data)]).toEqual([2, 7, '010400020001']);
});
