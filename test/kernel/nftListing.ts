/** Tables as nft(8) lists them, in a form that is the same whatever became of the table before. */

import { execFileSync } from 'node:child_process';
import { z } from 'zod';
import type { Namespace } from './namespace.js';

const Listing = z.object({ nftables: z.array(z.record(z.string(), z.unknown())) });
/** What packets change. */
const COUNTS = new Set(['packets', 'bytes']);

/**
 * Everything in tables of both families but handles, counts, the order of elements, and the order in which chains and sets
 * were made. Sets that packets fill are empty.
 * @throws when one of them is not there
 */
export function tableListing(namespace: Namespace, tables: readonly string[]): readonly string[] {
  return tables.flatMap(table => ['ip', 'ip6'].flatMap(family => listed(namespace, family, table)));
}

function listed({ name }: Namespace, family: string, table: string): readonly string[] {
  const args = ['netns', 'exec', name, 'nft', '-j', 'list', 'table', family, table];
  const text = execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
  const objects = Listing.parse(JSON.parse(text)).nftables.slice(1).map(plainText);
  // Rules of a chain have an order, the chains themselves have not.
  const [rules, others] = [objects.filter(isRule), objects.filter(object => !isRule(object))];
  return [...others.sort(), ...rules.sort((a, b) => (chainOf(a) < chainOf(b) ? -1 : chainOf(a) > chainOf(b) ? 1 : 0))];
}

function plainText(object: Readonly<Record<string, unknown>>): string {
  const isOfPackets = /"flags":\[[^\]]*"(dynamic|timeout)"/.test(JSON.stringify(object));
  return JSON.stringify(object, (key, value: unknown) => {
    if (key === 'handle' || (key === 'elem' && isOfPackets)) return undefined;
    if (COUNTS.has(key)) return 0;
    return key === 'elem' && Array.isArray(value) ? value.map(v => JSON.stringify(v, withoutCounts)).sort() : value;
  });
}

function withoutCounts(key: string, value: unknown): unknown {
  return COUNTS.has(key) ? 0 : value;
}

function isRule(line: string): boolean {
  return line.startsWith('{"rule"');
}

function chainOf(line: string): string {
  return /"family":"\w+","table":"[\w-]+","chain":"[\w-]+"/.exec(line)?.[0] ?? '';
}
