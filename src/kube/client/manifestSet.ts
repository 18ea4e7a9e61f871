/** The objects of a folder of manifests, file by file: which are in force, and what changes when one file does. */

import { isDeepStrictEqual } from 'node:util';
import type { Result } from '../../core/result.js';
import type { ObjectChange } from '../objectBatch.js';
import type { KubeObject } from '../objectTypes.js';
import { CLOSED, keyOf, type ObjectKey } from '../objects.js';
import type { Problem, ProblemReport } from '../problems.js';
import type { FileComplaint, ParsedManifest } from './manifestFile.js';

/** What one file's new text means. */
export interface ManifestDelta {
  readonly changes: ReadonlyMap<ObjectKey, ObjectChange>;
  readonly problems: ProblemReport;
}

export interface ManifestSet {
  /**
   * Puts a file's new content in place of its old one.
   * @param path relative to the folder; of two files with one object, the one whose path sorts first wins
   * @param parsed undefined when the file is gone. A file that does not parse, and an object that cannot be read, keep
   *   what was in force before: a slip of the pen shall not take a node off the network.
   */
  replace(path: string, parsed: Result<ParsedManifest, FileComplaint> | undefined): ManifestDelta;
}

interface Held {
  readonly object: KubeObject;
  readonly line: number;
  /** No good state is known of it: it is what can be read of a bad one. */
  readonly isStandIn?: boolean;
}
type FileObjects = ReadonlyMap<ObjectKey, Held>;

export function createManifestSet(): ManifestSet {
  const files = new Map<string, FileObjects>();
  /** Paths that hold an object, sorted: the first is in force. */
  const holders = new Map<ObjectKey, readonly string[]>();
  const inForce = (key: ObjectKey): KubeObject | undefined => {
    const [winner] = holders.get(key) ?? [];
    return winner === undefined ? undefined : files.get(winner)?.get(key)?.object;
  };
  const store = (path: string, objects: FileObjects, touched: ReadonlySet<ObjectKey>): void => {
    for (const key of touched) {
      const others = (holders.get(key) ?? []).filter(holder => holder !== path);
      const now = objects.has(key) ? [...others, path].sort() : others;
      if (now.length === 0) holders.delete(key);
      else holders.set(key, now);
    }
    if (objects.size === 0) files.delete(path);
    else files.set(path, objects);
  };
  return {
    replace: (path, parsed) => {
      const before = files.get(path) ?? new Map<ObjectKey, Held>();
      const { objects, problems } = readFile(path, before, parsed);
      const touched = new Set([...before.keys(), ...objects.keys()]);
      const old = new Map([...touched].map(key => [key, inForce(key)]));
      store(path, objects, touched);
      const changes = [...touched].flatMap(key => changeOf(key, old.get(key), inForce(key)));
      const places = (key: ObjectKey): readonly string[] =>
        (holders.get(key) ?? []).map(holder => `${holder}:${files.get(holder)?.get(key)?.line ?? 1}`);
      const duplicates = [...touched].map(key => [`duplicate ${key}`, duplicateProblems(key, places(key))] as const);
      return { changes: new Map(changes), problems: new Map([[`file ${path}`, problems], ...duplicates]) };
    },
  };
}

function changeOf(
  key: ObjectKey,
  before: KubeObject | undefined,
  after: KubeObject | undefined,
): readonly (readonly [ObjectKey, ObjectChange])[] {
  if (after === undefined) return before === undefined ? [] : [[key, { change: 'deleted', object: before }]];
  if (before === undefined) return [[key, { change: 'added', object: after }]];
  return isDeepStrictEqual(before, after) ? [] : [[key, { change: 'changed', object: after }]];
}

function readFile(
  path: string,
  before: FileObjects,
  parsed: Result<ParsedManifest, FileComplaint> | undefined,
): { readonly objects: FileObjects; readonly problems: readonly Problem[] } {
  if (parsed === undefined) return { objects: new Map(), problems: [] };
  if (!parsed.ok) return { objects: before, problems: [problemOf(path, parsed.error, earlierObjects(before.size))] };
  const objects = new Map<ObjectKey, Held>();
  const problems: Problem[] = [];
  for (const held of parsed.value.objects) {
    const key = keyOf(held.object);
    const first = objects.get(key);
    if (first === undefined) objects.set(key, held);
    else problems.push(...duplicateProblems(key, [`${path}:${first.line}`, `${path}:${held.line}`]));
  }
  for (const complaint of parsed.value.bad) {
    const { key } = complaint;
    const kept = key === undefined || objects.has(key) ? undefined : heldFor(complaint, before.get(key));
    if (key !== undefined && kept !== undefined) objects.set(key, kept);
    problems.push(problemOf(path, complaint, consequenceOf(kept)));
  }
  return { objects, problems };
}

/** The last good state, or else what can be read of a bad one. */
function heldFor({ standIn, line }: FileComplaint, last: Held | undefined): Held | undefined {
  if (standIn === undefined || (last !== undefined && last.isStandIn !== true)) return last;
  return { object: standIn, line, isStandIn: true };
}

function earlierObjects(count: number): string {
  if (count === 0) return '';
  return count === 1 ? '; its last good state stays in force' : `; its ${count} earlier objects stay in force`;
}

function consequenceOf(kept: Held | undefined): string {
  if (kept === undefined) return '';
  return kept.isStandIn === true ? `; ${CLOSED}` : '; its last good state stays in force';
}

function problemOf(path: string, complaint: FileComplaint, consequence: string): Problem {
  return { subject: `${path}:${complaint.line}`, text: `${complaint.text}${consequence}` };
}

function duplicateProblems(key: ObjectKey, places: readonly string[]): readonly Problem[] {
  const [first, ...others] = places;
  if (first === undefined || others.length === 0) return [];
  const subject = key.replace('/', ' ');
  return [{ subject, text: `is in ${others.join(' and ')} as well as in ${first}, which is the one in force` }];
}
