/** Process: counting clients, all in one thread; each keeps exact account of what it holds. */

import type { PrefixTable } from '../workload/prefixTable.js';
import { loadTable } from '../workload/tables.js';
import { routerIdOf } from './addresses.js';
import { monotonicMs } from './benchSession.js';
import type { Answer, Command, SessionSpec } from './commands.js';
import { CountingClient } from './countingClient.js';
import { PauseWork } from './pauseWork.js';
import { reportLost, serve } from './worker.js';

let table: PrefixTable | undefined;
let clients: CountingClient[] = [];
let expected = 0;
let waiting: (() => void) | undefined;
const work = new PauseWork(() => clients.map(c => c.log));

async function handle(command: Command): Promise<Answer> {
  switch (command.kind) {
    case 'prepare':
      table = loadTable(command.table).table;
      return {};
    case 'connect':
      disconnect();
      clients = command.sessions.map(() => newClient());
      await Promise.all(clients.map((c, i) => bringUp(c, command.sessions[i]!, command.patienceMs)));
      return {};
    case 'expect':
      expected = command.marker;
      for (const client of clients) client.completeAt = undefined;
      work.restartCpu();
      return {};
    case 'wait':
      return wait();
    case 'late':
      return late(command.session, command.marker, command.patienceMs);
    case 'gaps':
      return gaps();
    case 'disconnect':
      disconnect();
      return {};
    default:
      throw new Error(`receivers know no ${command.kind}`);
  }
}

function newClient(): CountingClient {
  if (table === undefined) throw new Error('prepare first');
  return new CountingClient(table, {
    expected: () => expected,
    complete: () => waiting?.(),
    lost: reportLost,
  });
}

function bringUp(client: CountingClient, spec: SessionSpec, patienceMs: number): Promise<void> {
  const options = { ...spec, routerId: routerIdOf(spec.localAddress), onEnd: reportLost };
  return client.connect({ ...options, onArrival: now => work.arrival(now) }, patienceMs);
}

function wait(): Promise<Answer> {
  return new Promise(resolve => {
    waiting = () => {
      if (clients.some(c => c.completeAt === undefined)) return;
      waiting = undefined;
      const finishedAt = Math.max(0, ...clients.map(c => c.completeAt ?? 0));
      resolve({ finishedAt, cpuMs: work.cpuWhileReading(), strangers: strangers() });
    };
    waiting();
  });
}

/** One more client, of which alone the answer speaks. */
async function late(spec: SessionSpec, marker: number, patienceMs: number): Promise<Answer> {
  expected = marker;
  const client = newClient();
  const others = clients;
  clients = [...others, client];
  work.restartCpu();
  const startedAt = monotonicMs();
  await bringUp(client, spec, patienceMs);
  const answer = await wait();
  client.close();
  clients = others;
  return { ...answer, startedAt, finishedAt: client.completeAt ?? 0 };
}

function gaps(): Promise<Answer> {
  const now = monotonicMs();
  const sessions = clients.flatMap(c => (c.session ? [c.session] : []));
  const largestGapMs = Math.max(0, ...sessions.map(s => s.gaps.largestUntil(now)));
  for (const session of sessions) session.gaps.restart(now);
  return Promise.resolve({ largestGapMs, holdTime: sessions[0]?.holdTime ?? 0 });
}

function strangers(): number {
  return clients.reduce((sum, c) => sum + c.held.strangers, 0);
}

function disconnect(): void {
  for (const client of clients) client.close();
  clients = [];
}

serve(handle);
