/**
 * Runs every suite in turn and ends with one plain line over all of them: `N passed, M failed`.
 *
 * Whole programs are tested one file at a time; unit tests share the processors, and tests of the kernel, each in namespaces
 * of its own, and of interoperability, which mostly wait, run two files at once.
 * Usage: node build/scripts/testAll.js [suite …]
 */

import { mkdirSync, rmSync } from 'node:fs';
import { RESULTS, runSuite, type Suite } from './testSuite.js';

const SUITES: readonly Suite[] = [
  { name: 'unit', arguments: ['--maxWorkers=2'] },
  { name: 'kernel', arguments: ['--maxWorkers=2'], meetsTheWorld: true },
  { name: 'fuzz', arguments: ['--runInBand'] },
  { name: 'system', arguments: ['--runInBand'], meetsTheWorld: true },
  { name: 'interop', arguments: ['--maxWorkers=2'], meetsTheWorld: true, epilogue: 'build/interop/printMatrix.js' },
  { name: 'kube', arguments: ['--runInBand'], meetsTheWorld: true, onRequest: true },
  { name: 'vm', arguments: ['--runInBand'], meetsTheWorld: true, onRequest: true, partsBy: 'PEERAGE_VM_SUITES' },
];

function main(): void {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter(name => !SUITES.some(suite => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no suite is called ${unknown.join(', ')}; there are ${SUITES.map(suite => suite.name).join(', ')}`);
    process.exit(2);
  }
  rmSync(RESULTS, { recursive: true, force: true });
  mkdirSync(RESULTS, { recursive: true });
  const counts = SUITES.filter(suite =>
    wanted.length === 0 ? suite.onRequest !== true : wanted.includes(suite.name),
  ).map(suite => ({ suite, count: runSuite(suite) }));
  console.log('');
  for (const { suite, count } of counts)
    console.log(`${suite.name.padEnd(8)} ${count.passed} passed, ${count.failed} failed`);
  for (const { count } of counts) for (const unsteady of count.unsteady) console.log(`UNSTEADY ${unsteady}`);
  for (const { count } of counts) for (const failure of count.failures) console.log(`FAILED ${failure}`);
  const passed = counts.reduce((sum, { count }) => sum + count.passed, 0);
  const failed = counts.reduce((sum, { count }) => sum + count.failed, 0);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

main();
