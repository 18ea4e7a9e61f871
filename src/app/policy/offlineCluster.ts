/** A folder of manifests as a cluster to ask questions about: read once, with the place of every object. Impure. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../../core/result.js';
import { listFiles } from '../../kube/client/folder.js';
import { readManifest } from '../../kube/client/manifestFile.js';
import type { ObjectChange } from '../../kube/objectBatch.js';
import { keyOf, type ObjectKey } from '../../kube/objects.js';
import type { EndpointSlice, KubeObject, Pod } from '../../kube/objectTypes.js';
import { readOfflineObject, type OfflineObject } from '../../kube/offlineObjects.js';
import type { Problem } from '../../kube/problems.js';
import { createPolicyModel } from '../../policy/policyModel.js';
import type { KnownService, PolicyCluster } from './policyCluster.js';

export interface OfflineCluster extends PolicyCluster {
  /** What could not be used: answers may be wrong for want of it. */
  readonly problems: readonly Problem[];
}

interface Placed {
  readonly found: OfflineObject;
  readonly place: string;
}

/** @returns an error when there is no such folder, or nothing in it */
export async function loadOfflineCluster(directory: string): Promise<Result<OfflineCluster, string>> {
  const listed = await listFiles(directory);
  if (!listed.ok) return err(`--manifests ${directory}: ${listed.error.message}`);
  if (listed.value.length === 0) return err(`--manifests ${directory}: has no *.yaml, *.yml or *.json`);
  const placed: Placed[] = [];
  const problems: Problem[] = [];
  for (const path of listed.value) {
    const file = readManifest(await readFile(join(directory, path), 'utf8'), readOfflineObject);
    if (!file.ok) {
      problems.push({ subject: `${path}:${file.error.line}`, text: file.error.text });
      continue;
    }
    for (const { object, line } of file.value.objects) placed.push({ found: object, place: `${path}:${line}` });
    for (const { line, text } of file.value.bad) problems.push({ subject: `${path}:${line}`, text });
  }
  return ok(clusterOf(placed, problems));
}

/** A line each, for people. */
export function warningsOf({ problems }: OfflineCluster): readonly string[] {
  return problems.map(({ subject, text }) => `${subject}: ${text}`);
}

/** @param problems those found so far; others join them */
function clusterOf(placed: readonly Placed[], problems: Problem[]): OfflineCluster {
  const changes = new Map<ObjectKey, ObjectChange>();
  const sources = new Map<ObjectKey, string>();
  const services = new Map<string, KnownService>();
  const add = (object: KubeObject, place: string): boolean => {
    const key = keyOf(object);
    const first = sources.get(key);
    if (first !== undefined) {
      problems.push({
        subject: place,
        text: `${key.replace('/', ' ')} is in ${first} already, which is the one that counts`,
      });
      return false;
    }
    sources.set(key, place);
    changes.set(key, { change: 'added', object });
    return true;
  };
  for (const { found, place } of placed) {
    if (found.kind === 'workload') continue;
    const object = found.kind === 'service' ? found.service : found.object;
    if (add(object, place) && found.kind === 'service')
      services.set(`${object.namespace}/${object.name}`, { ...found, slices: [] });
  }
  const objects = [...changes.values()].map(({ object }) => object);
  const pods = objects.filter(object => object.kind === 'Pod');
  for (const { found, place } of placed)
    if (found.kind === 'workload' && !pods.some(pod => isOf(found.pod, pod))) add(found.pod, place);
  for (const object of objects) if (object.kind === 'EndpointSlice') addSlice(services, object);
  const world = createPolicyModel(undefined);
  world.apply({ changes, synced: true });
  return { world, services, sources, problems, place: 'in the manifests' };
}

/** Whether a pod looks as if the workload had made it: then nothing has to stand for it. */
function isOf(workload: Pod, pod: Pod): boolean {
  const labels = Object.entries(workload.labels);
  return (
    pod.namespace === workload.namespace &&
    labels.length > 0 &&
    labels.every(([key, value]) => pod.labels[key] === value)
  );
}

function addSlice(services: Map<string, KnownService>, slice: EndpointSlice): void {
  const name = `${slice.namespace}/${slice.service ?? ''}`;
  const known = services.get(name);
  if (known !== undefined) services.set(name, { ...known, slices: [...known.slices, slice] });
}
