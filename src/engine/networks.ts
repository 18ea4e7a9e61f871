/** Networks of our own as attributes and NLRI for the RIB. */

import type { PathAttribute } from '../bgp/attributes.js';
import { NETWORK_TAGS } from '../bgp/policyTypes.js';
import { AttrFlag, type UpdateRecord } from '../bgp/updateRecord.js';
import { encodeAttributes } from '../bgp/wire/attributeCodec.js';
import { formatPrefix, prefixContains, type IpAddress, type IpPrefix } from '../core/ip.js';
import type { AttrId } from '../rib/attributeStore.js';
import { SELF_NEXT_HOP, type NextHopId } from '../rib/nextHops.js';
import { PathFlag, TAG_SHIFT } from '../rib/pathTable.js';
import { LOCAL_PEER } from '../rib/peerTable.js';
import type { PrefixId } from '../rib/prefixTable.js';
import type { Rib } from '../rib/rib.js';
import type { EngineNetwork } from './engineTypes.js';

/** RFC 1997 and RFC 8326 communities that the engine itself acts upon. */
const ACTED_UPON: ReadonlyMap<number, number> = new Map([
  [0xffff_ff01, AttrFlag.noExport],
  [0xffff_ff02, AttrFlag.noAdvertise],
  [0xffff_ff03, AttrFlag.noExportSubconfed],
  [0xffff_0000, AttrFlag.gracefulShutdown],
]);

/** What is originated now, so that a new configuration changes only what differs. */
export class OwnNetworks {
  private readonly current = new Map<string, Originated>();

  constructor(
    private readonly rib: Rib,
    private readonly record: UpdateRecord,
  ) {}

  /** Originates these networks and no others. */
  set(networks: readonly EngineNetwork[]): { readonly added: number; readonly removed: number } {
    const wanted = originated(networks);
    let added = 0;
    let removed = 0;
    for (const [key, { network }] of [...this.current]) {
      if (wanted.has(key)) continue;
      this.withdraw(network.prefix);
      this.current.delete(key);
      removed++;
    }
    for (const [key, one] of wanted) {
      if (same(this.current.get(key), one)) continue;
      this.announce(one);
      this.current.set(key, one);
      added++;
    }
    this.rib.decide();
    return { added, removed };
  }

  private announce({ network, isSuppressed }: Originated): void {
    const { rib } = this;
    fill(this.record, network);
    const attr: AttrId = rib.attributes.intern(this.record, this.nextHop(network.nextHop));
    const { locRib, prefix } = this.place(network.prefix);
    const tag = NETWORK_TAGS.indexOf(network.tag ?? (network.aggregate === undefined ? 'static' : 'aggregate'));
    locRib.announce(prefix, LOCAL_PEER, 0, attr, (tag << TAG_SHIFT) | (isSuppressed ? PathFlag.suppressed : 0));
    rib.attributes.release(attr);
  }

  private withdraw(prefix: IpPrefix): void {
    const { locRib, prefix: id } = this.place(prefix);
    locRib.withdraw(id, LOCAL_PEER, 0);
  }

  private nextHop(address: IpAddress | undefined): NextHopId {
    if (address === undefined) return SELF_NEXT_HOP;
    const { nextHops } = this.rib;
    return address.version === 4 ? nextHops.idOf4(address.value) : nextHops.idOf6(address, undefined);
  }

  private place({ address, length }: IpPrefix): { readonly locRib: Rib['families'][0]; readonly prefix: PrefixId } {
    const locRib = this.rib.families[address.version === 4 ? 0 : 1];
    const prefix =
      address.version === 4
        ? locRib.prefixes.idOf4(address.value, length)
        : locRib.prefixes.idOf6(...address.words, length);
    return { locRib, prefix };
  }
}

interface Originated {
  readonly network: EngineNetwork;
  /** An aggregate is announced in its place. */
  readonly isSuppressed: boolean;
}

/** Texts of networks that were seen before: a cluster's thousands stay the same objects from one configuration to the next. */
const keys = new WeakMap<EngineNetwork, string>();

function keyOf(network: EngineNetwork): string {
  const key = keys.get(network) ?? formatPrefix(network.prefix);
  keys.set(network, key);
  return key;
}

function same(a: Originated | undefined, b: Originated): boolean {
  if (a?.isSuppressed !== b.isSuppressed) return false;
  return a.network === b.network || JSON.stringify(a.network) === JSON.stringify(b.network);
}

/** Networks by prefix, without aggregates that have nothing inside; a later one of the same prefix goes before. */
function originated(networks: readonly EngineNetwork[]): Map<string, Originated> {
  const specific = networks.filter(({ aggregate }) => aggregate === undefined);
  const live = networks.filter(
    aggregate => aggregate.aggregate !== undefined && specific.some(network => isInside(network, aggregate)),
  );
  const hiding = live.filter(({ aggregate }) => aggregate?.summaryOnly === true);
  return new Map(
    [...specific, ...live].map(network => {
      const isSuppressed = network.keepSpecific !== true && hiding.some(aggregate => isInside(network, aggregate));
      return [keyOf(network), { network, isSuppressed }];
    }),
  );
}

function isInside({ prefix }: EngineNetwork, { prefix: outer }: EngineNetwork): boolean {
  return prefix.length > outer.length && prefixContains(outer, prefix.address);
}

/** Puts the attributes of a network of our own into a record, as if it had been scanned. */
function fill(record: UpdateRecord, network: EngineNetwork): void {
  const attributes: PathAttribute[] = [
    { kind: 'origin', origin: 'igp' },
    { kind: 'asPath', segments: [] },
  ];
  let flags = 0;
  if (network.med !== undefined) attributes.push({ kind: 'med', med: network.med });
  if (network.localPref !== undefined) attributes.push({ kind: 'localPref', localPref: network.localPref });
  const { communities, largeCommunities } = network;
  if (communities !== undefined && communities.length > 0) attributes.push({ kind: 'communities', communities });
  if (largeCommunities !== undefined && largeCommunities.length > 0)
    attributes.push({ kind: 'largeCommunities', communities: largeCommunities });
  if (network.med !== undefined) flags |= AttrFlag.med;
  if (network.localPref !== undefined) flags |= AttrFlag.localPref;
  for (const community of communities ?? []) flags |= ACTED_UPON.get(community) ?? 0;
  const block = encodeAttributes(attributes, { fourOctetAs: true });
  record.block.set(block);
  record.blockLength = block.length;
  record.flags = flags;
  record.origin = 0;
  record.asPathLength = 0;
  record.neighborAs = 0;
  record.originAs = 0;
  record.med = network.med ?? 0;
  record.localPref = network.localPref ?? 0;
  record.originatorId = 0;
  record.clusterListLength = 0;
}
