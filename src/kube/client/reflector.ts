/** Reflects one kind of object of an API server: the machine of reflection.ts with requests and timers. Impure. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { Kind } from '../objectTypes.js';
import { isRecord } from '../objects.js';
import { readList, readWatchEvent, type WatchEvent } from './answers.js';
import type { AnswerEvents, ApiConnection, ApiRequest } from './apiConnection.js';
import type { ReflectedObjects } from './reflectedObjects.js';
import { INITIAL_REFLECTION, reflect, type ReflectionAction, type ReflectionEvent } from './reflection.js';

/** Objects in one page of a list. */
const PAGE = 500;
/** Seconds after which the server shall end a watch; each draws its own between one and two times as much. */
const WATCH_TIME = 300;
/** Milliseconds of silence after which an answer counts as dead. A watch has a bookmark about once a minute. */
const LIST_SILENCE = 60_000;
const WATCH_SILENCE = 150_000;
/** Annotation of the bookmark that ends the initial objects of a streamed list (KEP-3157). */
const INITIAL_END = 'k8s.io/initial-events-end';

/** Where the API server has each kind. Whoever runs the agent needs the right to list and watch them (deploy/rbac.yaml). */
export const PATHS: { readonly [K in Kind]: string } = {
  Node: '/api/v1/nodes',
  Namespace: '/api/v1/namespaces',
  Service: '/api/v1/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/endpointslices',
  Pod: '/api/v1/pods',
  NetworkPolicy: '/apis/networking.k8s.io/v1/networkpolicies',
  ClusterNetworkPolicy: '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies',
  ServiceCIDR: '/apis/networking.k8s.io/v1/servicecidrs',
};

/** Kinds that older servers have not, and that older roles do not let us read. */
const OPTIONAL: readonly Kind[] = ['ServiceCIDR', 'ClusterNetworkPolicy'];

export interface ReflectorOptions {
  readonly kind: Kind;
  /** Only objects for which this holds (Kubernetes' field selector); undefined: all. */
  readonly fieldSelector?: string | undefined;
  readonly connection: ApiConnection;
  readonly objects: ReflectedObjects;
  readonly clock: Clock;
  /** 0 <= x < 1. */
  readonly random: () => number;
  readonly events: ReflectorEvents;
}

export interface ReflectorEvents {
  /** The objects may have changed. Called once for what came together. */
  changed(): void;
  /** A list is complete. */
  listed(): void;
  /** The first list is complete. */
  synced(): void;
  /** What hinders the reflection; undefined: nothing any more. */
  hindered(text: string | undefined): void;
}

/** Begins to reflect. @returns a function that ends it */
export function startReflector(options: ReflectorOptions): () => void {
  const { kind, fieldSelector, connection, objects, clock, random, events } = options;
  const selected: Readonly<Record<string, string>> = fieldSelector === undefined ? {} : { fieldSelector };
  let state = { ...INITIAL_REFLECTION, isOptional: OPTIONAL.includes(kind) };
  let request: ApiRequest | undefined;
  let timer: TimerHandle | undefined;
  let isSynced = false;
  let stopped = false;

  const step = (event: ReflectionEvent): void => {
    if (stopped) return;
    const { state: next, actions } = reflect(state, event, random);
    state = next;
    for (const action of actions) run(action);
  };
  const synced = (): void => {
    if (!isSynced) events.synced();
    isSynced = true;
  };
  const run = (action: ReflectionAction): void => {
    switch (action.kind) {
      case 'beginSnapshot': {
        objects.beginSnapshot();
        return;
      }
      case 'endSnapshot':
        objects.endSnapshot();
        events.changed();
        events.listed();
        synced();
        return;
      case 'forgo': {
        synced();
        return;
      }
      case 'stream': {
        watch({ sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' });
        return;
      }
      case 'page': {
        page(action.next);
        return;
      }
      case 'watch': {
        watch({ resourceVersion: action.version });
        return;
      }
      case 'wait':
        timer = clock.setTimeout(() => step({ kind: 'timer' }), action.milliseconds);
        return;
      case 'report': {
        events.hindered(action.text);
        return;
      }
    }
  };
  const ask = (query: Readonly<Record<string, string>>, silence: number, answer: Partial<AnswerEvents>): void => {
    request?.cancel();
    request = connection.get(`${PATHS[kind]}?${new URLSearchParams({ ...selected, ...query }).toString()}`, silence, {
      ended: () => undefined,
      failed: failure => step({ kind: 'failed', ...failure }),
      ...answer,
    });
  };
  const page = (next: string | undefined): void =>
    ask({ limit: String(PAGE), ...(next === undefined ? {} : { continue: next }) }, LIST_SILENCE, {
      body: (octets, encoding) => {
        const list = readList(kind, octets, encoding);
        if (typeof list === 'string') {
          step({ kind: 'failed', status: undefined, text: list });
          return;
        }
        for (const item of list.items) objects.put(item);
        events.changed();
        step({ kind: 'page', next: list.next, version: list.version });
      },
    });
  const watch = (query: Readonly<Record<string, string>>): void => {
    const seconds = Math.round(WATCH_TIME * (1 + random()));
    const always = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(seconds) };
    ask({ ...always, ...query }, WATCH_SILENCE, {
      event: (octets, encoding) => {
        const event = takeEvent(readWatchEvent(kind, octets, encoding), objects);
        // An ERROR event is the last word of this watch, whatever the server sends after it.
        if (event.kind === 'failed') request?.cancel();
        step(event);
      },
      readDone: () => events.changed(),
      ended: () => step({ kind: 'ended' }),
    });
  };

  step({ kind: 'start' });
  return () => {
    stopped = true;
    request?.cancel();
    timer?.cancel();
  };
}

/** Takes an event of a watch into the objects. @returns what it means for the reflection */
function takeEvent(event: WatchEvent | undefined, objects: ReflectedObjects): ReflectionEvent {
  if (event === undefined) return failure('the server sent something that is no event');
  const { type, object } = event;
  if (type === 'ERROR') {
    const { code, message } = object;
    return {
      kind: 'failed',
      status: typeof code === 'number' ? code : undefined,
      text: typeof message === 'string' ? message : 'the server ended the watch with an error',
    };
  }
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  const { resourceVersion, annotations } = metadata;
  if (typeof resourceVersion !== 'string') return failure('the server sent an event without a version');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      objects.put(object);
      break;
    case 'DELETED':
      objects.delete(object);
      break;
    case 'BOOKMARK':
      if (isRecord(annotations) && annotations[INITIAL_END] === 'true')
        return { kind: 'initialEnd', version: resourceVersion };
      break;
    default:
      return failure(`the server sent an event of an unknown type, ${JSON.stringify(type)}`);
  }
  return { kind: 'progress', version: resourceVersion };
}

function failure(text: string): ReflectionEvent {
  return { kind: 'failed', status: undefined, text };
}
