import { describe, expect, test } from '@jest/globals';
import { Asn } from '../../../src/bgp/asn.js';
import { Ipv4 } from '../../../src/core/ip.js';
import { END_OF_RIB, END_OF_RIB_6, gracefulRestart, KEEPALIVE, mark, RawPeer, REFRESH } from './rawPeer.js';
import { prefix, Routers, type TestRouter } from './routers.js';

const GRACEFUL = { restartTime: 120, staleTime: 180, deferralTime: 120, restarted: false };
const P1 = '10.0.1.0/24';
const P2 = '10.0.2.0/24';

/** Router 1, which has graceful restart, and a peer with number 2 that says what it likes. */
async function world(): Promise<{ routers: Routers; one: TestRouter; two: RawPeer }> {
  const routers = new Routers();
  const one = routers.router(1).with({ gracefulRestart: GRACEFUL });
  one.peer(routers.router(2), {}, { passive: true, gracefulRestart: { restartTime: 120 } });
  await one.apply();
  return { routers, one, two: new RawPeer(routers, 2) };
}

const held = (one: TestRouter): string[] => one.routes().map(route => route.prefix);

describe('what is kept of a peer over its restart (RFC 4724)', () => {
  test('is kept over a second one that follows the first End-of-RIB at once', async () => {
    const { one, two } = await world();
    await two.establish(gracefulRestart());
    await two.send(two.announce(1, 2), END_OF_RIB, END_OF_RIB_6);
    await two.lose();
    expect(held(one)).toEqual([P1, P2]);
    await two.establish(gracefulRestart(true));
    // No turn between the mark and the loss: what the mark has set going must not meet what is kept now.
    await two.lose(two.announce(1), END_OF_RIB, END_OF_RIB_6);
    expect(held(one)).toEqual([P1]);
  });

  test('is not taken away by the end of a refresh that never began', async () => {
    const { one, two } = await world();
    await two.establish(gracefulRestart(), ...REFRESH);
    await two.send(two.announce(1, 2), END_OF_RIB, END_OF_RIB_6);
    await two.lose();
    await two.establish(gracefulRestart(true), ...REFRESH);
    // RFC 7313 section 4: such marks count only after End-of-RIB.
    await two.send(two.announce(1), mark(0, 'begin'), mark(0, 'end'));
    expect(held(one)).toEqual([P1, P2]);
    await two.send(END_OF_RIB, END_OF_RIB_6);
    expect(held(one)).toEqual([P1]);
  });
});

describe('enhanced route refresh (RFC 7313)', () => {
  test('of one family that is not brought to its end is ended by time, whatever the other does', async () => {
    const { routers, one, two } = await world();
    await two.establish(...REFRESH);
    await two.send(two.announce(1, 2), END_OF_RIB, END_OF_RIB_6);
    await two.send(mark(0, 'begin'), mark(1, 'begin'), mark(1, 'end'), two.announce(1));
    expect(held(one)).toEqual([P1, P2]);
    routers.clock.advance(400_000);
    await routers.settle(1);
    expect(held(one)).toEqual([P1]);
  });

  test('that begins anew right after its end takes nothing away', async () => {
    const { one, two } = await world();
    await two.establish(...REFRESH);
    await two.send(two.announce(1, 2), END_OF_RIB, END_OF_RIB_6);
    await two.send(mark(0, 'begin'), two.announce(1), mark(0, 'end'), mark(0, 'begin'));
    expect(held(one)).toEqual([P1]);
    await two.send(two.announce(1), mark(0, 'end'));
    expect(held(one)).toEqual([P1]);
  });

  test('is answered after End-of-RIB, with one mark for requests that come while it goes on', async () => {
    const { one, two } = await world();
    await one.originate('192.0.2.0/24').apply();
    await two.connect();
    const request = mark(0, 'request');
    await two.send(two.open(...REFRESH), KEEPALIVE, request, request, request);
    const begins = two.heard.filter(({ type, body }) => type === 5 && body[2] === 1);
    const ends = two.heard.filter(({ type, body }) => type === 5 && body[2] === 2);
    expect([begins.length, ends.length]).toEqual([1, 1]);
    const endOfRib = two.heard.findIndex(({ type, body }) => type === 2 && body.length === 4);
    expect(two.heard.findIndex(({ type, body }) => type === 5 && body[2] === 1)).toBeGreaterThan(endOfRib);
  });
});

describe('dynamic peers', () => {
  /** Router 1 with room for two peers of any AS. */
  async function open(): Promise<{ routers: Routers; one: TestRouter; peers: RawPeer[] }> {
    const routers = new Routers();
    const model = routers.router(9).peer(routers.router(8)).configured[0]!;
    const { remoteAsn, ...session } = model.session;
    expect(remoteAsn).toBeDefined();
    const range = {
      prefix: prefix('10.0.0.0/24'),
      group: 'any',
      limit: 2,
      session: { ...session, localAsn: Asn(65001), localId: Ipv4(0x0a000001), gracefulRestart: { restartTime: 60 } },
      routing: model.routing,
    };
    const one = routers.router(1).with({ dynamicRanges: [range], gracefulRestart: GRACEFUL });
    await one.apply();
    return { routers, one, peers: [5, 6, 7].map(number => new RawPeer(routers, number)) };
  }

  test('that connect and say nothing leave their place to others', async () => {
    const { one, peers } = await open();
    for (const peer of peers) {
      await peer.connect();
      await peer.lose();
    }
    expect(one.engine.peers().map(({ name }) => name)).toEqual([]);
    await peers[2]!.establish();
    expect(one.engine.peer('any@10.0.0.7')?.state).toBe('Established');
  });

  test('keep what they told over a restart although an attempt in between fails', async () => {
    const { one, peers } = await open();
    const [peer] = peers;
    await peer!.establish(gracefulRestart());
    await peer!.send(peer!.announce(1), END_OF_RIB, END_OF_RIB_6);
    await peer!.lose();
    expect(held(one)).toEqual([P1]);
    await peer!.connect();
    await peer!.lose();
    expect(held(one)).toEqual([P1]);
    await peer!.connect();
    await peer!.send(new Uint8Array(19));
    expect(held(one)).toEqual([P1]);
  });
});
