/**
 * A rehearsal: an engine that takes in a small made-up table before the real one has its first session.
 *
 * V8 compiles what it has seen run. A full table that finds the functions it needs compiled arrives sooner, by as long
 * as the interpreter would have had them. The engine is one of its own, between two peers in memory; nothing of it stays
 * but the compiled code.
 */

import { Asn } from '../bgp/asn.js';
import type { FamilyIndex, PerFamily } from '../bgp/families.js';
import type { SocketEvents, SocketFactory, StreamSocket } from '../bgp/session/socketTypes.js';
import { encodeKeepalive } from '../bgp/wire/frame.js';
import { encodeOpen } from '../bgp/wire/open.js';
import type { Clock } from '../core/clock.js';
import { Ipv4, type IpAddress } from '../core/ip.js';
import { createEngine } from './engine.js';
import type { EngineConfig, EnginePeer } from './engineTypes.js';
import { rehearsalFeed } from './rehearsalFeed.js';

/** A private AS and documentation addresses (RFC 5737): none of it leaves this process. */
const ASN = Asn(64_512);
const SELF = Ipv4(0xc0000201);
const FEEDER = Ipv4(0xc0000202);
const CLIENT = Ipv4(0xc0000203);
const PORT = 179;
const HOLD_TIME = 90;
/** As much as a socket gives in one read. */
const READ = 1 << 16;
/** Routes the engine of the rehearsal has room for. */
const ROOM = 30_000;

/** Milliseconds it may take, where it is slow. */
const LIMIT = 500;
/** How often the table comes, changes and goes. */
const ROUNDS = 12;

/**
 * Plays the arrival, the change and the end of a table a few times.
 * @param routes that are expected in each family; one without any has no part
 * @returns octets that the client of the rehearsal was told
 */
export async function rehearse(routes: PerFamily<number>, clock: Clock): Promise<number> {
  const families: PerFamily<boolean> = [routes[0] > 0, routes[1] > 0];
  const stage = new Stage(clock);
  const engine = createEngine(
    { sockets: stage.sockets, clock },
    {
      trackNextHops: false,
      expectedRoutes: [families[0] ? ROOM : 0, families[1] ? ROOM : 0],
      listeners: { event: () => undefined, nextHops: () => undefined },
    },
  );
  engine.apply(configuration(families));
  const feeder = stage.peer(FEEDER, families);
  const client = stage.peer(CLIENT, families);
  const chunks = ([0, 1] as const).flatMap(family => (families[family] ? inReads(rehearsalFeed(family)) : []));
  const until = clock.now() + LIMIT;
  for (const chunk of Array.from({ length: ROUNDS }, () => chunks).flat()) {
    if (clock.now() > until) break;
    feeder.data(chunk);
    await turn(clock);
  }
  // Nobody is there to hear the last word.
  void engine.stop('gracefulRestart');
  return client.told;
}

/** Cut without regard to messages, as sockets do. */
function inReads(octets: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(octets.length / READ) }, (_, i) => octets.subarray(i * READ, (i + 1) * READ));
}

function turn(clock: Clock): Promise<void> {
  return new Promise(resolve => {
    clock.setTimeout(resolve, 0);
  });
}

function configuration(families: PerFamily<boolean>): EngineConfig {
  const peer = (name: string, address: Ipv4, routeReflectorClient: boolean): EnginePeer => ({
    name,
    session: {
      remote: { version: 4, value: address },
      remotePort: PORT,
      localAsn: ASN,
      remoteAsn: ASN,
      localId: SELF,
      passive: true,
      hops: { kind: 'direct' },
      families,
      holdTime: HOLD_TIME,
      connectRetryTime: HOLD_TIME,
      idleHoldTime: { min: HOLD_TIME, max: HOLD_TIME },
      extendedMessages: true,
      extendedNextHop: false,
      addPath: { receive: [false, false], send: [false, false] },
    },
    routing: { routeReflectorClient, nextHopSelf: 'auto', announce: 'all', allowOwnAs: 0, enforceFirstAs: true },
  });
  return {
    asn: ASN,
    routerId: SELF,
    listen: [{ address: { version: 4, value: SELF }, port: PORT }],
    decision: {
      alwaysCompareMed: false,
      missingMedWorst: false,
      maximumPaths: { ebgp: 8, ibgp: 8 },
      multipathRelax: false,
    },
    peers: [peer('feeder', FEEDER, false), peer('client', CLIENT, true)],
    dynamicRanges: [],
    networks: [],
  };
}

interface StagePeer {
  /** Octets it was sent. */
  readonly told: number;
  /** Sends octets to the engine. */
  data(octets: Uint8Array): void;
}

/** The peers' ends of the connections. */
class Stage {
  private accepted: ((socket: StreamSocket) => void) | undefined;

  constructor(private readonly clock: Clock) {}

  readonly sockets: SocketFactory = {
    connect: () => {
      throw new Error('passive peers are never connected to');
    },
    listen: (_, events) => {
      this.accepted = socket => events.accepted(socket);
      return { setPassword: () => undefined, close: () => undefined };
    },
  };

  /** A peer that has connected and opened its session, and listens to whatever it is told. */
  peer(address: Ipv4, families: PerFamily<boolean>): StagePeer {
    let events: SocketEvents | undefined;
    const peer = { told: 0, data: (octets: Uint8Array): void => events?.data(octets) };
    const local: IpAddress = { version: 4, value: SELF };
    const remote: IpAddress = { version: 4, value: address };
    this.accepted?.({
      endpoints: () => ({ local, localPort: PORT, remote, remotePort: PORT }),
      attach: given => (events = given),
      write: (chunks, flushed) => {
        for (const chunk of chunks) peer.told += chunk.length;
        this.clock.setTimeout(flushed, 0);
      },
      pauseReading: () => undefined,
      resumeReading: () => undefined,
      setHops: () => undefined,
      end: () => undefined,
      destroy: () => undefined,
    });
    peer.data(openOf(address, families));
    peer.data(encodeKeepalive());
    return peer;
  }
}

function openOf(routerId: Ipv4, families: PerFamily<boolean>): Uint8Array {
  const spoken = ([0, 1] as const).filter((family: FamilyIndex) => families[family]);
  return encodeOpen({
    version: 4,
    asn: ASN,
    holdTime: HOLD_TIME,
    routerId,
    capabilities: [
      ...spoken.map(family => ({ kind: 'multiprotocol', afi: family === 0 ? 1 : 2, safi: 1 }) as const),
      { kind: 'fourOctetAs', asn: ASN },
    ],
  });
}
