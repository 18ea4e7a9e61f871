/** Sessions of the tests: a configuration to vary, and a host that records what its session says. */

import { expect } from '@jest/globals';
import { formatAddress, Ipv4 } from '../../../../src/core/ip.js';
import { Asn } from '../../../../src/bgp/asn.js';
import { createListener } from '../../../../src/bgp/session/listener.js';
import type { ManagedSession } from '../../../../src/bgp/session/managedSession.js';
import { createSession } from '../../../../src/bgp/session/peerSession.js';
import type { RestartClaims, SessionConfig } from '../../../../src/bgp/session/sessionTypes.js';
import { encodeMessage } from '../../../../src/bgp/wire/frame.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { address, MemoryNetwork, type MemorySocket } from './memoryNetwork.js';

export const NO_CLAIMS: RestartClaims = { restarting: false, forwarding: [false, false] };

export function sessionConfig(overrides: Partial<SessionConfig> = {}): SessionConfig {
  return {
    remote: address('10.0.0.2'),
    remotePort: 179,
    localAsn: Asn(65000),
    remoteAsn: Asn(65001),
    localId: Ipv4(0x0a000001),
    passive: false,
    hops: { kind: 'direct' },
    families: [true, true],
    holdTime: 90,
    connectRetryTime: 10,
    idleHoldTime: { min: 2, max: 32 },
    extendedMessages: true,
    extendedNextHop: false,
    addPath: { receive: [false, false], send: [false, false] },
    ...overrides,
  };
}

/** The other end of {@link sessionConfig}. */
export function peerConfig(overrides: Partial<SessionConfig> = {}): SessionConfig {
  return sessionConfig({
    remote: address('10.0.0.1'),
    localAsn: Asn(65001),
    remoteAsn: Asn(65000),
    localId: Ipv4(0x0a000002),
    ...overrides,
  });
}

export interface Host {
  readonly session: ManagedSession;
  /** What the session told its owner, as words in order: "OpenSent", "up", "update 3", "down ...". */
  readonly log: string[];
  /** Bodies of the UPDATEs that came, copied. */
  readonly updates: Uint8Array[];
  /** What to do when an UPDATE comes, beside keeping it. */
  onUpdate: (body: Uint8Array) => void;
}

/** A host at `at` that listens on port 179 and has one session. */
export function makeHost(network: MemoryNetwork, at: string, config: SessionConfig, claims = NO_CLAIMS): Host {
  const log: string[] = [];
  const updates: Uint8Array[] = [];
  const sockets = network.host(at);
  const session = createSession({
    config,
    claims: () => claims,
    sockets,
    clock: network.clock,
    random: () => 0,
    handlers: {
      stateChanged: state => log.push(state),
      established: (negotiated, { remote }) => log.push(`up ${negotiated.kind} ${formatAddress(remote)}`),
      update: (octets, start, end) => {
        updates.push(octets.slice(start, end));
        log.push(`update ${end - start}`);
        host.onUpdate(octets.slice(start, end));
      },
      readDone: () => log.push('readDone'),
      refresh: (family, subtype) => log.push(`refresh ${family} ${subtype}`),
      drained: () => log.push('drained'),
      down: reason => log.push(`down ${reason.kind}: ${reason.text}`),
    },
  });
  const host: Host = { session, log, updates, onUpdate: () => undefined };
  const listener = createListener({
    address: address(at),
    port: 179,
    sockets,
    onConnection: (socket, { remote }) => {
      if (formatAddress(remote) === formatAddress(config.remote)) session.accept(socket);
      else socket.destroy();
    },
    onError: text => log.push(text),
  });
  if (config.password !== undefined) listener.setPassword(config.remote, config.password);
  return host;
}

/** A world of its own for each test: two hosts at 10.0.0.1 and 10.0.0.2. */
export class TestBed {
  readonly clock = new VirtualClock();
  readonly network = new MemoryNetwork(this.clock);

  /** Both hosts, not started. */
  pair(left: Partial<SessionConfig> = {}, right: Partial<SessionConfig> = {}): [Host, Host] {
    return [
      makeHost(this.network, '10.0.0.1', sessionConfig(left)),
      makeHost(this.network, '10.0.0.2', peerConfig(right)),
    ];
  }

  /** Both hosts with their session up; the right one is passive. */
  established(left: Partial<SessionConfig> = {}, right: Partial<SessionConfig> = {}): [Host, Host] {
    const hosts = this.pair(left, { passive: true, ...right });
    hosts[1].session.start();
    hosts[0].session.start();
    this.clock.advance(100);
    expect(hosts.map(h => h.session.state)).toEqual(['Established', 'Established']);
    return hosts;
  }

  /** Sockets that are not closed. */
  open(): MemorySocket[] {
    return this.network.sockets.filter(s => !s.destroyed);
  }

  /** The one socket of the host at this address. */
  socketAt(at: string): MemorySocket {
    const found = this.open().find(s => s.local.at === at);
    if (found === undefined) throw new Error(`no socket at ${at}`);
    return found;
  }
}

/** An UPDATE message of so many octets of body, all the same: sessions do not look into it. */
export function update(filler: number, length = 30): Uint8Array {
  return encodeMessage(2, new Uint8Array(length).fill(filler));
}
