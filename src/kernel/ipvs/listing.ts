/**
 * All virtual servers with their destinations from the text of /proc/net/ip_vs (ip_vs_info_seq_show of the kernel): one reading
 * for all, where netlink takes one dump for each server. It has destinations whole but for counters and records of affinity,
 * and of servers no scheduler's flags. Pure.
 */

import { ipv4, type IpAddress } from '../../core/ip.js';
import type { Destination, ServerId } from './messages.js';
import * as vs from './numbers.js';

/** Of the server's family, as by netlink: all that is compared and waited for. */
export interface ListedDestination extends Destination {
  readonly active: number;
  readonly inactive: number;
}

export interface ListedServer extends ServerId {
  readonly destinations: readonly ListedDestination[];
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['TCP', 6],
  ['UDP', 17],
  ['SCTP', 132],
]);
/** `Local` is a destination on this machine, which the kernel made of another method in times of old. */
const METHODS: ReadonlyMap<string, number> = new Map([
  ['Masq', vs.IP_VS_CONN_F_MASQ],
  ['Local', vs.IP_VS_CONN_F_LOCALNODE],
  ['Tunnel', vs.IP_VS_CONN_F_TUNNEL],
  ['Route', vs.IP_VS_CONN_F_DROUTE],
]);
const ARROW = '  -> ';

export interface Listing {
  /** @param text the next piece, cut anywhere */
  add(text: string): void;
  /** Servers of which all is known: those whose text has ended. Servers known by a firewall mark are left out. */
  finish(): readonly ListedServer[];
}

/** A server that cannot be read whole is left out, so that whoever misses it asks for it in another way. */
export function createListing(): Listing {
  const servers: (ServerId & { readonly destinations: ListedDestination[] })[] = [];
  let rest = '';
  let isBad = true;

  const take = (line: string): void => {
    if (!line.startsWith(ARROW)) {
      const server = serverOf(line);
      isBad = server === undefined;
      if (server !== undefined) servers.push({ ...server, destinations: [] });
      return;
    }
    if (isBad) return;
    const destination = destinationOf(line);
    const server = servers.at(-1);
    if (destination === undefined) {
      isBad = true;
      servers.pop();
    } else if (destination.address.version === server?.address.version) server.destinations.push(destination);
  };
  return {
    add: text => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    },
    finish: () => servers,
  };
}

/** `TCP  0A600001:0050 rr persistent 10800 FFFFFFFF`. */
function serverOf(line: string): ServerId | undefined {
  const at = line.indexOf(' ');
  const protocol = PROTOCOLS.get(line.slice(0, at));
  const end = line.indexOf(' ', at + 2);
  const place = protocol === undefined ? undefined : placeOf(line.slice(at + 2, end));
  return protocol === undefined || place === undefined ? undefined : { ...place, protocol };
}

/** `  -> 0AF40102:1F90      Masq    1      0          0`. */
function destinationOf(line: string): ListedDestination | undefined {
  const [where = '', how = '', ...numbers] = line.slice(ARROW.length).trim().split(/ +/);
  const place = placeOf(where);
  const method = METHODS.get(how);
  const [weight = NaN, active = NaN, inactive = NaN] = numbers.map(Number);
  if (place === undefined || method === undefined || !Number.isInteger(weight + active + inactive)) return undefined;
  return { ...place, method, weight, active, inactive };
}

/** `0A600001:0050`, or `[fd96:0000:0000:0000:0000:0000:0000:0001]:0050`. */
function placeOf(text: string): Pick<ServerId, 'address' | 'port'> | undefined {
  const end = text.length - 5;
  if (text[end] !== ':') return undefined;
  const address = text.startsWith('[') ? ipv6Of(text.slice(1, end - 1)) : ipv4Of(text.slice(0, end));
  const port = Number.parseInt(text.slice(end + 1), 16);
  return address === undefined || Number.isNaN(port) ? undefined : { address, port };
}

function ipv4Of(text: string): IpAddress | undefined {
  const value = Number.parseInt(text, 16);
  return text.length !== 8 || Number.isNaN(value) ? undefined : ipv4(value);
}

/** All eight groups of four digits are there. */
function ipv6Of(text: string): IpAddress | undefined {
  if (text.length !== 39) return undefined;
  const word = (i: number): number =>
    Number.parseInt(text.slice(10 * i, 10 * i + 4) + text.slice(10 * i + 5, 10 * i + 9), 16);
  const words = [word(0), word(1), word(2), word(3)] as const;
  return words.some(Number.isNaN) ? undefined : { version: 6, words };
}
