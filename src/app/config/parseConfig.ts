/** From YAML (or JSON) text to a checked configuration; every mistake with file, line, column and path. */

import { isMap, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { err, ok, type Result } from '../../core/result.js';
import { ConfigError, pathText, type Position } from './configError.js';
import { explainIssue } from './explainIssue.js';

/** Where the value at a path stands in a parsed file. */
export type Locate = (keys: readonly PropertyKey[]) => Position | undefined;

export interface ParsedConfig<T> {
  readonly value: T;
  readonly locate: Locate;
}

/**
 * Parses and checks the shape.
 * @param amend changes what the file says before it is checked
 * @returns all mistakes found, not just the first
 */
export function parseConfig<T>(
  source: string,
  file: string,
  schema: z.ZodType<T>,
  amend: (values: unknown) => unknown = values => values,
): Result<ParsedConfig<T>, ConfigError[]> {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0)
    return err(document.errors.map(error => new ConfigError('', withoutSource(error.message), file, at(error.pos[0]))));
  const locate: Locate = keys => {
    const offset = offsetOf(document, keys);
    return offset === undefined ? undefined : at(offset);
  };
  const stray = strayAlias(document);
  if (stray !== undefined)
    return err([new ConfigError('', 'an alias (*name) has no anchor (&name) before it', file, at(stray))]);
  const values = valuesOf(document);
  if (!values.ok) return err([new ConfigError('', values.error, file)]);
  const checked = schema.safeParse(amend(values.value));
  if (checked.success) return ok({ value: checked.data, locate });
  return err(
    checked.error.issues
      .flatMap(issue => explainIssue(issue, schema))
      .map(({ path, reason }) => new ConfigError(pathText(path), reason, file, locate(path))),
  );
}

/** Some mistakes (of YAML 1.1's merge keys) show only here, and as exceptions. */
function valuesOf(document: Document): Result<unknown, string> {
  try {
    return ok(document.toJS({ maxAliasCount: -1 }) ?? {});
  } catch (error) {
    return err(withoutSource(error instanceof Error ? error.message : String(error)));
  }
}

/** Messages of the YAML parser may end with the text they complain of, which may be somebody's key. */
function withoutSource(message: string): string {
  return message.replace(/(?<=\S): .*$/s, '');
}

/** Offset of the first alias that stands for nothing; to the parser such a file is well-formed. */
function strayAlias(document: Document): number | undefined {
  let found: number | undefined;
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) !== undefined) return undefined;
      found = alias.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return found;
}

/** The offset of what is at a path (of the key, in a map), or of the nearest thing around it. */
function offsetOf(document: Document, keys: readonly PropertyKey[]): number | undefined {
  for (let length = keys.length; length >= 0; length--) {
    const start = keyStart(document, keys.slice(0, length)) ?? nodeStart(document.getIn(keys.slice(0, length), true));
    if (start !== undefined) return start;
  }
  return undefined;
}

function keyStart(document: Document, keys: readonly PropertyKey[]): number | undefined {
  const parent = document.getIn(keys.slice(0, -1), true);
  const pair = isMap(parent)
    ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(keys.at(-1)))
    : undefined;
  return nodeStart(pair?.key);
}

function nodeStart(node: unknown): number | undefined {
  return (node as { readonly range?: readonly number[] } | null | undefined)?.range?.[0];
}
