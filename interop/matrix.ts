/** The table of daemons and scenarios, with a note for each cell that did not pass. */

import Table from 'cli-table3';
import type { Outcome } from './runScenario.js';

/** Where each daemon's outcomes are kept, as KEY.json. */
export const OUTCOMES = 'test-results/interop';

/** @param outcomes by daemon, then by scenario */
export function matrix(outcomes: ReadonlyMap<string, ReadonlyMap<string, Outcome>>): string {
  const daemons = [...outcomes.keys()];
  const scenarios = [...new Set([...outcomes.values()].flatMap(row => [...row.keys()]))];
  const notes: string[] = [];
  const cell = (daemon: string, scenario: string): string => {
    const outcome = outcomes.get(daemon)?.get(scenario);
    if (outcome === undefined) return 'not run';
    if (outcome.kind === 'pass') return 'pass';
    notes.push(`${daemon}, ${scenario}: ${outcome.kind === 'fail' ? outcome.error : outcome.reason}`);
    return `${outcome.kind === 'fail' ? 'FAIL' : 'lacks'} (${notes.length})`;
  };
  const table = new Table({ head: ['', ...daemons], style: { head: [], border: [] } });
  for (const scenario of scenarios) table.push([scenario, ...daemons.map(daemon => cell(daemon, scenario))]);
  return [table.toString(), ...notes.map((note, i) => `(${i + 1}) ${note}`)].join('\n');
}
