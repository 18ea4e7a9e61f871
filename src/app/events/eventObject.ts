/** What is wrong with a Service as a Kubernetes Event (events.k8s.io/v1), for who looks at it with `kubectl describe`. Pure. */

import { createHash } from 'node:crypto';

export interface Complaint {
  /** `namespace/name`. */
  readonly service: string;
  /** A word for machines, such as AddressConflict. */
  readonly reason: string;
  readonly text: string;
  /** It is about this node: others have nothing to say of it. Else every node knows, and one is enough to say it. */
  readonly isLocal: boolean;
}

export interface EventOrigin {
  readonly node: string;
  /** Of the Service: what kubectl looks for. */
  readonly uid: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The API's limit, in octets. */
const LONGEST_NOTE = 1024;
const LONGEST_INSTANCE = 128;
const CONTROLLER = 'peerage.io/service-proxy';

/** @returns path to post to, and the object. The same complaint has the same name, whoever tells it whenever. */
export function eventOf(
  complaint: Complaint,
  origin: EventOrigin,
): { readonly path: string; readonly body: Readonly<Record<string, unknown>> } {
  const [namespace = '', name = ''] = complaint.service.split('/');
  const body = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: nameOf(name, complaint, origin), namespace },
    // Go wants six digits.
    eventTime: new Date(origin.at).toISOString().replace('Z', '000Z'),
    reportingController: CONTROLLER,
    reportingInstance: `peerage-${origin.node}`.slice(0, LONGEST_INSTANCE),
    action: complaint.isLocal ? 'Listen' : 'Serve',
    reason: complaint.reason,
    regarding: { apiVersion: 'v1', kind: 'Service', namespace, name, uid: origin.uid },
    note: shortened(complaint.isLocal ? `Node ${origin.node}: ${complaint.text}` : complaint.text),
    type: 'Warning',
  };
  return { path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, body };
}

function nameOf(service: string, { reason, text, isLocal }: Complaint, { node, uid }: EventOrigin): string {
  const what = JSON.stringify([uid, reason, text, isLocal ? node : '']);
  return `${service}.${createHash('sha256').update(what).digest('hex').slice(0, 16)}`;
}

function shortened(note: string): string {
  const octets = Buffer.from(note);
  if (octets.length <= LONGEST_NOTE) return note;
  // A character that is cut in two becomes a replacement character, which is three octets long.
  return `${octets.subarray(0, LONGEST_NOTE - 6).toString()}…`;
}
