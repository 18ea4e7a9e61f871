/** What the counted sets of the proxy's table have counted, by frontend. `readTraffic` is impure: netlink. */

import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { readCounts, type ElementCount } from '../../kernel/nftables/dump.js';
import type { TableName } from '../../kernel/nftables/messages.js';
import type { TrafficCounters } from '../proxyBackend.js';
import type { Frontend, FrontendKey } from '../proxyTypes.js';
import { SETS } from './layout.js';
import { frontendOctets } from './servicePortElements.js';

/** By the octets of `address . protocol . port` that clients sent to. @returns rejects with NetlinkError without a table */
export async function readTraffic(
  channel: NetlinkChannel,
  table: TableName,
): Promise<ReadonlyMap<string, TrafficCounters>> {
  const connections = await readCounts(channel, table, SETS.connections);
  const packetsIn = await readCounts(channel, table, SETS.packetsIn);
  const packetsOut = await readCounts(channel, table, SETS.packetsOut);
  return new Map(
    [...connections].map(([endpoint, first]) => [
      endpoint,
      trafficOf(first, packetsIn.get(endpoint) ?? NONE, packetsOut.get(endpoint) ?? NONE),
    ]),
  );
}

const NONE: ElementCount = { packets: 0n, octets: 0n };

/** The first packet of a connection is counted before anybody knows where it goes, and not among the others. */
function trafficOf(first: ElementCount, others: ElementCount, answers: ElementCount): TrafficCounters {
  return {
    connections: first.packets,
    packetsIn: first.packets + others.packets,
    packetsOut: answers.packets,
    bytesIn: first.octets + others.octets,
    bytesOut: answers.octets,
  };
}

/**
 * @param counted what packets went to: besides frontends, ports that others translate, and what is no frontend any more
 * @returns of every one of these frontends, of a node port at all addresses together
 */
export function trafficOfFrontends(
  counted: ReadonlyMap<string, TrafficCounters>,
  frontends: Iterable<Frontend>,
): ReadonlyMap<FrontendKey, TrafficCounters> {
  const keys = new Map<string, FrontendKey>();
  const traffic = new Map<FrontendKey, TrafficCounters>();
  for (const frontend of frontends) {
    keys.set(frontendOctets(frontend), frontend.key);
    traffic.set(frontend.key, trafficOf(NONE, NONE, NONE));
  }
  for (const [endpoint, counters] of counted) {
    const key = keys.get(endpoint) ?? keys.get(nodePortOf(endpoint));
    if (key !== undefined) traffic.set(key, addTraffic(traffic.get(key), counters));
  }
  return traffic;
}

/** The same protocol and port with an address of zeros. */
function nodePortOf(endpoint: string): string {
  return endpoint.slice(-8).padStart(endpoint.length, '\0');
}

/** Of all frontends of a service port together. */
export function addTraffic(a: TrafficCounters | undefined, b: TrafficCounters): TrafficCounters {
  if (a === undefined) return b;
  return {
    connections: a.connections + b.connections,
    packetsIn: a.packetsIn + b.packetsIn,
    packetsOut: (a.packetsOut ?? 0n) + (b.packetsOut ?? 0n),
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: (a.bytesOut ?? 0n) + (b.bytesOut ?? 0n),
  };
}
