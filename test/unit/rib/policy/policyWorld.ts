/** A RIB whose peers have import policies, for the tests of this folder. */

import { expect } from '@jest/globals';
import type { PathAttribute } from '../../../../src/bgp/attributes.js';
import { PeerKind, type PeerKindValue } from '../../../../src/bgp/peerKind.js';
import { NO_POLICIES, type Policy, type PolicySet, type PolicyTerm } from '../../../../src/bgp/policyTypes.js';
import { UpdateRecord } from '../../../../src/bgp/updateRecord.js';
import { createAttributeBlocks } from '../../../../src/bgp/wire/attributeBlocks.js';
import { decodeBlock, encodeAttributes } from '../../../../src/bgp/wire/attributeCodec.js';
import { scanUpdate } from '../../../../src/bgp/wire/updateScanner.js';
import type { ipv4 } from '../../../../src/core/ip.js';
import { Ipv4, parsePrefix, type IpPrefix } from '../../../../src/core/ip.js';
import type { AttrId } from '../../../../src/rib/attributeStore.js';
import { PathFlag } from '../../../../src/rib/pathTable.js';
import type { PeerId } from '../../../../src/rib/peerTable.js';
import { PolicyBook } from '../../../../src/rib/policy/chain.js';
import type { PolicyColumns } from '../../../../src/rib/policy/evaluation.js';
import { createImportFilter, type ImportFilter } from '../../../../src/rib/policy/importFilter.js';
import type { Rib } from '../../../../src/rib/rib.js';
import { prefixOctets, RibFixture, scanContext } from '../ribFixture.js';

export const NEXT_HOP = 0x0a000001;
export const blocks = createAttributeBlocks();

export function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A term that matches and changes nothing, with these differences. */
export function term(differences: Partial<PolicyTerm>): PolicyTerm {
  return { name: 'term', match: {}, changes: {}, verdict: 'accept', ...differences };
}

export function policies(parts: Partial<PolicySet>): PolicySet {
  return { ...NO_POLICIES, ...parts };
}

/** One policy, named `policy`. */
export function onePolicy(terms: readonly Partial<PolicyTerm>[], otherwise: Policy['otherwise'] = 'next'): PolicySet {
  return policies({ policies: { policy: { terms: terms.map(term), otherwise } } });
}

/** ORIGIN, AS_PATH and NEXT_HOP, and whatever else. */
export function attributesOf(path: readonly number[], ...others: readonly PathAttribute[]): PathAttribute[] {
  return [
    { kind: 'origin', origin: 'igp' },
    { kind: 'asPath', segments: path.length === 0 ? [] : [{ type: 'sequence', asns: path }] },
    { kind: 'nextHop', address: Ipv4(NEXT_HOP) },
    ...others,
  ];
}

export class PolicyWorld {
  readonly fixture = new RibFixture();
  readonly rib: Rib = this.fixture.rib;
  private readonly record = new UpdateRecord();
  private readonly filters = new Map<PeerId, ImportFilter | undefined>();

  get columns(): PolicyColumns {
    const { attributes, nextHops, peers, families } = this.rib;
    return { attributes, nextHops, peers, prefixes: families[0].prefixes, blocks };
  }

  peer(name: string, kind: PeerKindValue = PeerKind.ebgp): PeerId {
    return this.fixture.peer(name, kind);
  }

  /** Gives the peer the policy named `policy`; undefined: none. */
  importThrough(peer: PeerId, set: PolicySet | undefined, honorGracefulShutdown = false): void {
    const subject = {
      direction: 'import',
      family: 0,
      ownAsn: 65000,
      peerAsn: 65001,
      peerAddress: this.rib.peers.get(peer).address,
    } as const;
    const chain = set === undefined ? [] : new PolicyBook(set).chain(['policy'], subject);
    this.filters.set(peer, createImportFilter({ chain, honorGracefulShutdown }, peer, this.columns));
    this.rib.refilter(0, peer, () => this.filters.get(peer));
  }

  announce(peer: PeerId, prefixes: readonly number[], attributes: readonly PathAttribute[]): void {
    const octets = encodeAttributes(attributes, { fourOctetAs: true });
    const nlri = prefixes.flatMap(prefixOctets);
    this.receive(peer, [0, 0, octets.length >> 8, octets.length & 255, ...octets, ...nlri]);
  }

  withdraw(peer: PeerId, prefixes: readonly number[]): void {
    const gone = prefixes.flatMap(prefixOctets);
    this.receive(peer, [gone.length >> 8, gone.length & 255, ...gone, 0, 0]);
  }

  /** What the decision sees of the peer's path: attributes by kind, or `rejected`; undefined when there is no path. */
  path(peer: PeerId, number: number): Partial<Record<PathAttribute['kind'], PathAttribute>> | 'rejected' | undefined {
    const row = this.row(peer, number);
    if (row === 0) return undefined;
    if (this.rib.families[0].paths.flags[row]! & PathFlag.rejected) return 'rejected';
    return Object.fromEntries(this.decode(this.rib.families[0].paths.attr[row]!).map(a => [a.kind, a]));
  }

  row(peer: PeerId, number: number): number {
    const rib = this.rib.families[0];
    const id = rib.prefixes.find4(0x0a000000 | (number << 8), 24);
    return id === 0 ? 0 : rib.find(id, peer, 0);
  }

  decode(attr: number): readonly PathAttribute[] {
    const { attributes } = this.rib;
    const id = attr as AttrId;
    const start = attributes.blockStart(id);
    return decodeBlock(attributes.blockArray(id), start, start + attributes.blockLength(id));
  }

  /** Every reference to an attribute set is somebody's. */
  expectReferencesToAddUp(): void {
    const { paths } = this.rib.families[0];
    const counted = new Uint32Array(this.rib.attributes.limit);
    for (let row = 1; row < paths.limit; row++) {
      if (paths.prefix[row] === 0) continue;
      counted[paths.attr[row]!]!++;
      if (paths.flags[row]! & PathFlag.altered) counted[paths.original[row]!]!++;
    }
    expect(Array.from(this.rib.attributes.references.subarray(0, counted.length))).toEqual(Array.from(counted));
  }

  address(peer: PeerId): ReturnType<typeof ipv4> {
    return this.rib.peers.get(peer).address;
  }

  private receive(peer: PeerId, body: readonly number[]): void {
    const octets = Uint8Array.from(body);
    const ebgp = this.rib.peers.kind[peer] === PeerKind.ebgp;
    expect(scanUpdate(octets, 0, octets.length, scanContext(ebgp), this.record)).toBeUndefined();
    expect(this.record.problems).toEqual([]);
    this.rib.receive(peer, this.record, {
      addPath: [false, false],
      allowOwnAs: 0,
      zone: undefined,
      filters: [this.filters.get(peer), undefined],
    });
    this.rib.decide();
  }
}
