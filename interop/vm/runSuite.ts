/** What runs in the guest, once for each suite: `node runSuite.js SUITE RESULTS`, a line of JSON a check into RESULTS. */

import { appendFileSync } from 'node:fs';
import type { VmResult } from './suite.js';
import { runSteps } from './suite.js';
import { SUITES } from './suites.js';

const [, , name, file = ''] = process.argv;
const suite = SUITES.find(one => one.name === name);
if (suite === undefined || file === '') throw new Error('usage: runSuite.js SUITE RESULTS');

function tell(result: VmResult): void {
  const { check, milliseconds, error } = result;
  const seconds = (milliseconds / 1000).toFixed(1);
  console.log(`${error === undefined ? 'ok    ' : 'FAILED'} ${result.suite}: ${check} (${seconds} s)`);
  if (error !== undefined) console.log(error);
  appendFileSync(file, `${JSON.stringify(result)}\n`);
}

console.log(`suite ${suite.name}: ready after ${process.uptime().toFixed(1)} s`);
await runSteps(suite, tell, console.log);
// Whatever still runs or listens is of no consequence: everything ends with the guest.
process.exit(0);
