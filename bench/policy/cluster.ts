/** The cluster of the benchmark: namespaces with pods and policies, of which one node has a few pods. Deterministic. */

import type { ObjectBatch, ObjectChange } from '../../src/kube/objectBatch.js';
import { keyOf, parseObject, type ObjectKey } from '../../src/kube/objects.js';
import type { KubeObject } from '../../src/kube/objectTypes.js';

export const NODE = 'node-0';
/** Where pods of the node may send to, besides each other. */
export const OUTSIDE = '198.18.0.0/15';

export interface ClusterSize {
  readonly policies: number;
  readonly pods: number;
  /** Pods of the node that is measured. */
  readonly local: number;
}

const NAMESPACES = 500;
/** Of the cluster, besides the one that is measured. */
const OTHER_NODES = 499;
const APPS = 10;
/** Which of the apps is a front: it may talk to all. */
const FRONT = 3;
/** Rounds of apps that are left for fronts that come later. */
const LATER = 40;
/** Namespaces that share a label. */
const TEAMS = 50;

/** All objects, as an API server would send them. @throws Error when one is no object: a mistake here */
export function wholeCluster({ policies, pods, local }: ClusterSize): ObjectBatch {
  const json: object[] = [{ apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } }];
  for (let n = 0; n < NAMESPACES; n++) json.push(namespaceJson(n));
  const stride = Math.floor(pods / local);
  for (let i = 0; i < pods; i++) {
    const isLocal = i % stride === 0 && i / stride < local;
    json.push(podJson(i, isLocal ? NODE : otherNode(i)));
  }
  for (let i = 0; i < policies; i++) json.push(policyJson(i));
  return batchOf('added', json);
}

/** Where a pod that comes later goes: as many to the node that is measured as to each other one, of different namespaces. */
export function anyNode(i: number): string {
  const shifted = i + 37 * Math.floor(i / NAMESPACES);
  return shifted % (OTHER_NODES + 1) === 0 ? NODE : otherNode(i);
}

function otherNode(i: number): string {
  return `node-${1 + (i % OTHER_NODES)}`;
}

/** The pod of this number. @param node where it runs */
export function addedPod(i: number, node: string): ObjectBatch {
  return batchOf('added', [podJson(i, node)]);
}
/** The same, gone again. */
export function deletedPod(i: number, node: string): ObjectBatch {
  return batchOf('deleted', [podJson(i, node)]);
}

/** Number of the i-th front after all pods that there are: rules of this node let it in. */
export function laterFront(i: number, pods: number): number {
  const places = Math.ceil(pods / NAMESPACES / APPS) * APPS + Math.floor(i / NAMESPACES) * APPS;
  return NAMESPACES * (places + FRONT) + (i % NAMESPACES);
}

/** Number of a pod, after all that there are, of the namespace and app of a pod that the node has. */
export function alikeLocal(i: number, { pods, local }: ClusterSize): number {
  const like = (i % local) * Math.floor(pods / local);
  const rounds = Math.ceil(pods / NAMESPACES / APPS) + LATER + Math.floor(i / local);
  return like + NAMESPACES * APPS * rounds;
}

export function podAddress(i: number): string {
  return `10.${64 + (i >>> 16)}.${(i >>> 8) & 255}.${i & 255}`;
}

function batchOf(change: ObjectChange['change'], json: readonly object[]): ObjectBatch {
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const one of json) {
    const object = parsed(one);
    changes.set(keyOf(object), { change, object });
  }
  return { changes, synced: true };
}

function parsed(json: object): KubeObject {
  const object = parseObject(json);
  if (!object.ok || object.value === undefined) throw new Error(object.ok ? 'no object' : object.error.text);
  return object.value;
}

function namespaceJson(n: number): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns-${n}`, labels: { team: `t${n % TEAMS}` } } };
}

function podJson(i: number, nodeName: string): object {
  const n = i % NAMESPACES;
  const place = Math.floor(i / NAMESPACES);
  const labels = { app: `a${place % APPS}`, tier: place % APPS === FRONT ? 'front' : 'back' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: `ns-${n}`, name: `pod-${i}`, labels },
    spec: { nodeName, containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 8080 }] }] },
    status: { phase: 'Running', podIPs: [{ ip: podAddress(i) }] },
  };
}

/** Fronts of all namespaces, an app of one team's namespaces, and a block with a hole in it; outwards, to where it may. */
function policyJson(i: number): object {
  const n = i % NAMESPACES;
  const place = Math.floor(i / NAMESPACES);
  const ingress = [
    {
      from: [{ namespaceSelector: {}, podSelector: { matchLabels: { tier: 'front' } } }],
      ports: [{ protocol: 'TCP', port: 'web' }],
    },
    {
      from: [
        {
          namespaceSelector: { matchLabels: { team: `t${(n + place) % TEAMS}` } },
          podSelector: { matchLabels: { app: `a${place % APPS}` } },
        },
        { ipBlock: { cidr: `172.${16 + (place % 16)}.0.0/16`, except: [`172.${16 + (place % 16)}.${n % 256}.0/24`] } },
      ],
      ports: [{ protocol: 'TCP', port: 8000 + place, endPort: 8010 + place }],
    },
  ];
  const egress = [{ to: [{ ipBlock: { cidr: OUTSIDE } }] }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: `ns-${n}`, name: `policy-${i}` },
    spec: {
      podSelector: { matchLabels: { app: `a${place % APPS}` } },
      policyTypes: ['Ingress', 'Egress'],
      ingress,
      egress,
    },
  };
}
