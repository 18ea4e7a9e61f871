/**
 * What the agent tells the cluster, as Events, of objects that say who may talk to whom, where from and how much: policies, and
 * the annotations of namespaces and pods. Impure: it asks the API server.
 */

import { ApiError } from '../../kube/client/apiConnection.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { Regarded } from './eventObject.js';
import { createObjectEvents, type ObjectEvents, type ObjectEventsOptions } from './objectEvents.js';

export type PolicyEventsOptions = Omit<ObjectEventsOptions, 'uidOf' | 'regarded' | 'controller' | 'what' | 'nodes'>;

export interface PolicyEvents extends Pick<ObjectEvents, 'stop'> {
  /** Takes the owners' problems in place of what they said before; only what has a reason and is about these kinds is told. */
  take(found: ProblemReport): void;
  /** Nodes share the telling. */
  nodesChanged(batch: ObjectBatch): void;
}

interface Kind {
  readonly apiVersion: string;
  /** Before the namespace, and after it. */
  readonly path: readonly [group: string, plural: string];
  readonly isNamespaced: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  NetworkPolicy: {
    apiVersion: 'networking.k8s.io/v1',
    path: ['/apis/networking.k8s.io/v1', 'networkpolicies'],
    isNamespaced: true,
  },
  ClusterNetworkPolicy: {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    path: ['/apis/policy.networking.k8s.io/v1alpha2', 'clusternetworkpolicies'],
    isNamespaced: false,
  },
  Namespace: { apiVersion: 'v1', path: ['/api/v1', 'namespaces'], isNamespaced: false },
  Pod: { apiVersion: 'v1', path: ['/api/v1', 'pods'], isNamespaced: true },
};

const NOT_FOUND = 404;

export function createPolicyEvents(options: PolicyEventsOptions): PolicyEvents {
  const nodes = new Set<string>();
  const events = createObjectEvents({
    ...options,
    nodes: () => nodes,
    controller: 'peerage.io/agent',
    what: 'policies and annotations',
    regarded,
    uidOf: object => uidOf(options.writer, object),
  });
  return {
    // Of a pod its own node knows, and nobody else.
    take: found => {
      const [ofPods, ofOthers] = parted(found);
      events.take(ofPods, true);
      events.take(ofOthers, false);
    },
    nodesChanged: batch => {
      for (const { change, object } of changesOf(batch, 'Node'))
        if (change === 'deleted') nodes.delete(object.name);
        else nodes.add(object.name);
    },
    stop: () => events.stop(),
  };
}

/** Owners keep to one kind of object, so that none is in both. */
function parted(found: ProblemReport): readonly [ProblemReport, ProblemReport] {
  const isOfPods = (owner: string): boolean => owner.startsWith('bandwidth ');
  const entries = [...found];
  return [
    new Map(entries.filter(([owner]) => isOfPods(owner))),
    new Map(entries.filter(([owner]) => !isOfPods(owner))),
  ];
}

function regarded(subject: string): Regarded | undefined {
  const space = subject.indexOf(' ');
  const kind = subject.slice(0, space);
  const known = KINDS[kind];
  if (known === undefined) return undefined;
  const words = subject.slice(space + 1).split('/');
  if (words.length !== (known.isNamespaced ? 2 : 1)) return undefined;
  const name = words.at(-1) ?? '';
  return { apiVersion: known.apiVersion, kind, namespace: known.isNamespaced ? words[0] : undefined, name };
}

/** Asked when it is told, by who tells it: to keep it of every pod and namespace would cost memory on every node. */
async function uidOf(
  writer: PolicyEventsOptions['writer'],
  { kind, namespace, name }: Regarded,
): Promise<string | undefined> {
  const [group = '', plural = ''] = KINDS[kind]?.path ?? [];
  const inside = namespace === undefined ? '' : `/namespaces/${namespace}`;
  try {
    const { metadata } = (await writer.ask('GET', `${group}${inside}/${plural}/${name}`)) as {
      readonly metadata?: { readonly uid?: string };
    };
    return metadata?.uid;
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND) return undefined;
    throw error;
  }
}
