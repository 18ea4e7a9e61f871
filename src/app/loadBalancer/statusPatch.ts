/** What to change in a Service's status so that it says which addresses the service has. Pure. */

import { formatAddress, parseAddress } from '../../core/ip.js';
import type { WantedStatus } from '../../routing/loadBalancer/loadBalancer.js';
import { isRecord } from '../../kube/objects.js';

/** Condition that marks a status as ours: what we did not give we do not take. */
export const CONDITION = 'peerage.io/LoadBalancerAddress';

export type StatusVerdict =
  /** A strategic merge patch that the server refuses when the service has changed meanwhile. */
  | { readonly kind: 'patch'; readonly patch: Readonly<Record<string, unknown>> }
  /** It says so already, or is no matter of ours any more. */
  | { readonly kind: 'done' }
  /** Another balancer gave what it holds. */
  | { readonly kind: 'theirs' }
  /** It says something else than what was known when this was decided: whoever decides has to hear of it first. */
  | { readonly kind: 'stale' };

/** @param service as the server has it now  @param now RFC 3339 */
export function statusVerdict(service: unknown, { ips, before, onlyOurs }: WantedStatus, now: string): StatusVerdict {
  if (!isRecord(service) || !isRecord(service['metadata'])) return { kind: 'done' };
  const { resourceVersion, deletionTimestamp } = service['metadata'];
  const spec = isRecord(service['spec']) ? service['spec'] : {};
  if (deletionTimestamp !== undefined || (spec['type'] !== 'LoadBalancer' && ips.length > 0)) return { kind: 'done' };
  const held = heldBy(service['status']);
  if (isSame(held, ips)) return { kind: 'done' };
  if (!isSame(held, before)) return { kind: 'stale' };
  if (onlyOurs && !isMarked(service['status'])) return { kind: 'theirs' };
  const status = {
    loadBalancer: { ingress: ips.length === 0 ? null : ips.map(ip => ({ ip })) },
    conditions: [conditionOf(ips, now)],
  };
  return { kind: 'patch', patch: { metadata: { resourceVersion }, status } };
}

function conditionOf(ips: readonly string[], now: string): Readonly<Record<string, unknown>> {
  if (ips.length === 0) return { type: CONDITION, $patch: 'delete' };
  const message = `given out by the load balancer of peerage: ${ips.join(', ')}`;
  return { type: CONDITION, status: 'True', reason: 'Allocated', message, lastTransitionTime: now };
}

function isMarked(status: unknown): boolean {
  const conditions: unknown = isRecord(status) ? status['conditions'] : undefined;
  return Array.isArray(conditions) && conditions.some((one: unknown) => isRecord(one) && one['type'] === CONDITION);
}

function heldBy(status: unknown): readonly string[] {
  const balancer = isRecord(status) ? status['loadBalancer'] : undefined;
  const ingress: unknown = isRecord(balancer) ? balancer['ingress'] : undefined;
  if (!Array.isArray(ingress)) return [];
  return ingress.flatMap((entry: unknown) =>
    isRecord(entry) && typeof entry['ip'] === 'string' ? [canonical(entry['ip'])] : [],
  );
}

/** Addresses have several spellings; what was known is in the canonical one. */
function canonical(text: string): string {
  const parsed = parseAddress(text);
  return parsed.ok ? formatAddress(parsed.value) : text;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
