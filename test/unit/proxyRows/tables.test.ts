/** The tables beside the proxy's packet cases: nothing is left unproved, and people read of the same differences as the cases. */

import { expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { CASES } from '../../proxyRows/cases.js';
import { DIVERGENCES, type Divergence } from '../../proxyRows/divergences.js';
import { SEMANTICS, type Semantic } from '../../proxyRows/semantics.js';

test('every semantic is proved by a case, or by tests that are there', () => {
  const proved = new Set<number>(CASES.flatMap(({ proves }) => proves));
  const semantics: readonly (readonly [string, Semantic])[] = Object.entries(SEMANTICS);
  expect(semantics).toHaveLength(33);
  for (const [number, { what, elsewhere = [] }] of semantics) {
    if (elsewhere.length === 0) expect([what, proved.has(Number(number))]).toEqual([what, true]);
    for (const path of elsewhere) expect([path, existsSync(path)]).toEqual([path, true]);
  }
});

test('cases have names of their own', () => {
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});

test('every difference is met in a case, and docs/proxy-modes.md has them all', () => {
  const met = new Set<string>(CASES.flatMap(({ differs }) => differs ?? []));
  expect([...met].sort()).toEqual(Object.keys(DIVERGENCES).sort());
  const rows: readonly Divergence[] = Object.values(DIVERGENCES);
  const table = rows.map(({ what, nftables, ipvs }) => `| ${what} | ${nftables} | ${ipvs} |`).join('\n');
  const docs = readFileSync('docs/proxy-modes.md', 'utf8');
  expect(docs).toContain(`| behaviour | nftables | IPVS |\n| --- | --- | --- |\n${table}\n\n`);
});
