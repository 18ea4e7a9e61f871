/** A peer that says what a test wants, message by message: well-behaved speakers never would. */

import type { Capability } from '../../../src/bgp/capabilities.js';
import type { SocketFactory, StreamSocket } from '../../../src/bgp/session/socketTypes.js';
import { encodeKeepalive, encodeMessage, Frame, nextFrame } from '../../../src/bgp/wire/frame.js';
import { MessageType } from '../../../src/bgp/wire/iana.js';
import { encodeOpen } from '../../../src/bgp/wire/open.js';
import { encodeRouteRefresh } from '../../../src/bgp/wire/routeRefresh.js';
import { encodeEndOfRib } from '../../../src/bgp/wire/updateEncoder.js';
import { Ipv4 } from '../../../src/core/ip.js';
import { address } from '../bgp/session/memoryNetwork.js';
import { updateBody, type Announcement } from '../rib/ribFixture.js';
import type { Routers } from './routers.js';

const FAMILIES: readonly Capability[] = [1, 2].map(afi => ({ kind: 'multiprotocol', afi, safi: 1 }));
export const REFRESH: readonly Capability[] = [
  { kind: 'routeRefresh', prestandard: false },
  { kind: 'enhancedRouteRefresh' },
];

/** RFC 4724 for both families, with forwarding state kept. */
export function gracefulRestart(restarting = false): Capability {
  const families = [1, 2].map(afi => ({ afi, safi: 1, forwarding: true }));
  return { kind: 'gracefulRestart', restarting, notification: false, restartTime: 100, families };
}

/** Speaks from 10.0.0.`number` with AS 65000 + `number`. */
export class RawPeer {
  /** Whole messages that came. */
  readonly heard: { readonly type: number; readonly body: Uint8Array }[] = [];
  isOpen = false;
  private socket: StreamSocket | undefined;
  private rest = new Uint8Array();
  private readonly sockets: SocketFactory;

  constructor(
    private readonly world: Routers,
    readonly number: number,
  ) {
    this.sockets = world.network.host(`10.0.0.${number}`);
  }

  /** Connects to a router, by its number. */
  async connect(to = 1): Promise<this> {
    this.rest = new Uint8Array();
    this.socket = this.sockets.connect(
      { remote: address(`10.0.0.${to}`), remotePort: 179 },
      {
        connected: () => (this.isOpen = true),
        data: octets => this.read(octets),
        closed: () => (this.isOpen = false),
      },
    );
    await this.world.settle(1);
    return this;
  }

  /** Comes up with hold time 0, so that time means nothing to the session. */
  async establish(...capabilities: readonly Capability[]): Promise<this> {
    await this.connect();
    return this.send(this.open(...capabilities), KEEPALIVE);
  }

  open(...capabilities: readonly Capability[]): Uint8Array {
    const asn = 65000 + this.number;
    const all: Capability[] = [...FAMILIES, { kind: 'fourOctetAs', asn }, ...capabilities];
    return encodeOpen({ version: 4, asn, holdTime: 0, routerId: Ipv4(0x0a000000 + this.number), capabilities: all });
  }

  /** Sends in one segment. */
  async send(...messages: readonly Uint8Array[]): Promise<this> {
    this.socket?.write([Buffer.concat(messages)], () => undefined);
    await this.world.settle(1);
    return this;
  }

  /** The connection is gone, without a NOTIFICATION; the router meets the messages and the loss in one turn. */
  async lose(...last: readonly Uint8Array[]): Promise<void> {
    if (last.length > 0) this.socket?.write([Buffer.concat(last)], () => undefined);
    this.socket?.destroy();
    this.isOpen = false;
    await this.world.settle(1);
  }

  /** Numbers of prefixes as in ribFixture.ts. */
  announce(...prefixes: readonly number[]): Uint8Array {
    return this.update([], { prefixes, med: 0, path: [65000 + this.number], nextHop: 0x0a000000 + this.number });
  }

  update(withdrawn: readonly number[], announced?: Announcement): Uint8Array {
    return encodeMessage(MessageType.update, updateBody(withdrawn, announced));
  }

  /** Types of what came, NOTIFICATIONs with their codes. */
  said(): string[] {
    return this.heard.map(({ type, body }) =>
      type === MessageType.notification ? `notification ${body[0]}/${body[1]}` : String(type),
    );
  }

  private read(octets: Uint8Array): void {
    const all = Uint8Array.from(Buffer.concat([this.rest, octets]));
    const frame = new Frame();
    let at = 0;
    while (at < all.length && nextFrame(all, at, all.length, 0xffff, frame) === 'message') {
      this.heard.push({ type: frame.type, body: all.slice(frame.bodyStart, frame.bodyEnd) });
      at = frame.bodyEnd;
    }
    this.rest = all.slice(at);
  }
}

export const KEEPALIVE = encodeKeepalive();
export const END_OF_RIB = encodeEndOfRib(0);
export const END_OF_RIB_6 = encodeEndOfRib(1);
export const mark = encodeRouteRefresh;
