/** Writing to standard output: tables for people, JSON for programs, and readers that leave early. Impure. */

export type OutputFormat = 'table' | 'wide' | 'json';

export interface Column<T> {
  readonly head: string;
  readonly align?: 'left' | 'right';
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
  /** Characters to keep free in a list of several pages, so that the pages line up. */
  readonly usual?: number;
  value(item: T): string;
}

/** Rows whose widths are measured together; longer lists go out page after page. */
const PAGE = 1000;
/** Characters of JSON gathered before they are written. */
const CHUNK = 64 * 1024;
/** Spaces between two columns. */
const GAP = '  ';

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
  let pending = '[';
  for await (const item of items) {
    pending += `${count++ === 0 ? '\n' : ',\n'}${JSON.stringify(item)}`;
    if (pending.length < CHUNK) continue;
    await write(pending);
    pending = '';
  }
  await write(`${pending}${count === 0 ? ']\n' : '\n]\n'}`);
  return count;
}

async function printTable<T>(
  items: AsyncIterable<T> | Iterable<T>,
  columns: readonly Column<T>[],
  format: OutputFormat,
): Promise<number> {
  const shown = columns.filter(column => column.wide !== true || format === 'wide');
  const layout = createLayout(shown);
  let page = [shown.map(column => column.head)];
  let count = 0;
  for await (const item of items) {
    page.push(shown.map(column => printable(column.value(item))));
    count++;
    if (page.length < PAGE) continue;
    if (count < PAGE) layout.reserve();
    await write(layout.text(page));
    page = [];
  }
  if (page.length > 0) await write(layout.text(page));
  return count;
}

interface Layout {
  /** More pages will come. */
  reserve(): void;
  text(rows: readonly (readonly string[])[]): string;
}

/**
 * Aligns rows page after page. Columns never become narrower again, so that the pages of one list line up unless a
 * later one has something longer. (Table libraries take a tenth of a second for a page: minutes for a full table.)
 */
function createLayout<T>(columns: readonly Column<T>[]): Layout {
  let widths = columns.map(() => 0);
  const lineOf = (row: readonly string[]): string =>
    row
      .map((cell, i) => (columns[i]?.align === 'right' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join(GAP)
      .trimEnd();
  return {
    reserve: () => {
      widths = columns.map((column, i) => Math.max(widths[i]!, column.usual ?? 0));
    },
    text: rows => {
      for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i]!, cell.length);
      return rows.map(row => `${lineOf(row)}\n`).join('');
    },
  };
}

/** Name and value, one a line; undefined values are left out. */
export async function printFields(fields: readonly (readonly [string, string | undefined])[]): Promise<void> {
  const shown = fields.filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  await write(shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(value ?? '')}\n`).join(''));
}

/**
 * Host names and shutdown messages are written by peers, names of rules by whoever may annotate a namespace: none of them shall
 * command the reader's terminal.
 */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, control => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** Resolves when the text is taken. A reader that has left (`| head`) ends the program quietly: see main.ts. */
export function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error: Error | null | undefined) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
