/** What a kernel would do with a packet, from nothing but the wanted elements, chains and sets: a tiny nf_tables. */

import type { Expression } from '../../../../src/kernel/nftables/expressions.js';
import { elementKey, keyOctets, setOf, verdictOfText } from '../../../../src/kernel/nftables/elements.js';
import type { SetShape } from '../../../../src/kernel/nftables/messages.js';
import type { Layout } from '../../../../src/policy/nftables/layout.js';
import { CHAINS, type PolicyPlan, type WantedElements } from '../../../../src/policy/nftables/plan.js';

export interface Packet {
  /** Octets. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly port: number;
  readonly hook: 'postrouting' | 'input';
  /** Addresses of the node. */
  readonly local: ReadonlySet<string>;
}

export interface Kernel {
  take(changes: WantedElements): void;
  /** Whether a first packet passes all hooks. */
  passes(packet: Packet): boolean;
  readonly elements: ReadonlyMap<string, string>;
}

type Outcome = 'accept' | 'drop' | 'return' | 'end';

export function createKernel(plan: PolicyPlan, layout: Layout): Kernel {
  const elements = new Map(layout.elements);
  /** Pairs of a range: where it begins, where it ends before, by set. */
  const inRanges = (set: string, key: string): boolean => {
    const edges = [...elements.keys()].filter(element => setOf(element) === set).map(keyOctets);
    const below = edges.filter(edge => edge.slice(0, -1) <= key).sort();
    return below.at(-1)?.endsWith('[') === true;
  };
  const shapeOf = (name: string): SetShape => {
    const shape = layout.sets.find(set => set.name === name) ?? plan.set(name);
    if (shape === undefined) throw new Error(`no set ${name}`);
    return shape;
  };
  const found = (name: string, key: string): string | undefined => {
    if (shapeOf(name).ranges === true) return inRanges(name, key) ? '' : undefined;
    return elements.get(elementKey(name, key));
  };
  const rulesOf = (chain: string): readonly (readonly Expression[])[] => {
    const rules = layout.chains.find(({ name }) => name === chain)?.rules ?? plan.chain(chain)?.rules;
    if (rules === undefined || (plan.chain(chain) !== undefined && !elements.has(elementKey(CHAINS, chain))))
      throw new Error(`no chain ${chain}`);
    return rules;
  };

  function run(chain: string, packet: Packet): Outcome {
    for (const rule of rulesOf(chain)) {
      const verdict = evaluate(rule, packet);
      if (verdict === undefined) continue;
      if (verdict.kind === 'continue') continue;
      if (verdict.kind !== 'goto' && verdict.kind !== 'jump') return verdict.kind;
      const outcome = run(verdict.chain, packet);
      if (outcome === 'accept' || outcome === 'drop') return outcome;
      if (verdict.kind === 'goto') return 'end';
    }
    return 'end';
  }

  function evaluate(rule: readonly Expression[], packet: Packet): ReturnType<typeof verdictOfText> | undefined {
    const registers = new Uint8Array(128);
    const put = (at: number, octets: string): void => registers.set(Buffer.from(octets, 'latin1'), at * 4);
    const get = (at: number, length: number): string =>
      Buffer.from(registers.slice(at * 4, at * 4 + length)).toString('latin1');
    const text = (octets: readonly number[]): string => Buffer.from(octets).toString('latin1');
    const keyOf = (set: string, at: number): string =>
      get(
        at,
        shapeOf(set).key.reduce((sum, type) => sum + (type === 'ipv6_addr' ? 16 : 4), 0),
      );
    for (const e of rule) {
      switch (e.kind) {
        case 'payload': {
          const padded = (octets: string): string => octets.padEnd(Math.ceil(octets.length / 4) * 4, '\0');
          if (e.base === 'transport') put(e.to, padded(portText(packet.port)));
          else put(e.to, e.offset === 12 || e.offset === 8 ? packet.source : packet.destination);
          break;
        }
        case 'meta':
          put(e.to, String.fromCharCode(packet.protocol, 0, 0, 0));
          break;
        case 'ct':
          // A new connection, without a mark.
          put(e.to, e.key === 'state' ? '\x08\0\0\0' : '\0\0\0\0');
          break;
        case 'fibType':
          put(
            e.to,
            packet.local.has(e.of === 'saddr' ? packet.source : packet.destination) ? '\x02\0\0\0' : '\x01\0\0\0',
          );
          break;
        case 'bitwise': {
          const from = Buffer.from(get(e.from, e.mask.length), 'latin1');
          put(e.to, text(e.mask.map((mask, i) => (from[i]! & mask) ^ e.xor[i]!)));
          break;
        }
        case 'compare':
          if ((get(e.from, e.octets.length) === text(e.octets)) !== e.equal) return undefined;
          break;
        case 'range': {
          const value = get(e.from, e.first.length);
          if (value < text(e.first) || value > text(e.last)) return undefined;
          break;
        }
        case 'immediate':
          put(e.to, text(e.octets));
          break;
        case 'lookup': {
          const value = found(e.set, keyOf(e.set, e.from));
          if ((value === undefined) !== (e.inverted === true)) return undefined;
          if (e.to !== undefined) put(e.to, value ?? '');
          break;
        }
        case 'vmap': {
          const value = found(e.set, keyOf(e.set, e.from));
          return value === undefined ? undefined : verdictOfText(value);
        }
        case 'dynamic':
        case 'log':
        case 'limit':
          break;
        case 'verdict':
          return e.verdict;
        default:
          throw new Error(`nothing is known of ${e.kind}`);
      }
    }
    return undefined;
  }

  return {
    elements,
    take: changes => {
      for (const [key, value] of changes)
        if (value === undefined) elements.delete(key);
        else elements.set(key, value);
    },
    passes: packet => {
      const hooks = layout.chains.filter(({ hook }) => hook?.at === packet.hook);
      return hooks.every(({ name }) => run(name, packet) !== 'drop');
    },
  };
}

function portText(port: number): string {
  return String.fromCharCode(port >>> 8, port & 255);
}
