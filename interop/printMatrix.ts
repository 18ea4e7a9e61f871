/** Prints the matrix of the last interoperability run: `node build/interop/printMatrix.js`. Impure. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KINDS } from './kinds.js';
import { matrix, OUTCOMES } from './matrix.js';
import type { Outcome } from './runScenario.js';

const outcomes = new Map<string, ReadonlyMap<string, Outcome>>();
for (const { key, kind } of KINDS) {
  const file = join(OUTCOMES, `${key}.json`);
  if (!existsSync(file)) continue;
  const row = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Outcome>;
  outcomes.set(kind.name, new Map(Object.entries(row)));
}
console.log(matrix(outcomes));
