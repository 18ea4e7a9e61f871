/** The elements that one service port needs in the proxy's maps: a pure function of its frontends and backends. */

import { parseAddress, prefixContains, type IpAddress, type IpPrefix } from '../../core/ip.js';
import type { Backend, BackendLists, Frontend } from '../proxyTypes.js';
import {
  addressOfText,
  elementKey,
  endpointOctets,
  portOctets,
  rangeOctets,
  slotOctets,
} from '../../kernel/nftables/elements.js';
import type { ElementKey } from '../../kernel/nftables/elements.js';
import { fanName, LOCAL_SLOTS, MOST_SLOTS_OF_LIST, type Fan } from './fanChains.js';
import { frontendElementOctets } from './frontendElement.js';
import { backendsSet, policyNumber, SETS } from './layout.js';
import { identityOctets, shardOf } from './serviceIdentity.js';
import type { ServicePortElements } from './tableKind.js';

/** @param nodeAddresses of the family; hairpin traffic of this node passes source ranges that hold one of them */
export function servicePortElements(
  frontends: readonly Frontend[],
  lists: BackendLists | undefined,
  nodeAddresses: readonly IpAddress[],
): ServicePortElements {
  const build = new Build(frontends, lists, nodeAddresses);
  for (const frontend of frontends) build.frontend(frontend);
  build.backends();
  return build;
}

/** The key of a frontend in the maps. @throws RangeError when its address is none: the derivation's mistake */
export function frontendOctets({ family, address, protocol, port }: Frontend): string {
  const octets = address === undefined ? '\0'.repeat(family === 4 ? 4 : 16) : addressOfText(address);
  return endpointOctets(octets, protocol, port);
}

/** Most slots of one backend beside another of the least weight. */
const MOST_SLOTS = 4096;

/** One entry for each slot: as often as its weight says. Weight 0 takes no new connections. */
export function slotsOf(backends: readonly Backend[]): readonly Backend[] {
  // As nearly always.
  const [first] = backends;
  if (first === undefined || (first.weight > 0 && backends.every(({ weight }) => weight === first.weight)))
    return backends.length > MOST_SLOTS_OF_LIST ? backends.slice(0, MOST_SLOTS_OF_LIST) : backends;
  const live = backends.filter(({ weight }) => weight > 0);
  const divisor = live.reduce((sum, { weight }) => gcd(sum, weight), 0);
  const total = live.reduce((sum, { weight }) => sum + weight / divisor, 0);
  // Shares are rounded when there would be too many slots, and nobody is rounded away.
  const scale = Math.min(1, MOST_SLOTS / total);
  return live
    .flatMap(backend =>
      Array.from({ length: Math.max(1, Math.floor((backend.weight / divisor) * scale)) }, () => backend),
    )
    .slice(0, MOST_SLOTS_OF_LIST);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

class Build implements ServicePortElements {
  readonly own = new Map<ElementKey, string>();
  readonly shared = new Set<ElementKey>();
  readonly fans = new Set<string>();
  /** Slots. */
  private readonly lists: Readonly<Record<Fan['list'], readonly Backend[]>>;
  private readonly used = new Set<Fan['list']>();
  private readonly identity: string;
  private readonly shard: number;
  private readonly sticky: boolean;

  constructor(
    frontends: readonly Frontend[],
    private readonly given: BackendLists | undefined,
    private readonly nodeAddresses: readonly IpAddress[],
  ) {
    this.lists = { cluster: slotsOf(given?.cluster ?? []), local: slotsOf(given?.local ?? []) };
    const first = identityOf(frontends);
    this.identity = identityOctets(frontendOctets(first), first.family);
    this.shard = shardOf(this.identity);
    this.sticky = frontends.some(({ affinity }) => affinity !== undefined);
  }

  frontend(frontend: Frontend): void {
    const key = frontendOctets(frontend);
    const isNode = frontend.address === undefined;
    if (frontend.kind === 'clusterIp')
      this.shared.add(elementKey(SETS.clusterIps, addressOfText(frontend.address ?? '')));
    for (const element of sourceRangeElements(frontend, key, this.nodeAddresses)) this.own.set(element, '');
    const list = frontend.policy === 'cluster' || frontend.shortCircuit ? 'cluster' : 'local';
    if (this.lists[list].length === 0) {
      const isElsewhere = frontend.policy === 'local' && (this.given?.serving.length ?? 0) > 0;
      this.own.set(elementKey(SETS.unavailable, key), isElsewhere ? 'drop' : 'continue');
      return;
    }
    const isSplit = frontend.policy === 'local' && frontend.shortCircuit;
    const value = frontendElementOctets({
      policy: policyNumber({ masquerade: frontend.masquerade, shortCircuit: isSplit }, isNode),
      fan: this.fan(frontend, list),
      local: isSplit && this.lists.local.length > 0 ? this.fan(frontend, 'local') : undefined,
      identity: this.identity,
    });
    this.own.set(elementKey(SETS.frontends, key), value);
  }

  backends(): void {
    const set = backendsSet(this.shard);
    for (const list of this.used) {
      const first = list === 'local' ? LOCAL_SLOTS : 0;
      const members = list === 'local' ? SETS.localMembers : SETS.members;
      this.lists[list].forEach((backend, i) => {
        const address = addressOfText(backend.address);
        const target = `${address}${portOctets(backend.port)}`;
        this.own.set(elementKey(set, `${slotOctets(first + i)}${this.identity}`), target);
        if (this.sticky) this.own.set(elementKey(members, `${target}${this.identity}`), '');
        // Elsewhere the packet does not come back here with the pod's own address.
        if (backend.isLocal) this.shared.add(elementKey(SETS.hairpins, `${address}${address}`));
      });
    }
  }

  private fan({ address, affinity }: Frontend, list: Fan['list']): Fan {
    this.used.add(list);
    const slots = this.lists[list].length;
    const fan: Fan = { by: address === undefined ? 'node' : 'address', list, slots, shard: this.shard, affinity };
    this.fans.add(fanName(fan));
    return fan;
  }
}

/** @param key of the frontend @param nodeAddresses hairpin traffic of this node passes ranges that hold one of them */
export function sourceRangeElements(
  { sourceRanges, address, family }: Frontend,
  key: string,
  nodeAddresses: readonly IpAddress[],
): readonly ElementKey[] {
  if (sourceRanges === undefined) return [];
  const own = address === undefined ? undefined : parseAddress(address);
  const isHere = nodeAddresses.some(node => sourceRanges.some(range => prefixContains(range, node)));
  const itself: readonly IpPrefix[] =
    own?.ok === true && isHere ? [{ address: own.value, length: family === 4 ? 32 : 128 }] : [];
  const ranges = outermost([...sourceRanges, ...itself]).map(range => {
    const [first, last] = rangeOctets(range);
    return elementKey(SETS.ranges, `${key}${first}`, last);
  });
  return [elementKey(SETS.restricted, key), ...ranges];
}

/** The frontend that the service port is known by: its cluster IP, or the first by key. No two ports share a frontend. */
function identityOf(frontends: readonly Frontend[]): Frontend {
  const rank = ({ kind, key }: Frontend): string => `${kind === 'clusterIp' ? 0 : 1}${key}`;
  return frontends.reduce((best, other) => (rank(other) < rank(best) ? other : best));
}

/** The kernel takes no range that overlaps another. */
function outermost(prefixes: readonly IpPrefix[]): readonly IpPrefix[] {
  const sorted = [...prefixes].sort((a, b) => a.length - b.length);
  const kept: IpPrefix[] = [];
  for (const prefix of sorted) if (!kept.some(wide => prefixContains(wide, prefix.address))) kept.push(prefix);
  return kept;
}
