import { expect, test } from '@jest/globals';
import { Asn } from '../../../../src/bgp/asn.js';
import { makeOffer } from '../../../../src/bgp/session/offer.js';
import type { StreamSocket } from '../../../../src/bgp/session/socketTypes.js';
import { encodeKeepalive } from '../../../../src/bgp/wire/frame.js';
import { encodeOpen } from '../../../../src/bgp/wire/open.js';
import { Ipv4 } from '../../../../src/core/ip.js';
import { address } from './memoryNetwork.js';
import { makeHost, NO_CLAIMS, peerConfig, sessionConfig, TestBed, type Host } from './testSession.js';

/**
 * A speaker whose connection would win over the peer's, and a peer that takes that connection and says nothing on it:
 * it says these messages on one of its own.
 */
function silentOnOurs(...messages: readonly Uint8Array[]): { readonly bed: TestBed; readonly host: Host } {
  const bed = new TestBed();
  const host = makeHost(bed.network, '10.0.0.1', sessionConfig({ localId: Ipv4(0x0a0000ff) }));
  const sockets = bed.network.host('10.0.0.2');
  const quiet = { connected: () => undefined, data: () => undefined, closed: () => undefined };
  sockets.listen(
    { address: address('10.0.0.2'), port: 179 },
    { listening: () => undefined, accepted: socket => socket.attach(quiet), failed: () => undefined },
  );
  host.session.start();
  bed.clock.advance(100);
  expect(host.session.state).toBe('OpenSent');
  const own: StreamSocket = sockets.connect({ remote: address('10.0.0.1'), remotePort: 179 }, quiet);
  bed.clock.advance(100);
  own.write([Buffer.concat(messages)], () => undefined);
  bed.clock.advance(100);
  return { bed, host };
}

const OPEN = encodeOpen(makeOffer(peerConfig({ localAsn: Asn(65001) }), NO_CLAIMS));

test('a KEEPALIVE that comes while the OPEN before it is held back counts when that is answered', () => {
  const { bed, host } = silentOnOurs(OPEN, encodeKeepalive());
  expect(host.session.state).toBe('OpenSent');
  bed.clock.advance(2500);
  expect([host.session.state, host.session.lastError]).toEqual(['Established', undefined]);
});

test('a second OPEN on the connection whose OPEN is held back ends it', () => {
  const { bed, host } = silentOnOurs(OPEN, OPEN);
  expect(host.session.lastError?.text).toBe('a second OPEN');
  bed.clock.advance(2500);
  expect(host.session.state).toBe('OpenSent');
});
