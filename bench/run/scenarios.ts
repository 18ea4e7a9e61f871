/** The workloads, and what our speaker must reach in each. */

import type { Family } from '../../src/bgp/families.js';

export type PhaseName = 'announce' | 'late' | 'change' | 'withdraw' | 'both feeders' | 'install' | 'remove';

/** A ratio is theirs / ours: more is better for us. */
export type Target =
  { readonly kind: 'ratioAtLeast'; readonly value: number } | { readonly kind: 'oursAtMost'; readonly value: number };

export interface Scenario {
  readonly key: string;
  readonly title: string;
  readonly family: Family;
  readonly prefixes: number;
  readonly clients: number;
  /**
   * reflect: announce, late, change, withdraw. twoFeeders: both announce everything, the better path must win at every
   * client. kernel: no clients, routes are counted in the kernel. keepalives: the table is announced, changed and
   * withdrawn over and over, while a peer that gets none of it measures the silence between keepalives.
   */
  readonly kind: 'reflect' | 'twoFeeders' | 'kernel' | 'keepalives';
  readonly peers: readonly ('bird' | 'gobgp')[];
  /** Targets hold against BIRD. */
  readonly wall?: Target | undefined;
  readonly cpu?: Target | undefined;
  readonly memory?: Target | undefined;
  /** For `keepalives`: seconds of load. */
  readonly seconds?: number;
}

const MILLION = 1_000_000;
const atLeast = (value: number): Target => ({ kind: 'ratioAtLeast', value });
const atMost = (value: number): Target => ({ kind: 'oursAtMost', value });

/** What the largest gap between keepalives may be beyond their interval, in seconds. */
export const KEEPALIVE_GRACE = 1;
/** What 99.9 % of the turns of the event loop may be late at most, in milliseconds. */
export const LOOP_DELAY_TARGET = 20;
/** IPv6 may take this many times what IPv4 takes. */
export const IPV6_FACTOR = 1.5;

/** @param size what stands for a million prefixes; smaller for a quick look, which has no targets */
export function scenarios(size: number): readonly Scenario[] {
  const all = fullScenarios(size);
  return size >= MILLION ? all : all.map(s => ({ ...s, wall: undefined, cpu: undefined, memory: undefined }));
}

function fullScenarios(size: number): readonly Scenario[] {
  const four: Pick<Scenario, 'family' | 'kind'> = { family: 'ipv4-unicast', kind: 'reflect' };
  const fifth = Math.round(size / 5);
  return [
    {
      key: 'one', title: `${count(size)} prefixes, 1 client`, ...four,
      prefixes: size, clients: 1, peers: ['bird'], wall: atLeast(4), memory: atMost(160),
    },
    { key: 'ten', title: `${count(size)} prefixes, 10 clients`, ...four, prefixes: size, clients: 10, peers: ['bird'], wall: atLeast(10) },
    { key: 'fifty', title: `${count(fifth)} prefixes, 50 clients`, ...four, prefixes: fifth, clients: 50, peers: ['bird'], cpu: atLeast(15) },
    {
      key: 'two-feeders', title: `${count(size)} prefixes from each of two feeders, 1 client`, family: 'ipv4-unicast',
      kind: 'twoFeeders', prefixes: size, clients: 1, peers: ['bird'], wall: atLeast(3),
    },
    { key: 'ipv6', title: `${count(size)} IPv6 prefixes, 1 client`, family: 'ipv6-unicast', kind: 'reflect', prefixes: size, clients: 1, peers: ['bird'] },
    { key: 'kernel', title: `${count(size)} routes into the kernel`, family: 'ipv4-unicast', kind: 'kernel', prefixes: size, clients: 0, peers: ['bird'], wall: atLeast(1) },
    {
      key: 'keepalives', title: `keepalives under a load of ${count(size)} prefixes`, family: 'ipv4-unicast',
      kind: 'keepalives', prefixes: size, clients: 1, peers: ['bird'], seconds: 12,
    },
    { key: 'gobgp', title: `${count(size / 10)} prefixes, 1 client`, ...four, prefixes: Math.round(size / 10), clients: 1, peers: ['gobgp'] },
  ];
} // prettier-ignore

function count(n: number): string {
  return Math.round(n).toLocaleString('en');
}
