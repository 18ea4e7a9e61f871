/** What `peerage policy matrix` and `peerage policy test` print. */

import { createControlClient } from '../api/client.js';
import type { ExpectationView, MatrixScope, ReachView } from '../api/policyView.js';
import { runExpectations } from '../app/policy/expectations.js';
import { matrixOfManifests } from '../app/policy/policyMatrix.js';
import { printList, write, type Column } from './output.js';
import { warnOf, type Asked } from './policyQuestions.js';

const REACH_COLUMNS: readonly Column<ReachView>[] = [
  { head: 'FROM', value: cell => cell.from },
  { head: 'TO', value: cell => `${cell.to}${cell.families.length === 1 ? ` (IPv${cell.families[0] ?? ''})` : ''}` },
  { head: 'OPEN', value: cell => cell.ports },
];

/** @throws when the question cannot be answered, with a sentence that says why */
export async function printMatrix(asked: Asked, scope: MatrixScope, output: 'table' | 'json'): Promise<void> {
  const cells = await cellsOf(asked, scope);
  if (output === 'json' || scope.port === undefined) await printList(cells, REACH_COLUMNS, output);
  else await printGrid(cells);
}

/** A running agent's as they come: it may know very many pods. */
async function cellsOf(
  { manifests, control }: Asked,
  scope: MatrixScope,
): Promise<AsyncIterable<ReachView> | readonly ReachView[]> {
  if (manifests === undefined)
    return createControlClient(control).list('/v1/policy/matrix', { ...scope }) as AsyncIterable<ReachView>;
  const answer = await matrixOfManifests(manifests, scope);
  if (!answer.ok) throw new Error(answer.error);
  warnOf(answer.value.warnings);
  return answer.value.cells;
}

interface GridRow {
  readonly from: string;
  readonly marks: ReadonlyMap<string, string>;
}

/** A row for everyone who sends, a numbered column for everyone who receives. */
async function printGrid(cells: AsyncIterable<ReachView> | readonly ReachView[]): Promise<void> {
  const reached = new Set<string>();
  const rows = new Map<string, Map<string, string>>();
  for await (const { from, to, ports } of cells) {
    reached.add(to);
    const marks = rows.get(from) ?? new Map<string, string>();
    const [mark, other] = [ports === 'open' ? '.' : 'X', marks.get(to)];
    rows.set(from, marks.set(to, other === undefined || other === mark ? mark : '~'));
  }
  const receivers = [...reached].sort();
  const columns: readonly Column<GridRow>[] = [
    { head: '', value: row => row.from },
    ...receivers.map((to, i) => ({ head: String(i + 1), value: (row: GridRow) => row.marks.get(to) ?? ' ' })),
  ];
  await write(receivers.map((to, i) => `${i + 1} = ${to}\n`).join(''));
  await write('. open   X closed   ~ open in one address family only\n\n');
  await printList(
    [...rows].map(([from, marks]) => ({ from, marks })),
    columns,
    'table',
  );
}

const EXPECTATION_COLUMNS: readonly Column<ExpectationView>[] = [
  { head: 'RESULT', value: ({ passed }) => (passed ? 'ok' : 'FAILED') },
  { head: 'TEST', value: ({ name }) => name },
  { head: 'FROM', value: ({ from }) => from },
  { head: 'TO', value: ({ to, port }) => `${to} ${port}` },
  { head: 'EXPECTED', value: ({ expected }) => expected },
  { head: 'WHY NOT', value: ({ passed, reason }) => (passed ? '' : reason) },
];

/** @returns the exit code */
export async function testPolicies(
  file: string,
  manifests: string | undefined,
  output: 'table' | 'json',
): Promise<number> {
  const answer = await runExpectations(file, manifests);
  if (!answer.ok) throw new Error(answer.error);
  const { results, warnings } = answer.value;
  warnOf(warnings);
  await printList(results, EXPECTATION_COLUMNS, output);
  const failed = results.filter(({ passed }) => !passed).length;
  if (output === 'table') await write(`\n${results.length - failed} as expected, ${failed} not\n`);
  return failed > 0 || warnings.length > 0 ? 1 : 0;
}
