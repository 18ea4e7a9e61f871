/** What is wrong with an object as a Kubernetes Event (events.k8s.io/v1), for who looks at it with `kubectl describe`. Pure. */

import { createHash } from 'node:crypto';

/** What an Event is about. */
export interface Regarded {
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined: it is in none. */
  readonly namespace: string | undefined;
  readonly name: string;
}

export interface Complaint {
  readonly object: Regarded;
  /** A word for machines, such as AddressConflict. */
  readonly reason: string;
  readonly text: string;
  /** It is about this node: others have nothing to say of it. Else every node knows, and one is enough to say it. */
  readonly isLocal: boolean;
}

export interface EventOrigin {
  readonly node: string;
  /** Which part of us says it. */
  readonly controller: string;
  /** Of the object: what kubectl looks for. */
  readonly uid: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The API's limit, in octets. */
const LONGEST_NOTE = 1024;
const LONGEST_INSTANCE = 128;
/** Of Events about objects that are in no namespace: the API wants it so. */
const NO_NAMESPACE = 'default';

/** @returns path to post to, and the object. The same complaint has the same name, whoever tells it whenever. */
export function eventOf(
  complaint: Complaint,
  origin: EventOrigin,
): { readonly path: string; readonly body: Readonly<Record<string, unknown>> } {
  const { object, isLocal, reason, text } = complaint;
  const namespace = object.namespace ?? NO_NAMESPACE;
  const body = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: nameOf(object, complaint, origin), namespace },
    // Go wants six digits.
    eventTime: new Date(origin.at).toISOString().replace('Z', '000Z'),
    reportingController: origin.controller,
    reportingInstance: `peerage-${origin.node}`.slice(0, LONGEST_INSTANCE),
    action: ACTIONS[object.kind]?.(isLocal) ?? 'Enforce',
    reason,
    regarding: { ...object, uid: origin.uid },
    note: shortened(isLocal ? `Node ${origin.node}: ${text}` : text),
    type: 'Warning',
  };
  return { path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, body };
}

/** What was to be done for the object, where that is not to enforce what it says. */
const ACTIONS: Readonly<Record<string, (isLocal: boolean) => string>> = {
  Service: isLocal => (isLocal ? 'Listen' : 'Serve'),
};

function nameOf({ name }: Regarded, { reason, text, isLocal }: Complaint, { node, uid }: EventOrigin): string {
  const what = JSON.stringify([uid, reason, text, isLocal ? node : '']);
  return `${name}.${createHash('sha256').update(what).digest('hex').slice(0, 16)}`;
}

function shortened(note: string): string {
  const octets = Buffer.from(note);
  if (octets.length <= LONGEST_NOTE) return note;
  // A character that is cut in two becomes a replacement character, which is three octets long.
  return `${octets.subarray(0, LONGEST_NOTE - 6).toString()}…`;
}
