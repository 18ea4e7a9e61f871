/** What runs in the guest, once for each suite: `node runSuite.js SUITE RESULTS`, a line of JSON a check into RESULTS. */

import { appendFileSync } from 'node:fs';
import type { VmResult, VmSuite } from './suite.js';
import { runSteps } from './suite.js';

const [, , name = '', file = ''] = process.argv;

/** Its own file only: to load all of them takes the guest half a minute. */
async function load(): Promise<VmSuite> {
  const exported: unknown = await import(`./suites/${name}.js`);
  const entries = typeof exported === 'object' && exported !== null ? Object.entries(exported) : [];
  const suite: unknown = new Map<string, unknown>(entries).get(name);
  if (!isSuite(suite) || suite.name !== name) throw new Error(`suites/${name}.ts exports no suite as '${name}'`);
  return suite;
}

function isSuite(value: unknown): value is VmSuite {
  return typeof value === 'object' && value !== null && 'name' in value && 'steps' in value;
}

function tell(result: VmResult): void {
  const { check, milliseconds, error } = result;
  const seconds = (milliseconds / 1000).toFixed(1);
  console.log(`${error === undefined ? 'ok    ' : 'FAILED'} ${result.suite}: ${check} (${seconds} s)`);
  if (error !== undefined) console.log(error);
  appendFileSync(file, `${JSON.stringify(result)}\n`);
}

const suite = await load();
console.log(`suite ${suite.name}: ready after ${process.uptime().toFixed(1)} s`);
await runSteps(suite, tell, console.log);
// Whatever still runs or listens is of no consequence: everything ends with the guest.
process.exit(0);
