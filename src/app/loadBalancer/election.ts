/**
 * Which of many agents gives out addresses: one candidate for a Lease (coordination.k8s.io/v1) as a state machine, pure.
 *
 * A candidate takes the Lease over only when it has itself watched it unchanged for as long as it lasts, on a clock that
 * nobody sets; who holds it ceases to act before that, counted from when it *asked* for the renewal. So there are never two
 * at a time, whatever the wall clocks of the machines say.
 */

/** A Lease, as far as an election needs it. */
export interface LeaseRecord {
  /** Empty: nobody. */
  readonly holder: string;
  /** Milliseconds. */
  readonly duration: number;
  /** RFC 3339; empty where it was never held. */
  readonly acquired: string;
  readonly renewed: string;
  /** How often the holder changed. */
  readonly transitions: number;
  /** resourceVersion; empty for a record that is to be created. */
  readonly version: string;
}

/** Milliseconds; kube-router's values and those of the cluster's own controllers (15, 10 and 2 s). */
export interface ElectionTimes {
  /** How long a Lease lasts without renewal. */
  readonly duration: number;
  /** How long its holder acts without having renewed it. */
  readonly deadline: number;
  readonly retry: number;
}
export const ELECTION_TIMES: ElectionTimes = { duration: 15_000, deadline: 10_000, retry: 2000 };

export interface ElectionState {
  readonly identity: string;
  readonly times: ElectionTimes;
  /** Undefined: it is not known whether there is one. */
  readonly observed: LeaseRecord | undefined;
  /** When the record became what it is, as we saw it. */
  readonly observedAt: number;
  readonly isLeading: boolean;
  /** A holder acts before this time only. */
  readonly until: number;
  /** When the request under way was sent. */
  readonly askedAt: number;
  readonly isHindered: boolean;
  readonly isOver: boolean;
}

export type ElectionEvent =
  /** The wait is over, also the one before the first request. */
  | { readonly kind: 'timer' }
  /** @param record undefined: there is no such Lease */
  | { readonly kind: 'read'; readonly record: LeaseRecord | undefined }
  | { readonly kind: 'written'; readonly record: LeaseRecord }
  /** @param status HTTP status; undefined: no answer */
  | { readonly kind: 'failed'; readonly status: number | undefined; readonly text: string }
  /** The time a holder may act without renewal has passed. */
  | { readonly kind: 'deadline' }
  /** We go: the next one shall not have to wait. */
  | { readonly kind: 'release' };

export type ElectionAction =
  | { readonly kind: 'read' }
  /** Creates the Lease if its version is empty; otherwise replaces that version only. */
  | { readonly kind: 'write'; readonly record: LeaseRecord }
  | { readonly kind: 'wait'; readonly milliseconds: number }
  /** @param until time of the deadline, for whoever begins or goes on to hold the Lease */
  | { readonly kind: 'hold'; readonly until: number }
  | { readonly kind: 'lead'; readonly isLeading: boolean }
  /** What hinders us; undefined: nothing any more. */
  | { readonly kind: 'report'; readonly text: string | undefined };

/** What an event comes with. */
export interface ElectionMoment {
  /** Milliseconds of a monotonic clock. */
  readonly now: number;
  /** Milliseconds of the wall clock: written into the Lease for people, and a hint when to look again; nothing hangs on it. */
  readonly wall: number;
  /** 0 <= x < 1, for jitter. */
  readonly random: number;
  /** Milliseconds between two looks at a Lease that somebody else renews. */
  readonly pace: number;
}

export interface ElectionStep {
  readonly state: ElectionState;
  readonly actions: readonly ElectionAction[];
}

const CONFLICT = 409;
const NOT_FOUND = 404;
/** Milliseconds that a released Lease lasts: the field takes no less than a second. */
const RELEASED = 1000;

export function candidate(identity: string, times: ElectionTimes = ELECTION_TIMES): ElectionState {
  return {
    identity,
    times,
    observed: undefined,
    observedAt: 0,
    isLeading: false,
    until: 0,
    askedAt: 0,
    isHindered: false,
    isOver: false,
  };
}

/** Whether a candidate holds the Lease at this very moment: to be asked before every act, for events may be late. */
export function mayAct({ isLeading, until }: ElectionState, now: number): boolean {
  return isLeading && now < until;
}

export function elect(state: ElectionState, event: ElectionEvent, moment: ElectionMoment): ElectionStep {
  if (state.isOver) return { state, actions: [] };
  switch (event.kind) {
    case 'timer':
      return state.isLeading && state.observed !== undefined ? claim(state, moment) : read(state, moment);
    case 'read':
      return seen(state, event.record, moment);
    case 'written':
      return written(state, event.record, moment);
    case 'failed':
      return failed(state, event, moment);
    case 'deadline':
      return state.isLeading && moment.now >= state.until ? lose(state, []) : { state, actions: [] };
    case 'release':
      return release(state, moment);
  }
}

function read(state: ElectionState, { now }: ElectionMoment): ElectionStep {
  return { state: { ...state, askedAt: now }, actions: [{ kind: 'read' }] };
}

/** Takes the Lease, or renews it. */
function claim(state: ElectionState, { now, wall }: ElectionMoment): ElectionStep {
  const { identity, observed, times } = state;
  const isOurs = observed?.holder === identity;
  const record: LeaseRecord = {
    holder: identity,
    duration: times.duration,
    acquired: isOurs ? observed.acquired : microTime(wall),
    renewed: microTime(wall),
    transitions: observed === undefined ? 0 : observed.transitions + (isOurs ? 0 : 1),
    version: observed?.version ?? '',
  };
  return { state: { ...state, askedAt: now }, actions: [{ kind: 'write', record }] };
}

function seen(before: ElectionState, record: LeaseRecord | undefined, moment: ElectionMoment): ElectionStep {
  const isNews = record?.version !== before.observed?.version;
  const state = { ...before, observed: record, ...(isNews ? { observedAt: moment.now } : {}) };
  if (record === undefined || record.holder === '' || record.holder === state.identity) return claim(state, moment);
  if (state.isLeading) return lose(state, [{ kind: 'wait', milliseconds: moment.pace }]);
  const left = state.observedAt + lasts(record, state) - moment.now;
  if (left <= 0) return claim(state, moment);
  return cleared(state, [{ kind: 'wait', milliseconds: patience(record, left, state, moment) }]);
}

/**
 * A Lease that looks expired is looked at again as soon as it can be taken over. Others are left alone for long: thousands of
 * candidates share the work of looking, and one of them is early enough.
 */
function patience(
  record: LeaseRecord,
  left: number,
  state: ElectionState,
  { wall, random, pace }: ElectionMoment,
): number {
  const age = wall - Date.parse(record.renewed);
  if (!(age <= lasts(record, state))) return left + random * state.times.retry;
  return pace * (0.5 + random);
}

function lasts({ duration }: LeaseRecord, { times }: ElectionState): number {
  return duration > 0 ? duration : times.duration;
}

function written(state: ElectionState, record: LeaseRecord, { now }: ElectionMoment): ElectionStep {
  const until = state.askedAt + state.times.deadline;
  const held = { ...state, observed: record, observedAt: now, until };
  const wait: ElectionAction = { kind: 'wait', milliseconds: state.times.retry };
  // An answer that took longer than we may act on it is good for nothing but its version.
  if (now >= until) return state.isLeading ? lose(held, [wait]) : { state: held, actions: [wait] };
  const begun: readonly ElectionAction[] = state.isLeading ? [] : [{ kind: 'lead', isLeading: true }];
  return cleared({ ...held, isLeading: true }, [{ kind: 'hold', until }, ...begun, wait]);
}

function failed(
  state: ElectionState,
  { status, text }: { readonly status: number | undefined; readonly text: string },
  moment: ElectionMoment,
): ElectionStep {
  // Somebody was faster, or somebody deleted it: look at once what there is.
  if (status === CONFLICT || status === NOT_FOUND) return read(state, moment);
  return {
    state: { ...state, isHindered: true },
    actions: [
      { kind: 'report', text },
      { kind: 'wait', milliseconds: retryWait(state, moment) },
    ],
  };
}

/** Who holds the Lease has little time; for others, a server in trouble is not to be asked by everybody at once. */
function retryWait({ isLeading, times }: ElectionState, { random, pace }: ElectionMoment): number {
  return isLeading ? times.retry : Math.max(times.retry, pace) * (0.5 + random);
}

function lose(state: ElectionState, actions: readonly ElectionAction[]): ElectionStep {
  return { state: { ...state, isLeading: false }, actions: [{ kind: 'lead', isLeading: false }, ...actions] };
}

function release(state: ElectionState, { wall }: ElectionMoment): ElectionStep {
  const over = { ...state, isOver: true, isLeading: false };
  if (!state.isLeading || state.observed === undefined) return { state: over, actions: [] };
  const record = { ...state.observed, holder: '', duration: RELEASED, renewed: microTime(wall) };
  return {
    state: over,
    actions: [
      { kind: 'lead', isLeading: false },
      { kind: 'write', record },
    ],
  };
}

function cleared(state: ElectionState, actions: readonly ElectionAction[]): ElectionStep {
  if (!state.isHindered) return { state, actions };
  return { state: { ...state, isHindered: false }, actions: [{ kind: 'report', text: undefined }, ...actions] };
}

/** Kubernetes' MicroTime. */
function microTime(wall: number): string {
  return new Date(wall).toISOString().replace('Z', '000Z');
}
