/** The few pieces that the graph is made of. What RxJS is for, and what not, stands in ARCHITECTURE.md. */

import {
  asyncScheduler,
  filter,
  map,
  Observable,
  observeOn,
  queueScheduler,
  share,
  Subject,
  take,
  type MonoTypeOperatorFunction,
  type OperatorFunction,
  type SchedulerLike,
  type Subscription,
} from 'rxjs';

/** A stage threw: a bug of ours, named by its stage. The process ends, and its successor adopts what is in the kernel. */
export class StageError extends Error {
  override readonly name = 'StageError';
  constructor(
    readonly stage: string,
    cause: unknown,
  ) {
    super(`stage "${stage}" failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** One reducer with one owner of its state. An answer of undefined goes no further. */
export function stage<I, O>(name: string, reduce: (input: I) => O | undefined): OperatorFunction<I, O> {
  return source =>
    source.pipe(
      map(input => {
        try {
          return reduce(input);
        } catch (error) {
          throw new StageError(name, error);
        }
      }),
      filter(output => output !== undefined),
    );
}

/** Where a branch of the graph ends. */
export function sink<I>(name: string, consume: (input: I) => unknown): OperatorFunction<I, never> {
  return stage<I, never>(name, input => {
    consume(input);
    return undefined;
  });
}

export interface Inbox<T> {
  send(value: T): void;
  readonly stream: Observable<T>;
}

/** The one way in. What is sent while a value is on its way waits for its turn, so that every reader sees the order sent. */
export function newInbox<T>(): Inbox<T> {
  const subject = new Subject<T>();
  return {
    send: value => {
      subject.next(value);
    },
    stream: subject.pipe(observeOn(queueScheduler), share()),
  };
}

/**
 * Lets the first value through at once and gathers what follows within `window` milliseconds into one; as long as values
 * keep coming, one leaves every `window`.
 */
export function gather<T>(
  merge: (values: readonly T[]) => T,
  window: number,
  scheduler: SchedulerLike = asyncScheduler,
): MonoTypeOperatorFunction<T> {
  return source =>
    new Observable(subscriber => {
      let waiting: T[] = [];
      let timer: Subscription | undefined;
      const release = (): void => {
        timer = undefined;
        const values = waiting;
        waiting = [];
        if (values.length > 0) pass(merge(values));
      };
      const pass = (value: T): void => {
        timer = scheduler.schedule(release, window);
        subscriber.next(value);
      };
      const input = source.subscribe({
        next: value => {
          if (timer === undefined) pass(value);
          else waiting.push(value);
        },
        error: (error: unknown) => {
          subscriber.error(error);
        },
        complete: () => {
          if (waiting.length > 0) subscriber.next(merge(waiting));
          subscriber.complete();
        },
      });
      return () => {
        input.unsubscribe();
        timer?.unsubscribe();
      };
    });
}

/** Holds values back until the signal comes, then lets the latest through and all that follow. */
export function holdUntil<T>(signal: Observable<unknown>): MonoTypeOperatorFunction<T> {
  return source =>
    new Observable(subscriber => {
      let held: { readonly value: T } | undefined;
      let isOpen = false;
      const gate = signal.pipe(take(1)).subscribe(() => {
        isOpen = true;
        if (held !== undefined) subscriber.next(held.value);
        held = undefined;
      });
      const input = source.subscribe({
        next: value => {
          if (isOpen) subscriber.next(value);
          else held = { value };
        },
        error: (error: unknown) => {
          subscriber.error(error);
        },
        complete: () => {
          subscriber.complete();
        },
      });
      return () => {
        gate.unsubscribe();
        input.unsubscribe();
      };
    });
}
