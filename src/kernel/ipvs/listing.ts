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
/** By the first letter of `Masq`, `Local` (in times of old the kernel made that of others), `Tunnel` and `Route`. */
const METHODS: ReadonlyMap<number, number> = new Map([
  [0x4d, vs.IP_VS_CONN_F_MASQ],
  [0x4c, vs.IP_VS_CONN_F_LOCALNODE],
  [0x54, vs.IP_VS_CONN_F_TUNNEL],
  [0x52, vs.IP_VS_CONN_F_DROUTE],
]);
const [SPACE, NEWLINE, COLON, BRACKET, ZERO] = [0x20, 0x0a, 0x3a, 0x5b, 0x30];
/** `  -> `. */
const ARROW = 5;
const NOTHING = new Uint8Array(0);

export interface Listing {
  /** @param octets the next piece, cut anywhere; they may change afterwards */
  add(octets: Uint8Array): void;
  /** Servers of which all is known: those whose text has ended. Servers known by a firewall mark are left out. */
  finish(): readonly ListedServer[];
}

/**
 * A server that cannot be read whole is left out, so that whoever misses it asks for it in another way. There may be a hundred
 * thousand lines, so it is octets that are looked at.
 */
export function createListing(): Listing {
  const servers: (ServerId & { readonly destinations: ListedDestination[] })[] = [];
  let rest = NOTHING;
  let isBad = true;

  const take = (line: Line): void => {
    if (line.octet(0) !== SPACE) {
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
    add: octets => {
      const all = rest.length === 0 ? octets : Buffer.concat([rest, octets]);
      let from = 0;
      for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, from)) {
        take(new Line(all, from, end));
        from = end + 1;
      }
      rest = all.slice(from);
    },
    finish: () => servers,
  };
}

/** `TCP  0A600001:0050 rr persistent 10800 FFFFFFFF`. */
function serverOf(line: Line): ServerId | undefined {
  const protocol = PROTOCOLS.get(line.word());
  const place = protocol === undefined ? undefined : placeOf(line);
  return protocol === undefined || place === undefined ? undefined : { ...place, protocol };
}

/** `  -> 0AF40102:1F90      Masq    1      0          0`. */
function destinationOf(line: Line): ListedDestination | undefined {
  line.at += ARROW;
  const place = placeOf(line);
  const method = METHODS.get(line.letterOfWord());
  const [weight, active, inactive] = [line.decimal(), line.decimal(), line.decimal()];
  if (place === undefined || method === undefined || Number.isNaN(weight + active + inactive)) return undefined;
  const { address, port } = place;
  return { address, port, method, weight, active, inactive };
}

/** `0A600001:0050`, or `[fd96:0000:0000:0000:0000:0000:0000:0001]:0050`. */
function placeOf(line: Line): Pick<ServerId, 'address' | 'port'> | undefined {
  line.skipSpaces();
  const address = line.octet(0) === BRACKET ? ipv6Of(line) : ipv4Of(line);
  const hasColon = line.octet(0) === COLON;
  line.at += 1;
  const port = line.hex(4);
  return address === undefined || !hasColon || Number.isNaN(port) ? undefined : { address, port };
}

function ipv4Of(line: Line): IpAddress | undefined {
  const value = line.hex(8);
  return Number.isNaN(value) ? undefined : ipv4(value);
}

/** All eight groups of four digits are there. */
function ipv6Of(line: Line): IpAddress | undefined {
  line.at += 1;
  const group = (): number => {
    const value = line.hex(4);
    line.at += 1;
    return value;
  };
  const word = (): number => group() * 65536 + group();
  const words = [word(), word(), word(), word()] as const;
  return words.some(Number.isNaN) ? undefined : { version: 6, words };
}

class Line {
  constructor(
    private readonly octets: Uint8Array,
    public at: number,
    private readonly end: number,
  ) {}

  /** @returns 0 behind the end */
  octet(offset: number): number {
    return this.at + offset < this.end ? this.octets[this.at + offset]! : 0;
  }

  skipSpaces(): void {
    while (this.octet(0) === SPACE) this.at += 1;
  }

  word(): string {
    let text = '';
    for (; this.octet(0) > SPACE; this.at++) text += String.fromCharCode(this.octet(0));
    return text;
  }

  /** Of a word that needs no more to be told from others. */
  letterOfWord(): number {
    this.skipSpaces();
    const letter = this.octet(0);
    while (this.octet(0) > SPACE) this.at += 1;
    return letter;
  }

  /** @returns NaN where one is missing */
  hex(digits: number): number {
    let value = 0;
    for (let i = 0; i < digits; i++, this.at++) value = value * 16 + digitOf(this.octet(0), 16);
    return value;
  }

  decimal(): number {
    this.skipSpaces();
    let value = this.octet(0) > SPACE ? 0 : NaN;
    for (; this.octet(0) > SPACE; this.at++) value = value * 10 + digitOf(this.octet(0), 10);
    return value;
  }
}

function digitOf(octet: number, base: 10 | 16): number {
  const letter = octet | SPACE;
  const digit =
    octet >= ZERO && octet <= ZERO + 9 ? octet - ZERO : letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : NaN;
  return digit < base ? digit : NaN;
}
