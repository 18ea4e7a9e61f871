/** From a description that fits into one message to a table with its feeds: every process of a run makes the same. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writeAttributes, type FeedVariant } from './attributes.js';
import { announceFeed, withdrawFeed, type AttributeWriter, type Feed, type FeedNextHops } from './feed.js';
import { generatedPrefixes4, generatedPrefixes6 } from './generatedPrefixes.js';
import { groupPrefixes } from './grouping.js';
import type { Grouping } from './feed.js';
import { mrtTable } from './mrtTable.js';
import type { PrefixTable } from './prefixTable.js';

export const TableSpec = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('generated'),
    family: z.enum(['ipv4-unicast', 'ipv6-unicast']),
    size: z.number().int().positive(),
  }),
  z.object({
    kind: z.literal('mrt'),
    family: z.enum(['ipv4-unicast', 'ipv6-unicast']),
    file: z.string(),
    /** Take no more prefixes than this from the file. */
    size: z.number().int().positive(),
  }),
]);
export type TableSpec = z.infer<typeof TableSpec>;

/**
 * `first` announces everything, `changed` everything again with other attributes, `withdraw` takes everything back.
 * `better-even` and `better-odd` are the feeds of two feeders that both have every prefix: in one the attribute sets
 * with even numbers have the shorter path, in the other those with odd ones.
 */
export const FeedName = z.enum(['first', 'changed', 'withdraw', 'better-even', 'better-odd']);
export type FeedName = z.infer<typeof FeedName>;

/** The marker of the routes that must be held when a feed (or both of a pair) has been worked off; 0: none. */
export const MARKER_AFTER: Readonly<Record<FeedName, number>> = {
  first: 1,
  changed: 2,
  withdraw: 0,
  'better-even': 1,
  'better-odd': 1,
};
const LOSING_MARKER = 3;

export interface LoadedTable {
  readonly table: PrefixTable;
  readonly grouping: Grouping;
  feed(name: FeedName, nextHops: FeedNextHops): Feed;
}

export function loadTable(spec: TableSpec): LoadedTable {
  if (spec.kind === 'mrt') {
    const { table, grouping, writer } = mrtTable(readFileSync(spec.file), spec.family, spec.size);
    return {
      table,
      grouping,
      feed: (name, nextHops) => {
        if (name === 'withdraw') return withdrawFeed(table, grouping.order);
        if (name !== 'first' && name !== 'changed') throw new Error('two feeders need a generated table');
        return announceFeed(table, grouping, writer(name === 'first' ? 0 : 1, name === 'first' ? 1 : 2), nextHops);
      },
    };
  }
  const table = spec.family === 'ipv4-unicast' ? generatedPrefixes4(spec.size) : generatedPrefixes6(spec.size);
  const grouping = groupPrefixes(table.announceOrder(), 7);
  return {
    table,
    grouping,
    feed: (name, nextHops) =>
      name === 'withdraw'
        ? withdrawFeed(table, grouping.order)
        : announceFeed(table, grouping, generatedWriter(name), nextHops),
  };
}

function generatedWriter(name: Exclude<FeedName, 'withdraw'>): AttributeWriter {
  switch (name) {
    case 'first':
      return oneVariant({ seed: 1, marker: 1, prepend: 0 });
    case 'changed':
      return oneVariant({ seed: 2, marker: 2, prepend: 0 });
    case 'better-even':
      return evenAndOdd({ seed: 3, marker: 1, prepend: 0 }, { seed: 3, marker: LOSING_MARKER, prepend: 1 });
    case 'better-odd':
      return evenAndOdd({ seed: 4, marker: LOSING_MARKER, prepend: 1 }, { seed: 4, marker: 1, prepend: 0 });
  }
}

function oneVariant(variant: FeedVariant): AttributeWriter {
  return evenAndOdd(variant, variant);
}

function evenAndOdd(even: FeedVariant, odd: FeedVariant): AttributeWriter {
  return (octets, at, set, nextHop4) => writeAttributes(octets, at, set, set % 2 === 0 ? even : odd, nextHop4);
}
