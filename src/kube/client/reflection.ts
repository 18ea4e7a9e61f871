/**
 * When to list, when to watch and how long to wait: the state machine of one kind's reflection, pure.
 *
 * A list is streamed where the server offers it (KEP-3157: a watch that begins with everything there is), and comes in
 * pages elsewhere. A watch goes on from the last resource version; only a server that has forgotten it (410 Gone) makes
 * us list again, and then what is known stays in force until the new list is complete.
 */

/** Milliseconds before the first retry; it doubles from then on. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** Until it is looked whether a server has a kind by now that it had not: after an upgrade. */
const ABSENT_WAIT = 600_000;
/** Refusals of a watch in a row until its version, or the kind itself, counts as gone. */
const LOST_AFTER = 3;
/** HTTP statuses that matter here. */
const FORBIDDEN = 403;
const NOT_FOUND = 404;
const GONE = 410;
/**
 * Statuses that say nothing of streamed lists: who we are, when to come again, who is away. Any other refusal may mean
 * that this server has none: old ones say 400 or 422, and ones with an old etcd 500. Pages always work.
 */
const UNRELATED: readonly number[] = [401, FORBIDDEN, GONE, 429, 502, 503, 504];

export interface ReflectionState {
  /** Not every server has this kind, or lets us read it: then there are none, as far as anybody waits for them. */
  readonly isOptional: boolean;
  readonly phase: 'idle' | 'streaming' | 'paging' | 'watching' | 'waiting';
  /** The server has not refused a streamed list yet. */
  readonly canStream: boolean;
  /** Failures since the last sign of life. */
  readonly failures: number;
  /** Where a watch goes on; undefined: a list is due. */
  readonly version: string | undefined;
  /** The server said anything since the present request began. */
  readonly heard: boolean;
}

export type ReflectionEvent =
  | { readonly kind: 'start' }
  /** A page is complete. @param next continue token, undefined after the last page */
  | { readonly kind: 'page'; readonly next: string | undefined; readonly version: string }
  /** The server said that all initial objects of a streamed list were sent. */
  | { readonly kind: 'initialEnd'; readonly version: string }
  /** An object or a bookmark of a watch. */
  | { readonly kind: 'progress'; readonly version: string }
  /** The server ended a watch in order. */
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'failed';
      /** HTTP status, or the code of an ERROR event; undefined: there was no answer. */
      readonly status: number | undefined;
      readonly text: string;
      /** Milliseconds the server asks us to wait. */
      readonly retryAfter?: number;
      /** The connection stood, and for minutes nothing came: not even a bookmark. */
      readonly isSilent?: boolean;
    }
  | { readonly kind: 'timer' };

export type ReflectionAction =
  /** What comes now is everything: what is not in it is gone once `endSnapshot` comes. */
  | { readonly kind: 'beginSnapshot' }
  | { readonly kind: 'endSnapshot' }
  /** Nobody shall wait for the first list. What is known stays. */
  | { readonly kind: 'forgo' }
  | { readonly kind: 'stream' }
  | { readonly kind: 'page'; readonly next: string | undefined }
  | { readonly kind: 'watch'; readonly version: string }
  | { readonly kind: 'wait'; readonly milliseconds: number }
  /** What hinders us; undefined: nothing any more. */
  | { readonly kind: 'report'; readonly text: string | undefined };

export interface ReflectionStep {
  readonly state: ReflectionState;
  readonly actions: readonly ReflectionAction[];
}

export const INITIAL_REFLECTION: ReflectionState = {
  isOptional: false,
  phase: 'idle',
  canStream: true,
  failures: 0,
  version: undefined,
  heard: false,
};

/** @param random 0 <= x < 1, for jitter: a fleet of agents must not come back in step */
export function reflect(state: ReflectionState, event: ReflectionEvent, random: () => number): ReflectionStep {
  switch (event.kind) {
    case 'start':
    case 'timer':
      return state.version === undefined ? list(state) : watch(state, state.version);
    case 'page':
      return pageDone(state, event.next, event.version);
    case 'initialEnd':
      return {
        state: { ...alive(state), phase: 'watching', version: event.version },
        actions: [{ kind: 'endSnapshot' }, ...cleared(state)],
      };
    case 'progress':
      return {
        // Versions of a list that is not complete are no place to go on from.
        state: { ...alive(state), version: state.phase === 'watching' ? event.version : state.version },
        actions: cleared(state),
      };
    case 'ended':
      return ended(state, random);
    case 'failed':
      return failed(state, event, random);
  }
}

function list(state: ReflectionState): ReflectionStep {
  const phase = state.canStream ? 'streaming' : 'paging';
  const request: ReflectionAction = state.canStream ? { kind: 'stream' } : { kind: 'page', next: undefined };
  return {
    state: { ...state, phase, version: undefined, heard: false },
    actions: [{ kind: 'beginSnapshot' }, request],
  };
}

function watch(state: ReflectionState, version: string): ReflectionStep {
  return { state: { ...state, phase: 'watching', version, heard: false }, actions: [{ kind: 'watch', version }] };
}

function pageDone(state: ReflectionState, next: string | undefined, version: string): ReflectionStep {
  if (next !== undefined) return { state: alive(state), actions: [{ kind: 'page', next }, ...cleared(state)] };
  const watching = watch(alive(state), version);
  return { ...watching, actions: [{ kind: 'endSnapshot' }, ...watching.actions, ...cleared(state)] };
}

/** A watch that ends in order is begun again at once; one that ends without a word every time is a failure. */
function ended(state: ReflectionState, random: () => number): ReflectionStep {
  if (state.phase === 'watching' && state.heard && state.version !== undefined) return watch(state, state.version);
  return failed(state, { status: undefined, text: 'the server ended its answer early' }, random);
}

function failed(
  state: ReflectionState,
  {
    status,
    text,
    retryAfter,
    isSilent = false,
  }: Pick<Extract<ReflectionEvent, { readonly kind: 'failed' }>, 'status' | 'text' | 'retryAfter' | 'isSilent'>,
  random: () => number,
): ReflectionStep {
  const isListing = state.phase === 'streaming' || state.phase === 'paging';
  if (state.isOptional && isListing && status === NOT_FOUND) return absent(state, random);
  const isRefusal = status !== undefined && !UNRELATED.includes(status);
  if (state.phase === 'streaming' && isRefusal) return list({ ...state, canStream: false });
  // A server whose history has gone back (etcd restored from a backup) takes our version for one of the future, and says
  // nothing until it has come to it.
  const isOfTheFuture = isSilent && !state.heard && state.failures > 0;
  const isLost = status === GONE || isOfTheFuture || (isRefusal && state.failures >= LOST_AFTER);
  const version = isLost || state.phase !== 'watching' ? undefined : state.version;
  // The first time, a version that is gone is no failure of anybody: it is what happens after a long silence.
  if (status === GONE && state.failures === 0) return list({ ...state, failures: 1 });
  const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** state.failures) * (0.5 + random() / 2);
  return {
    state: { ...state, phase: 'waiting', version, failures: state.failures + 1 },
    actions: [
      { kind: 'report', text },
      ...(state.isOptional && status === FORBIDDEN ? [{ kind: 'forgo' } as const] : []),
      { kind: 'wait', milliseconds: Math.max(wait, retryAfter ?? 0) },
    ],
  };
}

/** The server has no such kind, which is all there is to know. */
function absent(state: ReflectionState, random: () => number): ReflectionStep {
  return {
    state: { ...alive(state), phase: 'waiting', version: undefined },
    actions: [{ kind: 'endSnapshot' }, ...cleared(state), { kind: 'wait', milliseconds: ABSENT_WAIT * (1 + random()) }],
  };
}

function alive(state: ReflectionState): ReflectionState {
  return { ...state, failures: 0, heard: true };
}

function cleared(state: ReflectionState): readonly ReflectionAction[] {
  return state.failures > 0 ? [{ kind: 'report', text: undefined }] : [];
}
