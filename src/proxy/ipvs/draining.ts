/**
 * Destinations that nobody wants any more and that still have connections: they have weight 0, so that the kernel gives them
 * no new ones, and go when the last connection has ended or their time is up. Pure.
 *
 * A process that starts anew knows them by their weight, and gives them their time again.
 */

import { formatAddress } from '../../core/ip.js';
import type { ListedDestination } from '../../kernel/ipvs/listing.js';
import type { Destination, ServerId } from '../../kernel/ipvs/messages.js';
import { destinationKey, serverKey } from './virtualServers.js';

export interface Drained {
  readonly server: ServerId;
  readonly destination: Destination;
  /** On the clock. */
  readonly until: number;
}

export interface Draining {
  /** @param until when its time is up; one that is known already keeps its time */
  add(server: ServerId, destination: Destination, until: number): void;
  has(server: string, destination: string): boolean;
  /** It is wanted again, or gone. @returns whether it was here */
  release(server: string, destination: string): boolean;
  /** A server that is there for these destinations' sake only. */
  keepServer(server: ServerId): void;
  isKept(server: string): boolean;
  /** It is wanted again, or gone. @returns whether it was here */
  releaseServer(server: string): boolean;
  /** Forgets a server that goes with all its destinations. */
  forget(server: string): void;
  /** Which of a server's destinations may go. @param found what the kernel has; those it has not are forgotten */
  over(server: string, found: readonly ListedDestination[], now: number): readonly Drained[];
  /** Servers with destinations here, and kept ones. */
  readonly servers: ReadonlyMap<string, ServerId>;
  /** Kept servers of which no destination is here any more. */
  readonly idleServers: readonly ServerId[];
  keptAt(address: string): readonly ServerId[];
  readonly isEmpty: boolean;
}

export function createDraining(): Draining {
  const byServer = new Map<string, Map<string, Drained>>();
  const kept = new Map<string, ServerId>();

  const release = (server: string, destination: string): boolean => {
    const there = byServer.get(server);
    const was = there?.delete(destination) === true;
    if (there?.size === 0) byServer.delete(server);
    return was;
  };
  return {
    add: (server, destination, until) => {
      const [place, key] = [serverKey(server), destinationKey(destination)];
      const there = byServer.get(place) ?? new Map<string, Drained>();
      byServer.set(place, there);
      there.set(key, { server, destination, until: there.get(key)?.until ?? until });
    },
    has: (server, destination) => byServer.get(server)?.has(destination) === true,
    release,
    keepServer: server => void kept.set(serverKey(server), server),
    isKept: server => kept.has(server),
    releaseServer: server => kept.delete(server),
    forget: server => {
      byServer.delete(server);
      kept.delete(server);
    },
    over: (server, found, now) => {
      const connections = new Map(found.map(one => [destinationKey(one), one.active + one.inactive]));
      const over: Drained[] = [];
      for (const [key, drained] of [...(byServer.get(server) ?? [])]) {
        const open = connections.get(key);
        if (open === undefined) release(server, key);
        else if (open === 0 || drained.until <= now) over.push(drained);
      }
      return over;
    },
    get servers() {
      const servers = new Map(kept);
      for (const [place, drained] of byServer) for (const { server } of drained.values()) servers.set(place, server);
      return servers;
    },
    get idleServers() {
      return [...kept].flatMap(([place, server]) => (byServer.has(place) ? [] : [server]));
    },
    keptAt: address => [...kept.values()].filter(server => formatAddress(server.address) === address),
    get isEmpty() {
      return byServer.size + kept.size === 0;
    },
  };
}
