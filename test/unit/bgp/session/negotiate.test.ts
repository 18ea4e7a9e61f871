import { describe, expect, test } from '@jest/globals';
import { Ipv4 } from '../../../../src/core/ip.js';
import { Asn } from '../../../../src/bgp/asn.js';
import type { Capability } from '../../../../src/bgp/capabilities.js';
import type { OpenMessage } from '../../../../src/bgp/messages.js';
import type { Negotiated } from '../../../../src/bgp/negotiated.js';
import type { NotificationError } from '../../../../src/bgp/notification.js';
import { negotiate } from '../../../../src/bgp/session/negotiate.js';
import { makeOffer } from '../../../../src/bgp/session/offer.js';
import type { SessionConfig } from '../../../../src/bgp/session/sessionTypes.js';
import { decodeOpen, encodeOpen } from '../../../../src/bgp/wire/open.js';
import { NO_CLAIMS, peerConfig, sessionConfig } from './testSession.js';

const V4: Capability = { kind: 'multiprotocol', afi: 1, safi: 1 };
const V6: Capability = { kind: 'multiprotocol', afi: 2, safi: 1 };
const VPN: Capability = { kind: 'multiprotocol', afi: 1, safi: 128 };
const BOTH = [true, true] as const;
const NEITHER = [false, false] as const;
const AS4: Capability = { kind: 'fourOctetAs', asn: 65001 };

/** Stands for a configuration that accepts every AS. */
const ANY_AS: Partial<SessionConfig> = {};

function open(overrides: Partial<OpenMessage> = {}): OpenMessage {
  return {
    version: 4,
    asn: 65001,
    holdTime: 90,
    routerId: Ipv4(0x0a000002),
    capabilities: [V4, V6, AS4],
    ...overrides,
  };
}

function result(theirs: OpenMessage, config: Partial<SessionConfig> = {}): Negotiated | NotificationError {
  const ours = sessionConfig(config);
  const negotiated = negotiate(ours, makeOffer(ours, NO_CLAIMS), theirs);
  return negotiated.ok ? negotiated.value : negotiated.error;
}

const withCapabilities = (...capabilities: Capability[]): OpenMessage =>
  open({ capabilities: [V4, AS4, ...capabilities] });

describe('refused:', () => {
  test.each([
    ['another version', open({ version: 3 }), {}, 2, 1],
    ['another AS', open({ capabilities: [V4, { kind: 'fourOctetAs', asn: 65009 }] }), {}, 2, 2],
    ['another AS in the two-octet field alone', open({ asn: 65009, capabilities: [V4] }), {}, 2, 2],
    [
      'the capability’s AS is wrong though the field is right',
      open({ capabilities: [{ kind: 'fourOctetAs', asn: 4200000000 }] }),
      {},
      2,
      2,
    ],
    ['AS 0', open({ asn: 0, capabilities: [V4] }), ANY_AS, 2, 2],
    ['AS_TRANS without the capability', open({ asn: 23456, capabilities: [V4] }), ANY_AS, 2, 2],
    ['identifier zero', open({ routerId: Ipv4(0) }), {}, 2, 3],
    [
      'our identifier inside our AS',
      open({ asn: 65000, routerId: Ipv4(0x0a000001), capabilities: [V4] }),
      { remoteAsn: Asn(65000) },
      2,
      3,
    ],
    ['hold time 1', open({ holdTime: 1 }), {}, 2, 6],
    ['hold time 2', open({ holdTime: 2 }), {}, 2, 6],
    ['only families we do not speak', open({ capabilities: [VPN, AS4] }), {}, 2, 7],
    [
      'no multiprotocol capability where only IPv6 is wanted',
      open({ capabilities: [AS4] }),
      { families: [false, true] },
      2,
      7,
    ],
  ] as const)('%s', (_name, theirs, config, code, subcode) => {
    const effective = config === ANY_AS ? withoutAsn(sessionConfig()) : sessionConfig(config);
    const negotiated = negotiate(effective, makeOffer(effective, NO_CLAIMS), theirs);
    expect(negotiated.ok ? undefined : [negotiated.error.code, negotiated.error.subcode]).toEqual([code, subcode]);
  });

  test('the refusal for want of a family names the families as capabilities', () => {
    const error = result(open({ capabilities: [VPN] }));
    expect(error).toMatchObject({ data: Uint8Array.of(1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1) });
  });

  test('the refusal of a version carries ours', () => {
    expect(result(open({ version: 3 }))).toMatchObject({ data: Uint8Array.of(0, 4) });
  });
});

function withoutAsn(config: SessionConfig): SessionConfig {
  const { remoteAsn, ...rest } = config;
  expect(remoteAsn).toBeDefined();
  return rest;
}

describe('accepted:', () => {
  test('any AS when none is configured', () => {
    const config = withoutAsn(sessionConfig());
    const theirs = open({ asn: 23456, capabilities: [V4, { kind: 'fourOctetAs', asn: 4200000000 }] });
    const negotiated = negotiate(config, makeOffer(config, NO_CLAIMS), theirs);
    expect(negotiated).toMatchObject({ ok: true, value: { remoteAsn: 4200000000, kind: 'ebgp', fourOctetAs: true } });
  });

  test('the same identifier in another AS (RFC 6286)', () => {
    expect(result(open({ routerId: Ipv4(0x0a000001) }))).toMatchObject({ kind: 'ebgp', remoteId: 0x0a000001 });
  });

  test('our own AS is iBGP', () => {
    const theirs = open({ asn: 65000, capabilities: [V4] });
    expect(result(theirs, { remoteAsn: Asn(65000) })).toMatchObject({ kind: 'ibgp', fourOctetAs: false });
  });

  test.each([
    ['the smaller hold time wins', 30, 90, undefined, 30, 10],
    ['also when it is ours', 90, 30, undefined, 30, 10],
    ['zero on one side turns it off', 0, 90, undefined, 0, 0],
    ['zero on our side too', 90, 0, 10, 0, 0],
    ['a configured keepalive time is kept when short enough', 90, 90, 10, 90, 10],
    ['and shortened when it is not', 9, 90, 10, 9, 3],
    ['three seconds mean one keepalive a second', 3, 90, undefined, 3, 1],
  ] as const)('%s', (_name, theirs, ours, keepaliveTime, holdTime, keepalive) => {
    const config = { holdTime: ours, ...(keepaliveTime === undefined ? {} : { keepaliveTime }) };
    expect(result(open({ holdTime: theirs }), config)).toMatchObject({ holdTime, keepaliveTime: keepalive });
  });

  test.each([
    ['both families', [V4, V6], [true, true], [true, true]],
    ['only what both have', [V6, VPN], [true, true], [false, true]],
    ['no multiprotocol capability means IPv4 unicast', [], [true, true], [true, false]],
    ['only what we want', [V4, V6], [true, false], [true, false]],
  ] as const)('%s', (_name, capabilities, families, agreed) => {
    expect(result(open({ capabilities }), { families })).toMatchObject({ families: agreed });
  });

  test('path identifiers go in the directions where one sends and the other receives', () => {
    const entry = { afi: 1, safi: 1 };
    const config = { addPath: { send: [true, true], receive: [true, false] } } as const;
    const theirs = withCapabilities({ kind: 'addPath', families: [{ ...entry, send: true, receive: false }] });
    expect(result(theirs, config)).toMatchObject({ addPathSend: [false, false], addPathReceive: [true, false] });
    const both = withCapabilities({ kind: 'addPath', families: [{ ...entry, send: true, receive: true }] });
    expect(result(both, config)).toMatchObject({ addPathSend: [true, false], addPathReceive: [true, false] });
    expect(result(both)).toMatchObject({ addPathSend: [false, false], addPathReceive: [false, false] });
  });

  test('extended messages, refresh and next hops need both sides', () => {
    const theirs = withCapabilities(
      { kind: 'extendedMessages' },
      { kind: 'routeRefresh', prestandard: false },
      { kind: 'enhancedRouteRefresh' },
      { kind: 'extendedNextHop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] },
    );
    const all = { maxMessage: 65535, routeRefresh: true, enhancedRouteRefresh: true, extendedNextHop: [true, false] };
    expect(result(theirs, { extendedNextHop: true })).toMatchObject(all);
    expect(result(theirs, { extendedMessages: false })).toMatchObject({
      maxMessage: 4096,
      extendedNextHop: [false, false],
    });
    const none = {
      maxMessage: 4096,
      routeRefresh: false,
      enhancedRouteRefresh: false,
      extendedNextHop: [false, false],
    };
    expect(result(open(), { extendedNextHop: true })).toMatchObject(none);
  });

  test('graceful restart is told for the families both speak, and absent when one side has none', () => {
    const theirs = withCapabilities({
      kind: 'gracefulRestart',
      restarting: true,
      notification: true,
      restartTime: 120,
      families: [
        { afi: 1, safi: 1, forwarding: true },
        { afi: 2, safi: 1, forwarding: true },
      ],
    });
    const gracefulRestart = { restartTime: 60 };
    expect(result(theirs, { gracefulRestart })).toMatchObject({
      gracefulRestart: {
        restarting: true,
        notification: false,
        restartTime: 120,
        families: [true, false],
        forwarding: [true, false],
      },
    });
    expect(result(theirs)).not.toHaveProperty('gracefulRestart');
    expect(result(open(), { gracefulRestart })).not.toHaveProperty('gracefulRestart');
  });

  test('of a capability that comes in several pieces, all count; of graceful restart the last (RFC 4724 section 3)', () => {
    const restart = (restartTime: number): Capability => ({
      kind: 'gracefulRestart',
      restarting: false,
      notification: false,
      restartTime,
      families: [{ afi: 1, safi: 1, forwarding: true }],
    });
    const sends = (afi: number): Capability => ({
      kind: 'addPath',
      families: [{ afi, safi: 1, send: true, receive: false }],
    });
    const theirs = withCapabilities(V4, V6, restart(7), sends(2), sends(1), restart(9));
    const ours = { gracefulRestart: { restartTime: 60 }, addPath: { receive: BOTH, send: NEITHER } };
    expect(result(theirs, ours)).toMatchObject({ gracefulRestart: { restartTime: 9 }, addPathReceive: [true, true] });
  });

  test('the peer’s name is for people', () => {
    const named = (domain: string): OpenMessage => withCapabilities({ kind: 'fqdn', hostname: 'tor', domain });
    expect(result(named(''))).toMatchObject({ remoteHostname: 'tor' });
    expect(result(named('lab'))).toMatchObject({ remoteHostname: 'tor.lab' });
  });
});

describe('our OPEN', () => {
  test('two of our own speakers agree on everything both offer, through the wire format', () => {
    const full: Partial<SessionConfig> = {
      extendedNextHop: true,
      gracefulRestart: { restartTime: 120 },
      hostname: 'node-1',
      addPath: { receive: [true, true], send: [true, true] },
      localAsn: Asn(4200000001),
    };
    const left = sessionConfig(full);
    const right = peerConfig({ ...full, localAsn: Asn(65001), remoteAsn: Asn(4200000001) });
    const offer = makeOffer(left, { restarting: true, forwarding: [true, false] });
    expect(offer.asn).toBe(23456);
    const octets = encodeOpen(offer);
    const read = decodeOpen(octets, 19, octets.length);
    if (!read.ok) throw read.error;
    expect(negotiate(right, makeOffer(right, NO_CLAIMS), read.value)).toMatchObject({
      ok: true,
      value: {
        remoteAsn: 4200000001,
        addPathReceive: [true, true],
        addPathSend: [true, true],
        extendedNextHop: [true, false],
        gracefulRestart: { restarting: true, restartTime: 120, families: [true, true], forwarding: [true, false] },
        remoteHostname: 'node-1',
        maxMessage: 65535,
      },
    });
  });

  test('says nothing of what is not configured', () => {
    const offer = makeOffer(sessionConfig({ families: [true, false], extendedMessages: false }), NO_CLAIMS);
    expect(offer.capabilities.map(c => c.kind)).toEqual([
      'multiprotocol',
      'routeRefresh',
      'fourOctetAs',
      'enhancedRouteRefresh',
    ]);
  });
});
