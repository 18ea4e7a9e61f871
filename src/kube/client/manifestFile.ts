/** The text of one manifest file to objects: every form that kubectl prints or takes, YAML and JSON, with the line of what is wrong. */

import { LineCounter, parseAllDocuments, isMap, isSeq, type Document, type Node as YamlNode } from 'yaml';
import { err, ok, type Result } from '../../core/result.js';
import type { KubeObject } from '../objectTypes.js';
import { isRecord, parseObject, type BadObject } from '../objects.js';

/** Something in the file that cannot be used, and where. */
export interface FileComplaint extends BadObject {
  /** 1 is the first line. */
  readonly line: number;
}

export interface ParsedManifest<T = KubeObject> {
  /** In the file's order, with the line each begins at. */
  readonly objects: readonly { readonly object: T; readonly line: number }[];
  readonly bad: readonly FileComplaint[];
}

/** One object before it is read. */
interface RawObject {
  readonly json: unknown;
  readonly line: number;
}

/**
 * Reads a file: single objects, several YAML documents, `kind: List` (also within itself).
 * @returns the objects and the complaints about single ones; an error when the text as a whole is no YAML or JSON, or
 *   when there is nothing in it at all, which is what a file looks like between `>` and the first octets
 */
export function parseManifest(text: string): Result<ParsedManifest, FileComplaint> {
  return readManifest(text, parseObject);
}

/** What one object's JSON comes to; undefined: it is of no use. */
export type ObjectReader<T> = (json: unknown) => Result<T | undefined, BadObject>;

/** The same for readers of other kinds than the agent's. */
export function readManifest<T>(text: string, read: ObjectReader<T>): Result<ParsedManifest<T>, FileComplaint> {
  if (text.trim() === '') return err({ key: undefined, line: 1, text: 'the file is empty' });
  const quick = parseJson(text, read);
  if (quick !== undefined && quick.bad.length === 0) return ok(quick);
  return parseYaml(text, read);
}

/** JSON parses far faster than YAML but knows no lines: good for files in which nothing is wrong. */
function parseJson<T>(text: string, read: ObjectReader<T>): ParsedManifest<T> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return readAll(
      flatten(JSON.parse(text) as unknown, () => 1),
      read,
    );
  } catch {
    return undefined;
  }
}

function parseYaml<T>(text: string, read: ObjectReader<T>): Result<ParsedManifest<T>, FileComplaint> {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const documents = Array.isArray(parsed) ? parsed : [];
  for (const document of documents) {
    const [error] = document.errors;
    if (error !== undefined) {
      return err({ key: undefined, line: lines.linePos(error.pos[0]).line, text: error.message });
    }
  }
  try {
    return ok(
      readAll(
        documents.flatMap(document => rawObjectsOf(document, lines)),
        read,
      ),
    );
  } catch (error) {
    // The library refuses a document whose aliases multiply (a "billion laughs").
    if (error instanceof ReferenceError) return err({ key: undefined, line: 1, text: error.message });
    throw error;
  }
}

function rawObjectsOf(document: Document.Parsed, lines: LineCounter): readonly RawObject[] {
  const json: unknown = document.toJS();
  // A document of comments only, as between two separators.
  if (json === null || json === undefined) return [];
  return flatten(json, path => {
    const found = path.length === 0 ? document.contents : document.getIn(path, true);
    return lineOf(found, lines) ?? lineOf(document.contents, lines) ?? 1;
  });
}

function lineOf(node: unknown, lines: LineCounter): number | undefined {
  if (!isMap(node) && !isSeq(node)) return undefined;
  const start = (node as YamlNode).range?.[0];
  return start === undefined ? undefined : lines.linePos(start).line;
}

type Path = readonly (string | number)[];

/** Opens Lists, also typed ones such as NodeList; their items may leave out kind and apiVersion. */
function flatten(json: unknown, lineAt: (path: Path) => number, path: Path = []): readonly RawObject[] {
  if (!isRecord(json)) return [{ json, line: lineAt(path) }];
  const { kind, apiVersion, items } = json;
  if (typeof kind !== 'string' || !kind.endsWith('List')) return [{ json, line: lineAt(path) }];
  // Go prints an empty list as null.
  if (!Array.isArray(items)) return items === null || items === undefined ? [] : [{ json: items, line: lineAt(path) }];
  const itemKind = kind === 'List' ? {} : { kind: kind.slice(0, -'List'.length), apiVersion };
  return items.flatMap((item: unknown, index) =>
    flatten(isRecord(item) ? { ...itemKind, ...item } : item, lineAt, [...path, 'items', index]),
  );
}

function readAll<T>(raw: readonly RawObject[], read: ObjectReader<T>): ParsedManifest<T> {
  const objects: { object: T; line: number }[] = [];
  const bad: FileComplaint[] = [];
  for (const { json, line } of raw) {
    const parsed = read(json);
    if (!parsed.ok) bad.push({ ...parsed.error, line });
    else if (parsed.value !== undefined) objects.push({ object: parsed.value, line });
  }
  return { objects, bad };
}
