/**
 * Routing's intent as text for the state file: sessions, networks, service addresses, policies, and no object of the
 * cluster. A sum over it tells a whole file from half of one; another format, or another node's file, is not taken.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { err, ok, type Result } from '../../core/result.js';
import type { PolicySet } from '../../bgp/policyTypes.js';
import { isRecord } from '../../kube/objects.js';
import type { NetworkIntent, OwnNode, PeerIntent, RoutingIntent } from '../../routing/intent.js';

/** To be raised whenever the shape of RoutingIntent changes. */
const FORMAT = 1;

/** Inside the sum: who wrote it wrote it whole, so that shapes are not looked at again. */
const part = <T>(): z.ZodType<T> => z.custom<T>(isRecord);
const Entries = <T>(): z.ZodType<[string, T][]> => z.array(z.tuple([z.string(), part<T>()]));
const Intent = z.object({
  own: part<OwnNode>(),
  peers: Entries<PeerIntent>(),
  networks: Entries<NetworkIntent>(),
  services: Entries<NetworkIntent>(),
  policies: part<PolicySet>(),
});
const Envelope = z.object({ format: z.literal(FORMAT), node: z.string(), sum: z.string(), intent: z.string() });

/** @returns undefined while there is nothing to keep: the own node is not known */
export function formatIntent(node: string, intent: RoutingIntent): string | undefined {
  if (intent.own === undefined) return undefined;
  const text = JSON.stringify({
    own: intent.own,
    peers: [...intent.peers],
    networks: [...intent.networks],
    services: [...intent.services],
    policies: intent.policies,
  });
  return `${JSON.stringify({ format: FORMAT, node, sum: sumOf(text), intent: text })}\n`;
}

/** @returns the intent, or why it cannot be used */
export function parseIntent(node: string, text: string): Result<RoutingIntent, string> {
  const envelope = Envelope.safeParse(jsonOf(text));
  if (!envelope.success) return err('is not of this format');
  const { node: writer, sum, intent } = envelope.data;
  if (writer !== node) return err(`was written by node ${writer}`);
  if (sum !== sumOf(intent)) return err('is damaged');
  const parsed = Intent.safeParse(jsonOf(intent));
  if (!parsed.success) return err('is not of this format');
  const { own, peers, networks, services, policies } = parsed.data;
  return ok({
    own: { ...own, v4: own.v4, v6: own.v6 },
    peers: new Map(peers),
    networks: new Map(networks),
    services: new Map(services),
    policies,
  });
}

function sumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
