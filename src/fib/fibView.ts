/** The FIB as the control API shows it. */

import { FAMILIES, familyIndex, type FamilyIndex } from '../bgp/families.js';
import {
  addressBits,
  formatAddress,
  maskAddress,
  parseAddress,
  parsePrefix,
  prefixContains,
  type IpAddress,
  type IpPrefix,
} from '../core/ip.js';
import type { DesiredSets } from './desiredSets.js';
import type { Failures } from './failures.js';
import type { FamilyTable } from './familyTable.js';
import type { FibQuery, FibRoute } from './fibTypes.js';
import type { NextHopResolver } from './nextHopResolver.js';
import { NO_ROUTE, type NextHopTable } from './nextHopTable.js';

interface Shown {
  readonly table: FamilyTable;
  readonly failures: Failures;
}

/** Lazily: a table may hold a million routes. A prefix that cannot be read matches nothing. */
export function* fibRoutes(
  query: FibQuery,
  planes: readonly [Shown, Shown],
  sets: DesiredSets,
  kernelSets: NextHopTable,
  resolver: NextHopResolver,
): Generator<FibRoute> {
  for (const [family, ids] of selected(query, planes)) {
    const { table, failures } = planes[family];
    for (const id of ids) yield shown(table, failures, id, sets, kernelSets, resolver);
  }
}

function* selected(query: FibQuery, planes: readonly [Shown, Shown]): Generator<[FamilyIndex, Iterable<number>]> {
  const asked = query.prefix === undefined ? undefined : parsePrefix(query.prefix);
  const address = query.prefix === undefined ? undefined : parseAddress(query.prefix);
  for (const family of query.family === undefined ? FAMILIES.map(familyIndex) : [familyIndex(query.family)]) {
    const { table } = planes[family];
    const version = family === 0 ? 4 : 6;
    if (asked?.ok === true && asked.value.address.version === version)
      yield [family, query.longer === true ? covered(table, asked.value) : exactly(table, asked.value)];
    else if (address?.ok === true && address.value.version === version) yield [family, covering(table, address.value)];
    else if (query.prefix === undefined) yield [family, table.ids()];
  }
}

function exactly(table: FamilyTable, prefix: IpPrefix): readonly number[] {
  const words = Uint32Array.from(prefix.address.version === 4 ? [prefix.address.value] : prefix.address.words);
  const id = table.index.find(words, 0, prefix.length);
  return id < 0 ? [] : [id];
}

function covering(table: FamilyTable, address: IpAddress): readonly number[] {
  const lengths = Array.from({ length: addressBits(address) + 1 }, (_, i) => addressBits(address) - i);
  return lengths.flatMap(length => exactly(table, { address: maskAddress(address, length), length }));
}

function* covered(table: FamilyTable, prefix: IpPrefix): Generator<number> {
  for (const id of table.ids()) {
    const { address, length } = table.prefixOf(id);
    if (length >= prefix.length && prefixContains(prefix, address)) yield id;
  }
}

function shown(
  table: FamilyTable,
  failures: Failures,
  id: number,
  sets: DesiredSets,
  kernelSets: NextHopTable,
  resolver: NextHopResolver,
): FibRoute {
  const desired = table.desiredOf(id);
  const wanted = table.wantedOf(id);
  const applied = table.appliedOf(id);
  const prefix = table.textOf(id);
  if (desired !== 0 && wanted === NO_ROUTE) {
    const nextHops = sets.nextHops(desired).map(nextHop => ({ gateway: formatAddress(nextHop), device: null }));
    return { prefix, nextHops, state: 'unresolved', error: sets.reason(desired, table.family) };
  }
  const nextHops = kernelSets.hops(wanted === NO_ROUTE ? applied : wanted).map(({ gateway, ifindex }) => ({
    gateway: gateway === null ? '' : formatAddress(gateway),
    device: resolver.deviceName(ifindex) ?? null,
  }));
  const failure = failures.get(id);
  if (failure !== undefined) return { prefix, nextHops, state: 'failed', error: failure.text };
  const settled = wanted === applied || table.isAdopted(id);
  return { prefix, nextHops, state: settled ? 'installed' : 'pending', error: null };
}
