/** What runs in the guest, once for each suite: `node runSuite.js SUITE RESULTS`, a line of JSON a check into RESULTS. */

import { appendFileSync } from 'node:fs';
import type { VmResult } from './suite.js';
import { runSteps } from './suite.js';
import { SUITES } from './suites.js';

const [, , name, results] = process.argv;
const suite = SUITES.find(one => one.name === name);
if (suite === undefined || results === undefined) throw new Error('usage: runSuite.js SUITE RESULTS');

await runSteps(suite, (result: VmResult) => {
  const { check, milliseconds, error } = result;
  const seconds = (milliseconds / 1000).toFixed(1);
  console.log(`${error === undefined ? 'ok    ' : 'FAILED'} ${suite.name}: ${check} (${seconds} s)`);
  if (error !== undefined) console.log(error);
  appendFileSync(results, `${JSON.stringify(result)}\n`);
});
// Whatever still runs or listens is of no consequence: everything ends with the guest.
process.exit(0);
