/** The API server as a source of objects: all kinds together, told in batches, with what hinders it as problems. Impure. */

import { Observable } from 'rxjs';
import { systemClock, type Clock } from '../../core/clock.js';
import type { Kind } from '../objectTypes.js';
import type { ObjectChange } from '../objectBatch.js';
import type { ObjectKey } from '../objects.js';
import type { Problem } from '../problems.js';
import type { ApiConnection } from './apiConnection.js';
import type { SourceEvent } from './folder.js';
import { ReflectedObjects } from './reflectedObjects.js';
import { startReflector } from './reflector.js';

export interface ApiServerOptions {
  readonly connection: ApiConnection;
  readonly kinds: readonly Kind[];
  /** Of kinds of which only some objects are wanted. */
  readonly fieldSelectors?: Readonly<Partial<Record<Kind, string>>>;
  readonly clock?: Clock;
  /** 0 <= x < 1, for jitter. */
  readonly random?: () => number;
  /** For metrics: a kind was listed in full, or could not be followed. */
  readonly counters?: { listed(kind: Kind): void; hindered(kind: Kind): void };
}

/**
 * Reflects the kinds for as long as somebody subscribes. `synced` comes with the batch that completes the first lists of
 * all. Never fails and never completes: a server that is away is a problem, not an end.
 */
export function apiServerObjects({
  connection,
  kinds,
  fieldSelectors = {},
  clock = systemClock,
  random = Math.random,
  counters,
}: ApiServerOptions): Observable<SourceEvent> {
  return new Observable(subscriber => {
    const reflected = kinds.map(kind => ({ kind, objects: new ReflectedObjects(kind) }));
    const waiting = new Set(kinds);
    const hindrances = new Map<string, readonly Problem[]>();
    let isSyncDue = false;
    const tell = (): void => {
      const changes = new Map<ObjectKey, ObjectChange>();
      const problems = new Map(hindrances);
      hindrances.clear();
      for (const { objects } of reflected) {
        const taken = objects.take();
        for (const [key, change] of taken?.changes ?? []) changes.set(key, change);
        for (const [owner, found] of taken?.problems ?? []) problems.set(owner, found);
      }
      const synced = isSyncDue;
      isSyncDue = false;
      if (changes.size > 0 || problems.size > 0 || synced) subscriber.next({ batch: { changes, synced }, problems });
    };
    const stops = reflected.map(({ kind, objects }) =>
      startReflector({
        kind,
        fieldSelector: fieldSelectors[kind],
        connection,
        objects,
        clock,
        random,
        events: {
          changed: tell,
          listed: () => counters?.listed(kind),
          synced: () => {
            waiting.delete(kind);
            if (waiting.size > 0) return;
            isSyncDue = true;
            tell();
          },
          hindered: text => {
            if (text !== undefined) counters?.hindered(kind);
            hindrances.set(`API server ${kind}`, text === undefined ? [] : [hindrance(connection.server, kind, text)]);
            tell();
          },
        },
      }),
    );
    return () => stops.forEach(stop => stop());
  });
}

function hindrance(server: string, kind: Kind, text: string): Problem {
  return {
    subject: `API server ${server}`,
    text: `objects of kind ${kind} cannot be followed: ${text}; what is known stays in force`,
  };
}
