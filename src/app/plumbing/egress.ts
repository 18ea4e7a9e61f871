/**
 * Pod egress: packets of this node's pods to anywhere but pods, nodes and excluded networks carry the node's address
 * (masquerading, in an nftables table of our own). A pure plan: shape of the table, and elements of its sets.
 */

import { formatAddress, formatPrefix, type IpAddress, type IpPrefix } from '../../core/ip.js';
import { createPrefixCover, type PrefixCover } from '../../core/prefixCover.js';
import { elementKey, fingerprint, PRESENT, STRUCTURE, type NftTableShape } from '../../kernel/nftTable.js';

type Version = 4 | 6;

const rule = (version: Version): string => {
  const ip = version === 4 ? 'ip' : 'ip6';
  const others = [`pods${version}`, `nodes${version}`, `excluded${version}`];
  const exceptions = others.map(set => `${ip} daddr != @${set}`).join(' ');
  // Random ports: many nodes' pods may ask the same server at the same moment, and kernels that count up collide.
  return `${ip} saddr @local${version} ${exceptions} counter masquerade fully-random`;
};

/**
 * After srcnat (100): who else translates sources there, such as a service proxy, has decided before, and the first to
 * decide counts.
 */
const HEAD = 'type nat hook postrouting priority 110; policy accept;';

export const EGRESS_TABLE: NftTableShape = {
  family: 'inet',
  name: 'peerage_egress',
  sets: ([4, 6] as const).flatMap(version => {
    const type = version === 4 ? 'ipv4_addr' : 'ipv6_addr';
    return [
      { name: `local${version}`, type, interval: true },
      { name: `pods${version}`, type, interval: true },
      { name: `nodes${version}`, type, interval: false },
      { name: `excluded${version}`, type, interval: true },
    ];
  }),
  chains: [{ name: 'postrouting', head: HEAD, rules: [rule(4), rule(6)] }],
};

/** Everything but elements that an egress table consists of. */
export const EGRESS_STRUCTURE: readonly [key: string, value: string] = [STRUCTURE, fingerprint(EGRESS_TABLE)];

/** What one node, or the configuration, contributes. */
export interface EgressPart {
  /** Of this node's own pods. */
  readonly local: readonly IpPrefix[];
  readonly pods: readonly IpPrefix[];
  readonly nodes: readonly IpAddress[];
  readonly excluded: readonly IpPrefix[];
}

export const NO_PART: EgressPart = { local: [], pods: [], nodes: [], excluded: [] };

/** Elements by key, as {@link elementKey} has them; undefined: to be taken out. */
export type EgressChanges = ReadonlyMap<string, string | undefined>;

export interface EgressPlan {
  /** Takes one contributor's part in place of what it contributed before. @returns what changes in the table */
  set(contributor: string, part: EgressPart): EgressChanges;
  /** All elements that there should be. */
  elements(): ReadonlyMap<string, string>;
}

/** Contributors may claim the same networks, or networks inside each other: sets hold the outermost ones. */
export function createEgressPlan(): EgressPlan {
  const parts = new Map<string, EgressPart>();
  const covers: Readonly<Record<'local' | 'pods' | 'excluded', PrefixCover>> = {
    local: createPrefixCover(),
    pods: createPrefixCover(),
    excluded: createPrefixCover(),
  };
  const nodes = new Map<string, number>();

  const changePrefixes = (before: EgressPart, after: EgressPart, changes: Map<string, string | undefined>): void => {
    for (const name of ['local', 'pods', 'excluded'] as const) {
      const take = (prefix: IpPrefix, told: ReadonlyMap<string, boolean>): void => {
        for (const [text, isIn] of told)
          changes.set(elementKey(`${name}${prefix.address.version}`, text), isIn ? PRESENT : undefined);
      };
      // What stays is added before it is taken away, so that it is never told as gone.
      for (const prefix of after[name]) take(prefix, covers[name].add(prefix));
      for (const prefix of before[name]) take(prefix, covers[name].remove(prefix));
    }
  };
  const changeNodes = (before: EgressPart, after: EgressPart, changes: Map<string, string | undefined>): void => {
    const count = (address: IpAddress, step: 1 | -1): void => {
      const key = elementKey(`nodes${address.version}`, formatAddress(address));
      const claims = (nodes.get(key) ?? 0) + step;
      if (claims > 0) nodes.set(key, claims);
      else nodes.delete(key);
      if (claims === 0) changes.set(key, undefined);
      else if (claims === 1 && step === 1) changes.set(key, PRESENT);
    };
    for (const address of after.nodes) count(address, 1);
    for (const address of before.nodes) count(address, -1);
  };

  return {
    set: (contributor, part) => {
      const before = parts.get(contributor) ?? NO_PART;
      const changes = new Map<string, string | undefined>();
      changePrefixes(before, part, changes);
      changeNodes(before, part, changes);
      if (isEmpty(part)) parts.delete(contributor);
      else parts.set(contributor, part);
      return changes;
    },
    elements: () => {
      const prefixes = (['local', 'pods', 'excluded'] as const).flatMap(name =>
        covers[name].outermost().map(text => elementKey(`${name}${text.includes(':') ? 6 : 4}`, text)),
      );
      return new Map([...prefixes, ...nodes.keys()].map(key => [key, PRESENT]));
    },
  };
}

function isEmpty(part: EgressPart): boolean {
  return part.local.length + part.pods.length + part.nodes.length + part.excluded.length === 0;
}

/** Equal parts contribute the same. */
export function samePart(a: EgressPart, b: EgressPart): boolean {
  const text = ({ local, pods, nodes, excluded }: EgressPart): string =>
    [local, pods, excluded].map(list => list.map(formatPrefix).join()).join(';') + nodes.map(formatAddress).join();
  return text(a) === text(b);
}
