/** What the run says to the processes that make its load, and what they answer: checked at both ends. */

import { z } from 'zod';
import { FeedName, TableSpec } from '../workload/tables.js';

export const SessionSpec = z.object({
  localAddress: z.string(),
  remoteAddress: z.string(),
  asn: z.number(),
  /** Seconds. */
  holdTime: z.number(),
  families: z.array(z.enum(['ipv4-unicast', 'ipv6-unicast'])),
});
export type SessionSpec = z.infer<typeof SessionSpec>;

export const Command = z.discriminatedUnion('kind', [
  /** Build the table and, in a feeder, encode these feeds. */
  z.object({ kind: z.literal('prepare'), table: TableSpec, feeds: z.array(FeedName), feeder: z.number() }),
  /** Bring up these sessions, patiently; what was held before is forgotten. */
  z.object({ kind: z.literal('connect'), sessions: z.array(SessionSpec), patienceMs: z.number() }),
  /** Feeder: write a feed. */
  z.object({ kind: z.literal('send'), feed: FeedName }),
  /** Feeder: write these feeds again and again. */
  z.object({ kind: z.literal('churn'), feeds: z.array(FeedName), seconds: z.number() }),
  /** Receiver: from here on watch for all clients to hold the whole table with this marker (0: nothing). */
  z.object({ kind: z.literal('expect'), marker: z.number() }),
  /** Receiver: answer when that has come true. */
  z.object({ kind: z.literal('wait') }),
  /** Receiver: one more client connects; answer when it holds everything. */
  z.object({ kind: z.literal('late'), session: SessionSpec, marker: z.number(), patienceMs: z.number() }),
  /** Receiver: the longest silence of the speaker since the last such question. */
  z.object({ kind: z.literal('gaps') }),
  z.object({ kind: z.literal('disconnect') }),
]);
export type Command = z.infer<typeof Command>;

/** Times in milliseconds of the monotonic clock; CPU in milliseconds since the command it belongs to. */
export const Answer = z.object({
  startedAt: z.number().optional(),
  finishedAt: z.number().optional(),
  cpuMs: z.number().optional(),
  messages: z.number().optional(),
  octets: z.number().optional(),
  largestGapMs: z.number().optional(),
  holdTime: z.number().optional(),
  strangers: z.number().optional(),
  rounds: z.number().optional(),
});
export type Answer = z.infer<typeof Answer>;

export const Envelope = z.object({ id: z.number(), command: Command });
export const Reply = z.union([
  z.object({ id: z.number(), answer: Answer }),
  z.object({ id: z.number(), error: z.string() }),
  /** A session ended by itself: the measurement is worthless. */
  z.object({ lost: z.string() }),
]);
