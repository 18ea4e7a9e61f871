/** Process: one feeder. Encodes its feeds first, then writes them as fast as the speaker reads. */

import { once } from 'node:events';
import type { Feed } from '../workload/feed.js';
import { loadTable, type FeedName } from '../workload/tables.js';
import { establish, monotonicMs, type BenchSession } from './benchSession.js';
import type { Answer, Command, SessionSpec } from './commands.js';
import { routerIdOf, testNextHops } from './addresses.js';
import { cpuMeter, reportLost, serve } from './worker.js';

const feeds = new Map<FeedName, Feed>();
let session: BenchSession | undefined;
const cpu = cpuMeter();

async function handle(command: Command): Promise<Answer> {
  switch (command.kind) {
    case 'prepare':
      return prepare(command.table, command.feeds);
    case 'connect':
      return connect(command.sessions[0], command.patienceMs);
    case 'send':
      return send(command.feed);
    case 'churn':
      return churn(command.feeds, command.seconds);
    case 'gaps':
      return gaps();
    case 'disconnect':
      session?.close();
      session = undefined;
      return {};
    default:
      throw new Error(`a feeder knows no ${command.kind}`);
  }
}

function prepare(table: Parameters<typeof loadTable>[0], names: readonly FeedName[]): Promise<Answer> {
  const loaded = loadTable(table);
  feeds.clear();
  for (const name of names) feeds.set(name, loaded.feed(name, testNextHops));
  const first = feeds.values().next().value;
  return Promise.resolve({ messages: first?.messages ?? 0, octets: first?.octets.length ?? 0 });
}

async function connect(spec: SessionSpec | undefined, patienceMs: number): Promise<Answer> {
  if (spec === undefined) throw new Error('a feeder needs a session');
  session?.close();
  session = await establish({ ...spec, routerId: routerIdOf(spec.localAddress), onEnd: reportLost }, patienceMs);
  return {};
}

async function send(name: FeedName): Promise<Answer> {
  cpu();
  const startedAt = monotonicMs();
  await write(name);
  return { startedAt, finishedAt: monotonicMs(), cpuMs: cpu() };
}

async function churn(names: readonly FeedName[], seconds: number): Promise<Answer> {
  cpu();
  const startedAt = monotonicMs();
  session?.gaps.restart(startedAt);
  let rounds = 0;
  while (monotonicMs() < startedAt + seconds * 1000) {
    for (const name of names) await write(name);
    rounds++;
  }
  return { startedAt, finishedAt: monotonicMs(), cpuMs: cpu(), rounds };
}

function gaps(): Promise<Answer> {
  if (session === undefined) throw new Error('not connected');
  return Promise.resolve({ largestGapMs: session.gaps.largestUntil(monotonicMs()), holdTime: session.holdTime });
}

/** Ends when the last octet is with the kernel. */
async function write(name: FeedName): Promise<void> {
  const feed = feeds.get(name);
  if (feed === undefined || session === undefined) throw new Error(`${name} is not prepared, or no session`);
  const { socket } = session;
  for (let i = 1; i < feed.cuts.length; i++) {
    const roomLeft = socket.write(feed.octets.subarray(feed.cuts[i - 1], feed.cuts[i]));
    if (!roomLeft) await once(socket, 'drain');
  }
}

serve(handle);
