/** Engines that speak with each other over a network in memory, for the tests of this folder. */

import { Asn } from '../../../src/bgp/asn.js';
import type { SessionConfig } from '../../../src/bgp/session/sessionTypes.js';
import { Ipv4, parsePrefix, type IpPrefix } from '../../../src/core/ip.js';
import { createEngine } from '../../../src/engine/engine.js';
import type {
  Engine,
  EngineConfig,
  EngineEvent,
  EngineListeners,
  EngineNetwork,
  EnginePeer,
  PeerRouting,
} from '../../../src/engine/engineTypes.js';
import type { RouteView } from '../../../src/engine/view.js';
import { address, MemoryNetwork } from '../bgp/session/memoryNetwork.js';
import { VirtualClock } from '../core/virtualClock.js';

export function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

const ROUTING: PeerRouting = {
  routeReflectorClient: false,
  nextHopSelf: 'auto',
  announce: 'all',
  allowOwnAs: 0,
  enforceFirstAs: true,
};

/** Router number n has the address 10.0.0.n; the AS is 65000 + n unless another is given. */
export class TestRouter {
  readonly engine: Engine;
  readonly events: EngineEvent[] = [];
  private peers = new Map<string, EnginePeer>();
  private networks: readonly EngineNetwork[] = [];
  private rest: Partial<EngineConfig> = {};

  constructor(
    private readonly world: Routers,
    readonly number: number,
    readonly asn: number,
    kernel?: Pick<EngineListeners, 'changes' | 'nextHops'>,
  ) {
    const listeners: EngineListeners = {
      nextHops: () => undefined,
      ...kernel,
      event: event => this.events.push(event),
    };
    this.engine = createEngine(
      { sockets: world.network.host(`10.0.0.${number}`), clock: world.clock },
      { trackNextHops: kernel !== undefined, listeners },
    );
  }

  /** Peers are named `r` and their number. */
  peer(other: TestRouter, routing: Partial<PeerRouting> = {}, session: Partial<SessionConfig> = {}): this {
    const name = `r${other.number}`;
    this.peers.set(name, {
      name,
      session: {
        remote: address(`10.0.0.${other.number}`),
        remotePort: 179,
        localAsn: Asn(this.asn),
        remoteAsn: Asn(other.asn),
        localId: Ipv4(0x0a000000 + this.number),
        passive: this.number < other.number,
        hops: { kind: 'direct' },
        families: [true, true],
        holdTime: 90,
        connectRetryTime: 1,
        idleHoldTime: { min: 1, max: 60 },
        extendedMessages: true,
        extendedNextHop: false,
        addPath: { receive: [false, false], send: [false, false] },
        ...session,
      },
      routing: { ...ROUTING, ...routing },
    });
    return this;
  }

  /** The peers as the next `apply` has them. */
  get configured(): readonly EnginePeer[] {
    return [...this.peers.values()];
  }

  /** Networks of its own: prefixes, or with attributes. */
  originate(...networks: readonly (string | (Omit<EngineNetwork, 'prefix'> & { readonly prefix: string }))[]): this {
    this.networks = networks.map(network =>
      typeof network === 'string' ? { prefix: prefix(network) } : { ...network, prefix: prefix(network.prefix) },
    );
    return this;
  }

  with(rest: Partial<EngineConfig>): this {
    this.rest = { ...this.rest, ...rest };
    return this;
  }

  async apply(): Promise<void> {
    this.engine.apply({
      asn: Asn(this.asn),
      routerId: Ipv4(0x0a000000 + this.number),
      listen: [{ address: address(`10.0.0.${this.number}`), port: 179 }],
      decision: {
        alwaysCompareMed: false,
        missingMedWorst: false,
        maximumPaths: { ebgp: 1, ibgp: 1 },
        multipathRelax: false,
      },
      peers: [...this.peers.values()],
      dynamicRanges: [],
      networks: this.networks,
      ...this.rest,
    });
    await this.world.settle();
  }

  routes(query: Parameters<Engine['routes']>[0] = {}): RouteView[] {
    return [...this.engine.routes(query)];
  }

  /** Prefixes learned from a peer and in use. */
  learned(from: TestRouter): string[] {
    return this.routes()
      .filter(route => route.from === `r${from.number}` && route.best)
      .map(route => route.prefix);
  }

  route(text: string): RouteView | undefined {
    return this.routes({ prefix: text })[0];
  }
}

export class Routers {
  readonly clock = new VirtualClock();
  readonly network = new MemoryNetwork(this.clock);

  /** @param kernel who writes routes into it, and knows which next hops it reaches; absent: all are reachable */
  router(number: number, asn = 65000 + number, kernel?: ConstructorParameters<typeof TestRouter>[3]): TestRouter {
    return new TestRouter(this, number, asn, kernel);
  }

  /** Lets so many seconds pass, with time for every router to do its work. */
  async settle(seconds = 5): Promise<void> {
    for (let i = 0; i < seconds * 10; i++) {
      this.clock.advance(100);
      await new Promise(resolve => setImmediate(resolve));
      await new Promise(resolve => setImmediate(resolve));
    }
  }
}
