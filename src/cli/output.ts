/** Writing to standard output: tables for people, JSON for programs, and readers that leave early. Impure. */

import Table from 'cli-table3';

export type OutputFormat = 'table' | 'wide' | 'json';

export interface Column<T> {
  readonly head: string;
  readonly align?: 'left' | 'right';
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
  value(item: T): string;
}

/** Rows whose widths are measured together; longer lists go out page after page. */
const PAGE = 1000;

/** Prints items as they come: as a table in pages, or as one JSON array. @returns how many there were */
export async function printList<T>(
  items: AsyncIterable<T> | Iterable<T>,
  columns: readonly Column<T>[],
  format: OutputFormat,
): Promise<number> {
  return format === 'json' ? printJson(items) : printTable(items, columns, format);
}

async function printJson<T>(items: AsyncIterable<T> | Iterable<T>): Promise<number> {
  let count = 0;
  await write('[');
  for await (const item of items) await write(`${count++ === 0 ? '\n' : ',\n'}${JSON.stringify(item)}`);
  await write(count === 0 ? ']\n' : '\n]\n');
  return count;
}

async function printTable<T>(
  items: AsyncIterable<T> | Iterable<T>,
  columns: readonly Column<T>[],
  format: OutputFormat,
): Promise<number> {
  const shown = columns.filter(column => column.wide !== true || format === 'wide');
  let rows: string[][] = [];
  let count = 0;
  for await (const item of items) {
    rows.push(shown.map(column => column.value(item)));
    if (rows.length === PAGE) {
      await write(tableText(shown, rows, count === 0));
      count += rows.length;
      rows = [];
    }
  }
  if (rows.length > 0 || count === 0) await write(tableText(shown, rows, count === 0));
  return count + rows.length;
}

function tableText<T>(columns: readonly Column<T>[], rows: readonly (readonly string[])[], head: boolean): string {
  const table = new Table({
    ...(head ? { head: columns.map(column => column.head) } : {}),
    colAligns: columns.map(column => column.align ?? 'left'),
    chars: PLAIN,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  for (const row of rows) table.push([...row]);
  return `${trimmed(table.toString())}\n`;
}

/** Name and value, one a line; undefined values are left out. */
export async function printFields(fields: readonly (readonly [string, string | undefined])[]): Promise<void> {
  const shown = fields.filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  await write(shown.map(([name, value]) => `${name.padEnd(width)}  ${value ?? ''}\n`).join(''));
}

/** Resolves when the text is taken; a reader that has left (`| head`) ends the program quietly. */
export function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error: (Error & { code?: string }) | null | undefined) => {
      if (error?.code === 'EPIPE') process.exit(0);
      if (error) reject(error);
      else resolve();
    });
  });
}

const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

function trimmed(text: string): string {
  return text
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n');
}
