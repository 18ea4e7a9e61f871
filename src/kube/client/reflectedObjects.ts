/** The objects of one kind as an API server tells them: which are in force, and what changes with each word of it. */

import { isDeepStrictEqual } from 'node:util';
import type { ObjectChange } from '../objectBatch.js';
import type { Kind, KubeObject } from '../objectTypes.js';
import { CLOSED, describe, keyOf, parseItem, type BadObject, type ObjectKey } from '../objects.js';
import type { Problem } from '../problems.js';

export interface Reflected {
  readonly changes: ReadonlyMap<ObjectKey, ObjectChange>;
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

/**
 * Takes in objects and hands out what changed since the last `take`. A bad object keeps its last good state in force,
 * and costs nobody else anything.
 */
export class ReflectedObjects {
  private readonly objects = new Map<ObjectKey, KubeObject>();
  /** Keys whose last state could not be used. */
  private readonly bad = new Set<ObjectKey>();
  /** Of these no good state is known: what is in force is all of them that can be read. */
  private readonly standIns = new Set<ObjectKey>();
  /** Keys seen in the list under way; undefined: none is under way. */
  private seen: Set<ObjectKey> | undefined;
  private changes = new Map<ObjectKey, ObjectChange>();
  private problems = new Map<string, readonly Problem[]>();

  constructor(private readonly kind: Kind) {}

  get size(): number {
    return this.objects.size;
  }

  beginSnapshot(): void {
    this.seen = new Set();
  }

  /** What the complete list did not have is gone. */
  endSnapshot(): void {
    const { seen } = this;
    this.seen = undefined;
    if (seen === undefined) return;
    for (const key of [...this.objects.keys(), ...this.bad]) if (!seen.has(key)) this.remove(key);
  }

  /** @param json an object that is there, new or changed */
  put(json: unknown): void {
    const parsed = parseItem(this.kind, json);
    if (!parsed.ok) {
      this.complain(parsed.error);
      return;
    }
    const object = parsed.value;
    const key = keyOf(object);
    this.seen?.add(key);
    this.standIns.delete(key);
    if (this.bad.delete(key)) this.problems.set(owner(key), []);
    this.keep(key, object);
  }

  private keep(key: ObjectKey, object: KubeObject): void {
    const before = this.objects.get(key);
    // Most updates touch only fields that nobody here uses.
    if (before !== undefined && isDeepStrictEqual(before, object)) return;
    this.objects.set(key, object);
    this.note(key, before === undefined ? { change: 'added', object } : { change: 'changed', object });
  }

  /** @param json the last state of an object that is gone */
  delete(json: unknown): void {
    const parsed = parseItem(this.kind, json);
    const key = parsed.ok ? keyOf(parsed.value) : parsed.error.key;
    if (key !== undefined) this.remove(key);
  }

  /** @returns what changed since last time; undefined: nothing */
  take(): Reflected | undefined {
    if (this.changes.size === 0 && this.problems.size === 0) return undefined;
    const { changes, problems } = this;
    this.changes = new Map();
    this.problems = new Map();
    return { changes, problems };
  }

  private hasGoodState(key: ObjectKey): boolean {
    return this.objects.has(key) && !this.standIns.has(key);
  }

  private remove(key: ObjectKey): void {
    this.standIns.delete(key);
    if (this.bad.delete(key)) this.problems.set(owner(key), []);
    const object = this.objects.get(key);
    if (object === undefined) return;
    this.objects.delete(key);
    this.note(key, { change: 'deleted', object });
  }

  private complain({ key, text, standIn }: BadObject): void {
    // Without a name nothing can be kept apart: there is one such complaint at a time.
    if (key === undefined) {
      this.problems.set('objects without a name', [{ subject: 'an object of the API server', text }]);
      return;
    }
    this.seen?.add(key);
    this.bad.add(key);
    if (standIn !== undefined && !this.hasGoodState(key)) {
      this.standIns.add(key);
      this.keep(key, standIn);
    }
    const held = this.objects.get(key);
    const subject = held === undefined ? key.replace('/', ' ') : describe(held);
    const said = text.startsWith(`${subject}: `) ? text.slice(subject.length + 2) : text;
    const consequence = this.standIns.has(key)
      ? CLOSED
      : held === undefined
        ? 'it is left out'
        : 'its last good state stays in force';
    this.problems.set(owner(key), [{ subject, text: `${said}; ${consequence}`, reason: 'NotUnderstood' }]);
  }

  /** An object that came and went, or went and came back, since the last `take` is told as what that amounts to. */
  private note(key: ObjectKey, change: ObjectChange): void {
    const earlier = this.changes.get(key);
    const existed = earlier === undefined ? change.change !== 'added' : earlier.change !== 'added';
    if (change.change === 'deleted') {
      if (existed) this.changes.set(key, change);
      else this.changes.delete(key);
    } else this.changes.set(key, { change: existed ? 'changed' : 'added', object: change.object });
  }
}

function owner(key: ObjectKey): string {
  return `object ${key}`;
}
