/** Rows for people (terminal and Markdown) and for programs (JSON). The ratio comes first: it is what stays. */

import Table from 'cli-table3';
import { isMet, ratioOf, type Row } from './rows.js';
import type { Target } from '../run/scenarios.js';

/** A line of bench/results/NAME.json. */
export interface ResultLine {
  readonly name: string;
  readonly unit: string;
  readonly ours: number | null;
  readonly peer: string;
  readonly theirs: number | null;
  readonly ratio: number | null;
  readonly target: string | null;
  readonly ok: boolean | null;
}

export function resultLines(rows: readonly Row[]): ResultLine[] {
  return rows.map(row => ({
    name: `${row.workload}: ${row.measure}`,
    unit: row.unit,
    ours: rounded(row.ours),
    peer: row.peer,
    theirs: rounded(row.theirs),
    ratio: rounded(ratioOf(row)),
    target: row.target && targetText(row.target, row.unit),
    ok: isMet(row),
  }));
}

export function terminalTable(rows: readonly Row[]): string {
  const table = new Table({ head: HEAD, style: { head: [], border: [] } });
  let workload = '';
  for (const row of rows) {
    if (row.workload !== workload) {
      workload = row.workload;
      table.push([{ colSpan: HEAD.length, content: workload }]);
    }
    table.push(cells(row));
  }
  return table.toString();
}

export function markdownTables(rows: readonly Row[]): string {
  const workloads = [...new Set(rows.map(r => r.workload))];
  return workloads
    .map(workload => {
      const lines = rows.filter(r => r.workload === workload).map(row => `| ${cells(row).join(' | ')} |`);
      const rule = `| ${HEAD.map(() => '---').join(' | ')} |`;
      return `### ${workload}\n\n| ${HEAD.join(' | ')} |\n${rule}\n${lines.join('\n')}`;
    })
    .join('\n\n');
}

export const GENERATOR_NOTE =
  '† the feeder or the counting clients were the limit, not our speaker: a faster generator would show a larger ratio';

const HEAD = ['', 'ratio', 'ours : theirs', 'against', 'target', ''];

function cells(row: Row): string[] {
  const ratio = ratioOf(row);
  const bound = row.oursIsLimit ? '< ' : row.theirsIsLimit ? '> ' : '';
  const unit = row.unit === 'CPU s' ? 's CPU' : row.unit;
  const numbers = `(${number(row.ours, row.oursIsLimit)} : ${number(row.theirs, row.theirsIsLimit)} ${unit})`;
  const met = isMet(row);
  return [
    row.unit === 'CPU s' ? `${row.measure}, CPU` : row.measure,
    ratio === null ? '' : `${bound}${number(ratio, false)} ×${row.generatorBound ? ' †' : ''}`,
    numbers,
    row.peer,
    row.target ? targetText(row.target, row.unit) : '',
    met === null ? '' : met ? 'ok' : 'MISSED',
  ];
}

function targetText(target: Target, unit: string): string {
  return target.kind === 'ratioAtLeast'
    ? `≥ ${number(target.value, false)} ×`
    : `≤ ${number(target.value, false)} ${unit}`;
}

/** Three significant digits, no exponent. */
function number(value: number | null, isLimit: boolean): string {
  if (value === null) return '–';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${isLimit ? '> ' : ''}${value.toFixed(digits)}`;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}
