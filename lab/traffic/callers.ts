/** Clients of {@link PodServers}: new connections at a steady rate, and some that are kept for a while. Impure. */

import { waitFor } from '../topology/commands.js';
import { LineProcess } from './lineProcess.js';

export interface CallPlan {
  readonly host: string;
  readonly port: number;
  /** New connections a second, begun whether or not the ones before were answered. */
  readonly rate: number;
  /** Not while so many are open: for machines that may stand still for a while. Default: any number. */
  readonly most?: number;
  /** Milliseconds until a connection that is not answered has failed; default 30,000. */
  readonly patience?: number;
  /** Besides, so many connections are always kept, each for `keepFor` milliseconds; default none. */
  readonly kept?: number;
  readonly keepFor?: number;
}

export interface CallCount {
  /** Begun. */
  readonly begun: number;
  readonly answered: number;
  /** Why connections failed, new or kept; the first hundred. */
  readonly failures: readonly string[];
  /** Kept connections that ran their time, or until the stop, with all they said answered. */
  readonly keptToTheEnd: number;
  /** Milliseconds of the slowest answer: over a second tells of a packet that was lost and sent again. */
  readonly slowest: number;
  /** Answers by server. */
  readonly byServer: Readonly<Record<string, number>>;
  /** Client addresses that servers saw. */
  readonly seenAs: readonly string[];
}

const PATIENCE = 30_000;

const PROGRAM = `
const net = require('node:net');
const PATIENCE = ${PATIENCE};
const count = { begun: 0, answered: 0, failures: [], keptToTheEnd: 0, slowest: 0, byServer: {} };
const seenAs = new Set(), timers = [];
let open = 0, isOver = false, wake = () => undefined;
function fail(plan, what) {
  if (count.failures.length < 100) count.failures.push(new Date().toISOString().slice(11, 23) + ' ' + plan.host + ':' + plan.port + ' ' + what);
}
function answered(begun, text) {
  const [server, client] = String(text).trim().split(' ');
  count.answered++;
  count.byServer[server] = (count.byServer[server] ?? 0) + 1;
  seenAs.add(client);
  count.slowest = Math.max(count.slowest, Math.round(performance.now() - begun));
}
function dial(plan, heard) {
  const begun = performance.now();
  const socket = net.connect({ host: plan.host, port: plan.port });
  let isDone = false;
  open++;
  const done = what => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    if (what !== undefined) fail(plan, what);
    socket.destroy();
    if (--open === 0) wake();
  };
  const timer = setTimeout(() => done('timeout'), (plan.patience ?? PATIENCE) + (plan.keepFor ?? 0));
  socket.on('error', error => done(error.code ?? error.message));
  let isAnswered = false;
  // The server has closed first: its side keeps the port in mind, not ours.
  socket.on('end', () => done(isAnswered && plan.isOnce ? undefined : 'closed'));
  socket.on('data', data => { isAnswered = true; heard({ begun, data, socket, done }); });
  return socket;
}
const calling = new Map();
function call(plan) {
  const others = calling.get(plan) ?? 0;
  if (others >= (plan.most ?? Infinity)) return;
  calling.set(plan, others + 1);
  count.begun++;
  const socket = dial({ ...plan, keepFor: 0, isOnce: true }, ({ begun, data }) => answered(begun, data));
  socket.on('close', () => calling.set(plan, calling.get(plan) - 1)).write('?');
}
function keep(plan) {
  if (isOver) return;
  const until = performance.now() + plan.keepFor;
  let server;
  const socket = dial(plan, ({ data, done }) => {
    const name = String(data).trim().split('\\n').at(-1).split(' ')[0];
    server ??= name;
    if (name !== server) done('was ' + server + ', is ' + name);
    else if (performance.now() < until && !isOver) setTimeout(() => socket.write('m'), 100);
    else { count.keptToTheEnd++; done(); }
  });
  socket.write('k');
  socket.on('close', () => setTimeout(keep, 10, plan));
}
for (const plan of JSON.parse(process.argv[1])) {
  const started = performance.now();
  let begun = 0;
  // By the clock: a late timer makes up for what it missed.
  timers.push(setInterval(() => {
    const due = Math.floor((performance.now() - started) * plan.rate / 1000);
    while (begun < due) { begun++; call(plan); }
  }, 5));
  for (let i = 0; i < (plan.kept ?? 0); i++) setTimeout(keep, i * plan.keepFor / plan.kept, plan);
}
const look = answer => answer({ ...count, seenAs: [...seenAs] });
function stop(answer) {
  for (const timer of timers) clearInterval(timer);
  isOver = true;
  if (open === 0) look(answer);
  else wake = () => look(answer);
}
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, act } = JSON.parse(line);
  const answer = told => process.stdout.write(JSON.stringify({ id, answer: told }) + '\\n');
  (act === 'stop' ? stop : look)(answer);
}).on('close', () => process.exit(0));
`;

export class Callers {
  private readonly process: LineProcess;

  /** Begins at once. */
  constructor(
    readonly name: string,
    namespace: string,
    plans: readonly CallPlan[],
  ) {
    this.process = new LineProcess(namespace, PROGRAM, JSON.stringify(plans));
  }

  async count(): Promise<CallCount> {
    return (await this.process.ask({ act: 'look' })) as CallCount;
  }

  /** Begins nothing more, waits for every answer that is due, and ends. */
  async stop(): Promise<CallCount> {
    const count = (await this.process.ask({ act: 'stop' })) as CallCount;
    await this.process.end();
    return count;
  }

  /** Ends at once, whatever is open. */
  end(): Promise<void> {
    return this.process.end();
  }
}

/** One line for people. */
export function describeCalls(name: string, { begun, answered, failures, keptToTheEnd, slowest }: CallCount): string {
  const kept = keptToTheEnd === 0 ? '' : `, ${keptToTheEnd} kept ones ran their time`;
  const failed = failures.length === 0 ? 'none failed' : `FAILED: ${failures.slice(0, 5).join('; ')}`;
  return `${name}: ${answered} of ${begun} answered${kept}, slowest ${slowest} ms, ${failed}`;
}

/** Resolves when so many more connections of each have been answered. @throws Error naming who was not, after so many milliseconds */
export async function moreAnswers(callers: readonly Callers[], more: number, patience: number): Promise<void> {
  await Promise.all(
    callers.map(async caller => {
      const { answered } = await caller.count();
      await waitFor(`answers to ${caller.name}`, patience, async () =>
        (await caller.count()).answered >= answered + more ? true : undefined,
      );
    }),
  );
}

/** Stops them, and prints how all went, kept connections included, under the name of what happened meanwhile. */
export async function stopAll(callers: readonly Callers[], event: string): Promise<readonly CallCount[]> {
  const counts = await Promise.all(callers.map(caller => caller.stop()));
  for (const [i, count] of counts.entries())
    process.stderr.write(`${event}: ${describeCalls(callers[i]!.name, count)}\n`);
  return counts;
}

/** As {@link stopAll}. @returns what failed */
export async function failuresOf(callers: readonly Callers[], event: string): Promise<readonly string[]> {
  return (await stopAll(callers, event)).flatMap(({ failures }) => [...failures]);
}
