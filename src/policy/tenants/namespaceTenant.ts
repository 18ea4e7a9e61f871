/** What a Namespace says of its tenant network: the number it was given, and a change that was asked for. Pure. */

import { parseTenantNumber, type TenantNumber } from './tenantNumber.js';

/** The number that was given: written by the agent that holds the Lease, read by all. */
export const NUMBER_ANNOTATION = 'peerage.io/tenant.number';
/** A change that is asked for: `join:NAMESPACE`, `isolate` or `global`. Removed when it is done. */
export const CHANGE_ANNOTATION = 'peerage.io/tenant.change';
/** The same, as OpenShift SDN has it. */
export const OPENSHIFT_CHANGE_ANNOTATION = 'pod.network.openshift.io/multitenant.change-network';

export type TenantChange =
  { readonly kind: 'join'; readonly namespace: string } | { readonly kind: 'isolate' } | { readonly kind: 'global' };

export interface TenantSpec {
  /** `bad`: something stands there that is no number. */
  readonly number: TenantNumber | 'bad' | undefined;
  /** Undefined: none, or none that can be understood. */
  readonly change: TenantChange | undefined;
  /** What is wrong, as the end of a sentence that begins with the namespace. */
  readonly complaints: readonly string[];
}

export const NO_SPEC: TenantSpec = { number: undefined, change: undefined, complaints: [] };

export function tenantSpec(annotations: Readonly<Record<string, string>>): TenantSpec {
  const given = annotations[NUMBER_ANNOTATION];
  const asked = [CHANGE_ANNOTATION, OPENSHIFT_CHANGE_ANNOTATION].flatMap(key => {
    const text = annotations[key];
    return text === undefined ? [] : [{ key, text, change: parseTenantChange(text) }];
  });
  if (given === undefined && asked.length === 0) return NO_SPEC;
  const number = given === undefined ? undefined : (parseTenantNumber(given) ?? 'bad');
  const complaints = number === 'bad' ? [badNumber(given ?? '')] : [];
  for (const { key, text, change } of asked) if (change === undefined) complaints.push(badChange(key, text));
  const [first, second] = asked;
  const isTwofold = second !== undefined && first?.text !== second.text;
  if (isTwofold) complaints.push(`asks for two changes at once, ${first?.text} and ${second.text}: neither is made`);
  return { number, change: isTwofold ? undefined : first?.change, complaints };
}

/** @returns undefined for what is none */
export function parseTenantChange(text: string): TenantChange | undefined {
  if (text === 'isolate' || text === 'global') return { kind: text };
  const namespace = /^join:([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/.exec(text)?.[1];
  return namespace === undefined ? undefined : { kind: 'join', namespace };
}

export function formatTenantChange(change: TenantChange): string {
  return change.kind === 'join' ? `join:${change.namespace}` : change.kind;
}

function badNumber(text: string): string {
  return (
    `annotation ${NUMBER_ANNOTATION}: "${text}" is no number of a tenant (0, or 10 to 16777215): ` +
    'its pods reach nobody and nobody reaches them; take the annotation off to get a new one'
  );
}

function badChange(key: string, text: string): string {
  return `annotation ${key}: "${text}" is none of join:NAMESPACE, isolate, global: its network stays as it is`;
}
