/** From the words of an IPv6 next hop in an UPDATE to its id, without making an address object each time. */

import type { IpAddress } from '../core/ip.js';
import type { NextHopId, NextHops } from './nextHops.js';

const ENTRIES = 64;
const WORDS = 8;

/** A small direct-mapped cache in front of {@link NextHops}; it keeps the next hops it knows alive. */
export class RecentNextHops {
  private readonly words = new Uint32Array(ENTRIES * WORDS);
  private readonly zones: (string | undefined)[] = new Array<string | undefined>(ENTRIES).fill(undefined);
  private readonly ids: (NextHopId | undefined)[] = new Array<NextHopId | undefined>(ENTRIES).fill(undefined);

  constructor(private readonly nextHops: NextHops) {}

  /** @param linkLocal all zero when absent @param zone the link that a link-local address is meant for, if known */
  idOf(address: Uint32Array, linkLocal: Uint32Array, zone: string | undefined): NextHopId {
    const entry = (address[0]! ^ address[1]! ^ (address[3]! * 31) ^ linkLocal[3]!) & (ENTRIES - 1);
    const known = this.ids[entry];
    if (known !== undefined && this.zones[entry] === zone && this.matches(entry * WORDS, address, linkLocal))
      return known;
    const id = this.nextHops.idOf6(
      ipv6(address, isLinkLocal(address) ? zone : undefined),
      // Without the link it is meant for, a link-local address says nothing.
      zone === undefined || !isLinkLocal(linkLocal) ? undefined : ipv6(linkLocal, zone),
    );
    this.nextHops.retain(id);
    if (known !== undefined) this.nextHops.release(known);
    this.words.set(address, entry * WORDS);
    this.words.set(linkLocal, entry * WORDS + 4);
    this.zones[entry] = zone;
    this.ids[entry] = id;
    return id;
  }

  private matches(at: number, address: Uint32Array, linkLocal: Uint32Array): boolean {
    const { words } = this;
    for (let i = 0; i < 4; i++) {
      if (words[at + i] !== address[i] || words[at + 4 + i] !== linkLocal[i]) return false;
    }
    return true;
  }
}

function ipv6(words: Uint32Array, zone: string | undefined): IpAddress {
  const address = { version: 6, words: [words[0]!, words[1]!, words[2]!, words[3]!] } as const;
  return zone === undefined ? address : { ...address, zone };
}

function isLinkLocal(words: Uint32Array): boolean {
  return words[0]! >>> 22 === 0xfe80 >>> 6;
}
