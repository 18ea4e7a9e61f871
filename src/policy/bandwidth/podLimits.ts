/** What a pod's annotations say of its bandwidth. */

import { err, type Result } from '../../core/result.js';
import type { Pod } from '../../kube/objectTypes.js';
import { parseQuantity } from './quantity.js';

/** As the annotations have them, seen from the pod: ingress is what goes to it. */
export type Direction = 'ingress' | 'egress';
export const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];

export function annotationOf(direction: Direction): string {
  return `kubernetes.io/${direction}-bandwidth`;
}

/** The bounds of kubelet and container runtimes, in bits a second. */
const LEAST = 1e3;
const MOST = 1e15;

export interface PodLimits {
  /** `namespace/name` */
  readonly pod: string;
  /** Canonical text; the pod's link is that of the first that can be found. */
  readonly addresses: readonly string[];
  /** Bits a second. Undefined: as many as there are. */
  readonly ingress: number | undefined;
  readonly egress: number | undefined;
}

/**
 * @returns undefined where nothing is to be limited. A bad value limits nothing, in its direction only: kubelet would not
 * have started a pod with it, so that it was written later by somebody who now can see the complaint.
 */
export function limitsOf(pod: Pod, complain: (text: string) => void): PodLimits | undefined {
  const [ingress, egress] = DIRECTIONS.map(direction => limitOf(pod, direction, complain));
  if (ingress === undefined && egress === undefined) return undefined;
  if (pod.hostNetwork) {
    complain('asks for bandwidth and uses the network of its node, which has no limit for it');
    return undefined;
  }
  const isOver = pod.phase === 'Succeeded' || pod.phase === 'Failed';
  if (isOver || pod.ips.length === 0) return undefined;
  return { pod: `${pod.namespace}/${pod.name}`, addresses: pod.ips, ingress, egress };
}

function limitOf(pod: Pod, direction: Direction, complain: (text: string) => void): number | undefined {
  const annotation = annotationOf(direction);
  const text = pod.annotations[annotation];
  if (text === undefined) return undefined;
  const limit = parseLimit(text);
  if (limit.ok) return limit.value;
  complain(`annotation ${annotation}: ${JSON.stringify(text)} ${limit.error}; unlimited until it is mended`);
  return undefined;
}

/** @returns bits a second, or a sentence that follows the text */
export function parseLimit(text: string): Result<number, string> {
  const value = parseQuantity(text);
  if (!value.ok) return value;
  if (value.value < LEAST) return err('is less than 1k, the least there can be');
  return value.value > MOST ? err('is more than 1P, the most there can be') : value;
}

export function sameLimits(a: PodLimits, b: PodLimits): boolean {
  return a.ingress === b.ingress && a.egress === b.egress && a.addresses.join() === b.addresses.join();
}
