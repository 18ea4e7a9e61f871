/** The Lease of an election in a cluster: the machine of election.ts with requests and timers. Impure. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { isRecord } from '../../kube/objects.js';
import {
  candidate,
  elect,
  ELECTION_TIMES,
  mayAct,
  type ElectionAction,
  type ElectionEvent,
  type ElectionTimes,
  type LeaseRecord,
} from './election.js';

export interface LeaseOptions {
  readonly writer: ApiWriter;
  readonly namespace: string;
  readonly name: string;
  /** Of this candidate; the same after a restart, so that it goes on at once. */
  readonly identity: string;
  readonly clock: Clock;
  /** The wall clock, in milliseconds. */
  readonly wallClock?: () => number;
  /** 0 <= x < 1. */
  readonly random?: () => number;
  /** Milliseconds between two looks at a Lease that somebody else renews. */
  readonly pace: () => number;
  readonly times?: ElectionTimes;
  readonly leading: (isLeading: boolean) => void;
  /** What hinders the election; undefined: nothing any more. */
  readonly hindered: (text: string | undefined) => void;
}

export interface RunningElection {
  /** Whether we hold the Lease at this moment: to be asked before every act. */
  mayAct(): boolean;
  /** Gives the Lease back if we hold it. Never fails: it runs out by itself. */
  stop(): Promise<void>;
}

const NOT_FOUND = 404;
const API = 'coordination.k8s.io/v1';

export function runElection(options: LeaseOptions): RunningElection {
  const { writer, namespace, name, clock, random = Math.random, wallClock = Date.now } = options;
  const { times = ELECTION_TIMES, pace, leading, hindered } = options;
  const collection = `/apis/${API}/namespaces/${namespace}/leases`;
  let state = candidate(options.identity, times);
  /** The object as the server has it: labels and annotations that others gave it stay. */
  let object: Readonly<Record<string, unknown>> = {};
  let timer: TimerHandle | undefined;
  let deadline: TimerHandle | undefined;
  let lastRequest: Promise<void> = Promise.resolve();

  const step = (event: ElectionEvent): void => {
    const moment = { now: clock.now(), wall: wallClock(), random: random(), pace: pace() };
    const { state: next, actions } = elect(state, event, moment);
    state = next;
    for (const action of actions) run(action);
  };
  const ask = async (request: () => Promise<unknown>, done: (record: LeaseRecord) => ElectionEvent): Promise<void> => {
    let event: ElectionEvent;
    try {
      const json = await request();
      event = done(recordOf(json));
      object = isRecord(json) ? json : {};
    } catch (error) {
      event = eventOf(error, done);
    }
    step(event);
  };
  const read = (): Promise<void> =>
    ask(
      () => writer.ask('GET', `${collection}/${name}`, undefined, { timeout: times.deadline }),
      record => ({ kind: 'read', record }),
    );
  const write = (record: LeaseRecord): Promise<void> =>
    ask(
      () => {
        const isNew = record.version === '';
        const lease = leaseOf(
          isNew ? { apiVersion: API, kind: 'Lease', metadata: { name, namespace } } : object,
          record,
        );
        const path = isNew ? collection : `${collection}/${name}`;
        return writer.ask(isNew ? 'POST' : 'PUT', path, lease, { timeout: times.deadline });
      },
      record => ({ kind: 'written', record }),
    );
  const run = (action: ElectionAction): void => {
    switch (action.kind) {
      case 'read':
        lastRequest = read();
        return;
      case 'write':
        lastRequest = write(action.record);
        return;
      case 'wait':
        timer = clock.setTimeout(() => step({ kind: 'timer' }), action.milliseconds);
        return;
      case 'hold':
        deadline?.cancel();
        deadline = clock.setTimeout(() => step({ kind: 'deadline' }), action.until - clock.now());
        return;
      case 'lead': {
        leading(action.isLeading);
        return;
      }
      case 'report': {
        hindered(action.text);
        return;
      }
    }
  };

  step({ kind: 'timer' });
  return {
    mayAct: () => mayAct(state, clock.now()),
    stop: async () => {
      timer?.cancel();
      deadline?.cancel();
      step({ kind: 'release' });
      await lastRequest;
    },
  };
}

/** A Lease that is not there is an answer to who reads it, and a failure to who replaces it. */
function eventOf(error: unknown, done: (record: LeaseRecord) => ElectionEvent): ElectionEvent {
  const { status, message } = error instanceof ApiError ? error : { status: undefined, message: String(error) };
  if (status === NOT_FOUND && done(NOBODYS).kind === 'read') return { kind: 'read', record: undefined };
  return { kind: 'failed', status, text: message };
}

const NOBODYS: LeaseRecord = { holder: '', duration: 0, acquired: '', renewed: '', transitions: 0, version: '' };

/** @throws Error when it is none */
export function recordOf(json: unknown): LeaseRecord {
  const metadata = isRecord(json) ? json['metadata'] : undefined;
  if (!isRecord(json) || !isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string')
    throw new ApiError(undefined, 'the server answered with something that is no Lease');
  const spec = isRecord(json['spec']) ? json['spec'] : {};
  const text = (key: string): string => (typeof spec[key] === 'string' ? spec[key] : '');
  const number = (key: string): number => (typeof spec[key] === 'number' ? spec[key] : 0);
  return {
    holder: text('holderIdentity'),
    duration: number('leaseDurationSeconds') * 1000,
    acquired: text('acquireTime'),
    renewed: text('renewTime'),
    transitions: number('leaseTransitions'),
    version: metadata['resourceVersion'],
  };
}

/** The object with another record in it. */
function leaseOf(object: Readonly<Record<string, unknown>>, record: LeaseRecord): Readonly<Record<string, unknown>> {
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  const { holder, duration, acquired, renewed, transitions, version } = record;
  return {
    ...object,
    metadata: { ...metadata, ...(version === '' ? {} : { resourceVersion: version }) },
    spec: {
      ...(holder === '' ? {} : { holderIdentity: holder }),
      leaseDurationSeconds: Math.ceil(duration / 1000),
      ...(acquired === '' ? {} : { acquireTime: acquired }),
      renewTime: renewed,
      leaseTransitions: transitions,
    },
  };
}
