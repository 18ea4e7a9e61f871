/**
 * What packets have counted in the proxy's table, told by frontend. Packets make the elements that count them, so that
 * services nobody uses here cost nothing; what belongs to no frontend any more is taken out when it is read.
 */

import { assertNever } from '../../core/assertNever.js';
import { formatAddress, type IpAddress } from '../../core/ip.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { readCount, readCounts, type ElementCount } from '../../kernel/nftables/dump.js';
import { addressOfText, endpointOctets } from '../../kernel/nftables/elements.js';
import { writeElements, type TableName } from '../../kernel/nftables/messages.js';
import { TransactionError, type Transactions } from '../../kernel/nftables/transaction.js';
import type { TrafficCounters } from '../proxyBackend.js';
import type { Frontend, FrontendKey } from '../proxyTypes.js';
import { SETS } from './layout.js';
import { frontendOctets } from './servicePortElements.js';

/** By the octets of `address . protocol . port` that clients sent to; a node port has the node's address. */
export type Counts = ReadonlyMap<string, ElementCount>;

export interface Counted {
  readonly connections: Counts;
  readonly packetsIn: Counts;
  readonly packetsOut: Counts;
}
type CountedSet = keyof Counted;
const COUNTED: readonly CountedSet[] = ['connections', 'packetsIn', 'packetsOut'];

/** @returns rejects with NetlinkError without a table. Impure. */
export async function readCounted(channel: NetlinkChannel, table: TableName): Promise<Counted> {
  const connections = await readCounts(channel, table, SETS.connections);
  const packetsIn = await readCounts(channel, table, SETS.packetsIn);
  const packetsOut = await readCounts(channel, table, SETS.packetsOut);
  return { connections, packetsIn, packetsOut };
}

/** Elements of each set that are asked for one by one; for more it is quicker to read all there are. */
const MOST_ALONE = 500;

/**
 * Where packets to these frontends are counted.
 * @param local addresses of this machine: each of them has node ports
 * @returns octets as the elements have them; undefined where they are too many to be asked for one by one
 */
export function countingPlaces(
  frontends: readonly Frontend[],
  local: readonly IpAddress[],
): readonly string[] | undefined {
  const places = new Set<string>();
  for (const frontend of frontends) {
    if (frontend.address !== undefined) places.add(frontendOctets(frontend));
    else
      for (const address of local)
        if (address.version === frontend.family)
          places.add(endpointOctets(addressOfText(formatAddress(address)), frontend.protocol, frontend.port));
    if (places.size > MOST_ALONE) return undefined;
  }
  return [...places];
}

/** What is counted at these places alone, however many others there are. @returns rejects with NetlinkError. Impure. */
export async function readCountedAt(
  channel: NetlinkChannel,
  table: TableName,
  places: readonly string[],
): Promise<Counted> {
  const read = async (set: CountedSet): Promise<Counts> => {
    const counts = new Map<string, ElementCount>();
    for (const place of places) {
      const count = await readCount(channel, table, SETS[set], place);
      if (count !== undefined) counts.set(place, count);
    }
    return counts;
  };
  return {
    connections: await read('connections'),
    packetsIn: await read('packetsIn'),
    packetsOut: await read('packetsOut'),
  };
}

export interface FrontendTraffic {
  /** Of every frontend, of a node port at all addresses together. */
  readonly traffic: ReadonlyMap<FrontendKey, TrafficCounters>;
  /** Octets of what is no frontend: services that went, and ports that others translate. */
  readonly strangers: Readonly<Record<CountedSet, readonly string[]>>;
}

export function trafficOf(counted: Counted, frontends: Iterable<Frontend>): FrontendTraffic {
  const keys = new Map<string, FrontendKey>();
  const traffic = new Map<FrontendKey, TrafficCounters>();
  for (const frontend of frontends) {
    keys.set(frontendOctets(frontend), frontend.key);
    traffic.set(frontend.key, NONE);
  }
  const strangersOf = (set: CountedSet): readonly string[] =>
    [...counted[set]].flatMap(([endpoint, count]) => {
      const key = keys.get(endpoint) ?? keys.get(nodePortOf(endpoint));
      if (key === undefined) return [endpoint];
      traffic.set(key, addTraffic(traffic.get(key), counters(set, count)));
      return [];
    });
  const [connections, packetsIn, packetsOut] = [
    strangersOf('connections'),
    strangersOf('packetsIn'),
    strangersOf('packetsOut'),
  ];
  return { traffic, strangers: { connections, packetsIn, packetsOut } };
}

/** Takes out what nobody asks for. What goes by itself meanwhile is refused with the rest, and tried again another time. Impure. */
export async function forgetCounted(
  transactions: Transactions,
  table: TableName,
  strangers: FrontendTraffic['strangers'],
): Promise<void> {
  if (COUNTED.every(set => strangers[set].length === 0)) return;
  try {
    await transactions.run(writer => {
      for (const set of COUNTED) {
        const elements = strangers[set].map(key => ({ key, value: undefined }));
        writeElements(writer, 'delete', table, SETS[set], elements);
      }
    });
  } catch (error) {
    if (!(error instanceof TransactionError)) throw error;
  }
}

const NONE: TrafficCounters = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };

/** The first packet of a connection is counted before anybody knows where it goes, and not among the others. */
function counters(set: CountedSet, { packets, octets }: ElementCount): TrafficCounters {
  switch (set) {
    case 'connections':
      return { ...NONE, connections: packets, packetsIn: packets, bytesIn: octets };
    case 'packetsIn':
      return { ...NONE, packetsIn: packets, bytesIn: octets };
    case 'packetsOut':
      return { ...NONE, packetsOut: packets, bytesOut: octets };
    default:
      return assertNever(set);
  }
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
