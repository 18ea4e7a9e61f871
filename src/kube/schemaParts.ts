/** Pieces of the schemas in objects.ts: values that kinds share. Go prints nil slices as null, so null means absent throughout. */

import { z } from 'zod';
import { type IpPrefix, formatAddress, maskAddress, parseAddress, parsePrefix } from '../core/ip.js';
import type { Result } from '../core/result.js';
import type { IpText, ObjectMeta } from './objectTypes.js';

/** A string that must mean something: the parser's error sentence becomes the issue's message. */
function textAs<T>(parse: (text: string) => Result<T, string>): z.ZodType<T> {
  return z.string().transform((text, context) => {
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    context.issues.push({ code: 'custom', message: parsed.error, input: text });
    return z.NEVER;
  });
}

/**
 * A CIDR as the API server takes it: old fields may have host bits set, which mean nothing there, and octets of IPv4 with
 * leading zeros, which are decimal all the same (KEP-4858). To refuse one would leave what a policy selects open.
 * @returns the prefix with host bits cleared, or a sentence for a person
 */
export function parseCidr(given: string): Result<IpPrefix, string> {
  const text = /^[\d.]+\//.test(given) ? given.replace(/(^|\.)0+(?=\d)/g, '$1') : given;
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (slash < 0 || !address.ok) return parsePrefix(text);
  const length = Number(text.slice(slash + 1));
  return parsePrefix(`${formatAddress(maskAddress(address.value, length))}${text.slice(slash)}`);
}

const ipAddress = textAs(parseAddress);
export const cidr = textAs(parseCidr);
export const ipText: z.ZodType<IpText> = ipAddress.transform(address => formatAddress(address) as IpText);

/** An address of one family alone. */
export function ipTextOf(version: 4 | 6): z.ZodType<IpText> {
  return ipAddress
    .refine(address => address.version === version, { message: `is no IPv${version} address` })
    .transform(address => formatAddress(address) as IpText);
}

/** A list that may be absent or null. */
export function listOf<T>(item: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z
    .array(item)
    .nullish()
    .transform(list => list ?? []);
}

/** A value that may be absent or null, and then is `fallback`. */
export function orElse<T>(schema: z.ZodType<T>, fallback: T): z.ZodType<T> {
  return schema.nullish().transform(value => value ?? fallback);
}

/** A value that may be absent or null, and then is undefined. */
export function maybe<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return schema.nullish().transform(value => value ?? undefined);
}

/** An object whose absence means the same as `{}`. */
export function section<S extends z.core.$ZodLooseShape>(shape: S): z.ZodType<z.infer<z.ZodObject<S>>> {
  return z.preprocess(value => value ?? {}, z.object(shape));
}

export const strings: z.ZodType<Readonly<Record<string, string>>> = orElse(z.record(z.string(), z.string()), {});
export const protocol = orElse<'TCP' | 'UDP' | 'SCTP'>(z.enum(['TCP', 'UDP', 'SCTP']), 'TCP');
export const portNumber = z.int().min(1).max(65535);
export const portOrNone = orElse<number>(z.int().min(0).max(65535), 0);

/** Taint that the cluster autoscaler puts on a node it is about to delete. */
export const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';

const TRIGGERED = 'endpoints.kubernetes.io/last-change-trigger-time';

/** @returns milliseconds since 1970; undefined where it is not said, or not said as a time */
export function triggerTime(annotations: unknown): number | undefined {
  const isThere = typeof annotations === 'object' && annotations !== null && TRIGGERED in annotations;
  const text = isThere ? annotations[TRIGGERED] : undefined;
  const time = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** Annotations can be large (kubectl keeps a whole copy of the object in one): only keys that mean something to us are kept. */
const KEPT_ANNOTATIONS = [
  'kube-router.io/',
  'peerage.io/',
  'pod.network.openshift.io/',
  'kubernetes.io/ingress-bandwidth',
  'kubernetes.io/egress-bandwidth',
] as const;
export function isKeptAnnotation(key: string): boolean {
  return KEPT_ANNOTATIONS.some(prefix => key.startsWith(prefix));
}
const annotations = strings.transform(all =>
  Object.fromEntries(Object.entries(all).filter(([key]) => isKeptAnnotation(key))),
);

export const metadata: z.ZodType<ObjectMeta> = z
  .object({
    name: z.string().min(1),
    namespace: orElse<string>(z.string(), ''),
    uid: orElse<string>(z.string(), ''),
    creationTimestamp: maybe(z.string()),
    labels: strings,
    annotations,
  })
  .transform(({ creationTimestamp, ...rest }) => ({ ...rest, createdAt: creationTimestamp }));
