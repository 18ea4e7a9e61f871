/**
 * The decision process: RFC 4271 section 9.1.2.2 with RFC 4456 section 9, over columns.
 *
 * MED compares only within a neighbouring AS, so the rules remove candidates; they do not order pairs. The winner
 * therefore does not depend on the order in which paths arrived ("deterministic MED" is not an option but a property).
 * `explain.ts` states the same rules as named eliminations; a property test holds the two together.
 */

import { PeerKind } from '../bgp/peerKind.js';
import { AttrFlag } from '../bgp/updateRecord.js';
import type { AttributeStore } from './attributeStore.js';
import type { NextHops } from './nextHops.js';
import { INELIGIBLE, type PathTable } from './pathTable.js';
import type { PeerId, PeerTable } from './peerTable.js';
import { compareAddresses } from './addressOrder.js';

export interface DecisionOptions {
  /** Compare MED also between different neighbouring ASes. */
  readonly alwaysCompareMed: boolean;
  /** A missing MED counts as the worst instead of 0. */
  readonly missingMedWorst: boolean;
  /** Largest number of equal-cost paths that go to the kernel, by kind of peer; 1 is no multipath. */
  readonly maximumPaths: { readonly ebgp: number; readonly ibgp: number };
  /** Let paths of equal length through different neighbouring ASes share the load. */
  readonly multipathRelax: boolean;
}

export class DecisionProcess {
  /** Rows tied so far; the rules shrink it in place. */
  private tied = new Uint32Array(64);
  private count = 0;

  constructor(
    private readonly paths: PathTable,
    private readonly attributes: AttributeStore,
    private readonly nextHops: NextHops,
    private readonly peers: PeerTable,
    readonly options: DecisionOptions,
  ) {}

  /** A path without a reachable next hop, or with a loop, takes no part (RFC 4271 section 9.1.2). */
  eligible(row: number): boolean {
    if (this.paths.flags[row]! & INELIGIBLE) return false;
    return this.nextHops.reachable[this.attributes.nextHop[this.paths.attr[row]!]!] === 1;
  }

  /** @param head first row of the prefix @returns the best row, 0 when none is eligible */
  best(head: number): number {
    this.mostPreferred(head);
    if (this.count <= 1) return this.count === 0 ? 0 : this.tied[0]!;
    this.settleCost();
    if (this.count > 1) this.settleIdentity();
    return this.tied[0]!;
  }

  /**
   * The best row and those equal to it up to the IGP metric, as many as the configuration lets share the load.
   * @param out filled with rows, the best first @returns how many
   */
  multipath(head: number, best: number, out: Uint32Array): number {
    out[0] = best;
    if (this.paths.next[head] === 0) return 1;
    const { maximumPaths, multipathRelax } = this.options;
    const bestAttr = this.paths.attr[best]!;
    const kind = this.peers.kind[this.paths.peer[best]!]!;
    const most = Math.min(
      out.length,
      kind === PeerKind.ebgp ? maximumPaths.ebgp : kind === PeerKind.ibgp ? maximumPaths.ibgp : 1,
    );
    if (most <= 1) return 1;
    this.mostPreferred(head);
    this.settleCost();
    let found = 1;
    for (let i = 0; i < this.count && found < most; i++) {
      const row = this.tied[i]!;
      if (row === best) continue;
      const attr = this.paths.attr[row]!;
      if (!multipathRelax && this.attributes.neighborAs[attr] !== this.attributes.neighborAs[bestAttr]) continue;
      out[found++] = row;
    }
    return found;
  }

  /** Rules (1) our own networks first, (2) highest LOCAL_PREF, (a) shortest AS_PATH, (b) lowest ORIGIN: an order, so one pass. */
  private mostPreferred(head: number): void {
    const { localPref, asPathLength, origin } = this.attributes;
    const { next, attr: attrs, peer: peers } = this.paths;
    this.count = 0;
    let own = 0;
    let pref = 0;
    let length = 0;
    let code = 0;
    for (let row = head; row !== 0; row = next[row]!) {
      if (!this.eligible(row)) continue;
      const attr = attrs[row]!;
      const rowOwn = peers[row] === 0 ? 1 : 0;
      const rowPref = localPref[attr]!;
      const rowLength = asPathLength[attr]!;
      const rowCode = origin[attr]!;
      if (this.count > 0) {
        const worse = own - rowOwn || pref - rowPref || rowLength - length || rowCode - code;
        if (worse > 0) continue;
        if (worse < 0) this.count = 0;
      }
      own = rowOwn;
      pref = rowPref;
      length = rowLength;
      code = rowCode;
      this.push(row);
    }
  }

  /** Rules (c) MED within a neighbouring AS, (d) eBGP over iBGP, (e) lowest metric to the next hop. */
  private settleCost(): void {
    if (this.count < 2) return;
    this.keepLowestMed();
    const { attr, peer } = this.paths;
    this.keepLeast(row => (this.peers.kind[peer[row]!] === PeerKind.ibgp ? 1 : 0));
    this.keepLeast(row => this.nextHops.metric[this.attributes.nextHop[attr[row]!]!]!);
  }

  /** Rules (f) lowest originator or BGP identifier, RFC 4456: shortest CLUSTER_LIST, (g) lowest peer address; then lowest path id. */
  private settleIdentity(): void {
    const { attr, peer } = this.paths;
    this.keepLeast(row => {
      const a = attr[row]!;
      return this.attributes.flags[a]! & AttrFlag.originatorId
        ? this.attributes.originatorId[a]!
        : this.peers.routerId[peer[row]!]!;
    });
    this.keepLeast(row => this.attributes.clusterListLength[attr[row]!]!);
    if (this.count > 1) this.keepLowestAddress();
    this.keepLeast(row => this.paths.pathIdOf(row));
  }

  private keepLowestMed(): void {
    const { attr } = this.paths;
    if (this.options.alwaysCompareMed) {
      this.keepLeast(row => this.med(attr[row]!));
      return;
    }
    // Judge all first, then remove: a candidate that is about to go still beats others of its AS.
    let kept = 0;
    const all = this.tied.slice(0, this.count);
    for (const row of all) {
      const a = attr[row]!;
      const beaten = all.some(other => {
        const b = attr[other]!;
        return this.attributes.neighborAs[b] === this.attributes.neighborAs[a] && this.med(b) < this.med(a);
      });
      if (!beaten) this.tied[kept++] = row;
    }
    this.count = kept;
  }

  private med(attr: number): number {
    if (this.attributes.flags[attr]! & AttrFlag.med) return this.attributes.med[attr]!;
    return this.options.missingMedWorst ? 0xffff_ffff : 0;
  }

  private keepLowestAddress(): void {
    const { peer } = this.paths;
    const address = (row: number): ReturnType<PeerTable['get']>['address'] =>
      this.peers.get(peer[row]! as PeerId).address;
    let least = this.tied[0]!;
    for (let i = 1; i < this.count; i++) {
      if (compareAddresses(address(this.tied[i]!), address(least)) < 0) least = this.tied[i]!;
    }
    const winner = peer[least];
    this.keepLeast(row => (peer[row] === winner ? 0 : 1));
  }

  private keepLeast(value: (row: number) => number): void {
    if (this.count < 2) return;
    let kept = 0;
    let least = Infinity;
    for (let i = 0; i < this.count; i++) {
      const row = this.tied[i]!;
      const v = value(row);
      if (v > least) continue;
      if (v < least) kept = 0;
      least = v;
      this.tied[kept++] = row;
    }
    this.count = kept;
  }

  private push(row: number): void {
    if (this.count === this.tied.length) {
      const grown = new Uint32Array(this.tied.length * 2);
      grown.set(this.tied);
      this.tied = grown;
    }
    this.tied[this.count++] = row;
  }
}
