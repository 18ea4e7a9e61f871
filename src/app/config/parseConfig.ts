/** From YAML (or JSON) text to a checked configuration; every mistake with file, line, column and path. */

import { LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { closest } from '../../core/closest.js';
import { err, ok, type Result } from '../../core/result.js';
import { ConfigError, pathText, type Position } from './configError.js';

/** Where the value at a path stands in a parsed file. */
export type Locate = (keys: readonly PropertyKey[]) => Position | undefined;

export interface ParsedConfig<T> {
  readonly value: T;
  readonly locate: Locate;
}

/** Parses and checks the shape. @returns all mistakes found, not just the first */
export function parseConfig<T>(
  source: string,
  file: string,
  schema: z.ZodType<T>,
): Result<ParsedConfig<T>, ConfigError[]> {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0)
    return err(document.errors.map(error => new ConfigError('', error.message, file, at(error.pos[0]))));
  const locate: Locate = keys => {
    const offset = offsetOf(document, keys);
    return offset === undefined ? undefined : at(offset);
  };
  const checked = schema.safeParse(document.toJS() ?? {});
  if (checked.success) return ok({ value: checked.data, locate });
  return err(checked.error.issues.flatMap(issue => explainIssue(issue, schema, file, locate)));
}

/** The offset of the value at a path, or of the nearest thing around it. */
function offsetOf(document: Document, keys: readonly PropertyKey[]): number | undefined {
  for (let length = keys.length; length >= 0; length--) {
    const node = document.getIn(keys.slice(0, length), true) as
      { readonly range?: readonly [number, number, number] } | undefined;
    const start = node?.range?.[0];
    if (start !== undefined) return start;
  }
  return undefined;
}

function explainIssue(issue: z.core.$ZodIssue, schema: z.ZodType, file: string, locate: Locate): ConfigError[] {
  const position = (keys: readonly PropertyKey[]): Position | undefined => locate(keys);
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map(key => {
      const keys = [...issue.path, key];
      const hint = closest(key, known);
      return new ConfigError(
        pathText(keys),
        `unknown key${hint === undefined ? '' : `; did you mean "${hint}"?`}`,
        file,
        position(keys),
      );
    });
  }
  if (issue.code === 'invalid_union') {
    // Of the alternatives, the one that came furthest says best what is wrong.
    const branches = [...issue.errors].sort((a, b) => depth(b) - depth(a));
    const best = branches[0];
    if (best !== undefined && depth(best) > 0)
      return best.flatMap(inner =>
        explainIssue({ ...inner, path: [...issue.path, ...inner.path] }, schema, file, locate),
      );
    const wanted = [...new Set(issue.errors.flat().map(inner => inner.message))].join('; or ');
    return [new ConfigError(pathText(issue.path), wanted, file, position(issue.path))];
  }
  return [new ConfigError(pathText(issue.path), issue.message, file, position(issue.path))];
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(issue => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
}

/** Keys that the schema allows at a path; none when it cannot tell. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let current: unknown = schema;
  for (const key of path) {
    current = step(unwrap(current), key);
    if (current === undefined) return [];
  }
  const found = unwrap(current);
  return shapeOf(found) === undefined ? [] : Object.keys(shapeOf(found) ?? {});
}

interface Definition {
  readonly innerType?: unknown;
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly element?: unknown;
  readonly valueType?: unknown;
  readonly options?: readonly unknown[];
}

function definition(schema: unknown): Definition {
  return (schema as { readonly def?: Definition } | undefined)?.def ?? {};
}

function shapeOf(schema: unknown): Readonly<Record<string, unknown>> | undefined {
  const { shape, options } = definition(schema);
  return shape ?? options?.map(option => definition(unwrap(option)).shape).find(s => s !== undefined);
}

function unwrap(schema: unknown): unknown {
  const { innerType } = definition(schema);
  return innerType === undefined ? schema : unwrap(innerType);
}

function step(schema: unknown, key: PropertyKey): unknown {
  const { element, valueType } = definition(schema);
  return typeof key === 'number' ? element : (shapeOf(schema)?.[String(key)] ?? valueType);
}
