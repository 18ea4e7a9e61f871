/** What zod found wrong, in words for the person who wrote the file. Never shows a value: it may be a key. Pure. */

import type { z } from 'zod';
import { closest } from '../../core/closest.js';

export interface Explanation {
  readonly path: readonly PropertyKey[];
  readonly reason: string;
}

type Issue = z.core.$ZodIssue;

/** One mistake may come to several sentences: each unknown key has its own place. */
export function explainIssue(issue: Issue, schema: z.ZodType): Explanation[] {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map(key => ({ path: [...issue.path, key], reason: unknownKey(key, known) }));
  }
  if (issue.code === 'invalid_union') return explainUnion(issue, schema);
  return [{ path: issue.path, reason: reasonOf(issue) }];
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = closest(key, known);
  return near === undefined ? 'unknown key' : `unknown key; did you mean "${near}"?`;
}

/** Of the alternatives, the one that came furthest says best what is wrong. */
function explainUnion(issue: Extract<Issue, { code: 'invalid_union' }>, schema: z.ZodType): Explanation[] {
  const branches = [...issue.errors].sort((a, b) => depth(b) - depth(a));
  const furthest = branches[0];
  if (furthest !== undefined && depth(furthest) > 0)
    return furthest.flatMap(inner => explainIssue({ ...inner, path: [...issue.path, ...inner.path] }, schema));
  // An alternative of the right type, which only the value fails, is what was meant; that one of them is a word says nothing.
  const said = issue.errors.flat().filter(inner => !isEmptyText(inner));
  const typed = said.filter(inner => inner.code !== 'invalid_type');
  const wanted = new Set((typed.some(inner => inner.code !== 'invalid_value') ? typed : said).map(reasonOf));
  return [{ path: issue.path, reason: [...wanted].join(', or ') }];
}

/** Where leaving a text empty is allowed too, nobody meant to. */
function isEmptyText(issue: Issue): boolean {
  return issue.code === 'invalid_value' && issue.values.every(value => value === '');
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map(issue => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
}

function reasonOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.message.endsWith('received undefined')) return 'is missing';
      return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return isSized(issue.origin) ? 'must not be empty' : `must be at least ${String(issue.minimum)}`;
    case 'too_big':
      return isSized(issue.origin)
        ? `must not be longer than ${String(issue.maximum)}`
        : `must be at most ${String(issue.maximum)}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'invalid_key':
      return issue.issues.map(reasonOf).join(', ');
    default:
      return issue.message;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'a map of keys and values',
  record: 'a map of keys and values',
  array: 'a list',
};

function isSized(origin: string): boolean {
  return origin === 'string' || origin === 'array';
}

/** Keys that the schema allows at a path; none when it cannot tell. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let current: unknown = schema;
  for (const key of path) {
    current = step(unwrap(current), key);
    if (current === undefined) return [];
  }
  return Object.keys(shapeOf(unwrap(current)) ?? {});
}

/** What zod keeps of a schema, as far as a path can lead through it. */
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
