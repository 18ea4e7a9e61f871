/** What the service proxy tells the cluster of its Services, as Events. Impure: it asks the API server. */

import type { Regarded } from './eventObject.js';
import { createObjectEvents, type ObjectEvents, type ObjectEventsOptions } from './objectEvents.js';

export type ServiceEvents = ObjectEvents;

export interface ServiceEventsOptions extends Omit<ObjectEventsOptions, 'uidOf' | 'regarded' | 'controller' | 'what'> {
  /** Undefined: there is no such Service (any more). @param service `namespace/name` */
  readonly uidOf: (service: string) => string | undefined;
}

const SUBJECT = 'Service ';

export function createServiceEvents({ uidOf, ...options }: ServiceEventsOptions): ServiceEvents {
  return createObjectEvents({
    ...options,
    controller: 'peerage.io/service-proxy',
    what: 'services',
    regarded: serviceOf,
    uidOf: ({ namespace = '', name }) => uidOf(`${namespace}/${name}`),
  });
}

function serviceOf(subject: string): Regarded | undefined {
  if (!subject.startsWith(SUBJECT)) return undefined;
  const [namespace = '', name = ''] = subject.slice(SUBJECT.length).split('/');
  return { apiVersion: 'v1', kind: 'Service', namespace, name };
}
