/** One speaker, one workload, measured once. */

import { SPEAKER, ASN, clientAddress, feederAddress, LATE_CLIENT, WATCHER } from '../load/addresses.js';
import { monotonicMs } from '../load/benchSession.js';
import type { Answer, SessionSpec } from '../load/commands.js';
import { LoadProcess, OutOfTime } from '../measure/loadProcess.js';
import type { BenchNetwork } from '../measure/netns.js';
import { cpuSeconds, kernelRoutes, peakMegabytes, settled, sleep } from '../measure/processUsage.js';
import { startSpeaker, type RunningSpeaker, type SpeakerProgram } from '../speakers/speaker.js';
import { MARKER_AFTER, type FeedName, type TableSpec } from '../workload/tables.js';
import type { PhaseName, Scenario } from './scenarios.js';

export interface PhaseResult {
  readonly phase: PhaseName;
  /** Seconds from the feeder's first octet (late: from connecting) until the last client held everything. */
  readonly wall: number;
  /** Seconds of CPU of the speaker, until it was quiet again. */
  readonly cpu: number;
  /** Seconds of CPU of the receivers, and of the feeder's writing: nearly `wall` means that they were the limit. */
  readonly receiversCpu: number;
  readonly feederCpu: number;
}

export interface TrialResult {
  readonly phases: readonly PhaseResult[];
  /** The phase that was not done in time, and the limit in seconds. */
  readonly timedOut?: { readonly phase: PhaseName; readonly limit: number };
  /** Megabytes: largest resident set when the table was there, and over the whole trial. */
  readonly heldMegabytes: number;
  readonly peakMegabytes: number;
}

export interface TrialOptions {
  readonly table: TableSpec;
  /** Seconds that a phase may take. */
  readonly limit: number;
}

/** Long enough that no session expires because the generator was busy. */
const HOLD_TIME = 240;
const PATIENCE_MS = 30_000;
/** How often to look whether a speaker that fills the kernel's table is still at work, and what counts as rest. */
const LOOK_EVERY_MS = 10;
const REST_MS = 100;

/** The load processes of a scenario: prepared once, used for every speaker. */
export interface Load {
  readonly feeders: readonly LoadProcess[];
  readonly receivers: LoadProcess;
  stop(): void;
}

export async function prepareLoad(scenario: Scenario, table: TableSpec, network: BenchNetwork): Promise<Load> {
  const twoFeeders = scenario.kind === 'twoFeeders';
  const feedsOf = (feeder: number): FeedName[] =>
    twoFeeders ? [feeder === 0 ? 'better-even' : 'better-odd'] : ['first', 'changed', 'withdraw'];
  const feeders = Array.from({ length: twoFeeders ? 2 : 1 }, () => new LoadProcess(network.load, 'feeder.js'));
  const receivers = new LoadProcess(network.load, 'receivers.js');
  const load = { feeders, receivers, stop: () => [...feeders, receivers].forEach(p => p.stop()) };
  try {
    for (const [feeder, process] of feeders.entries())
      await process.ask({ kind: 'prepare', table, feeds: feedsOf(feeder), feeder });
    await receivers.ask({ kind: 'prepare', table, feeds: [], feeder: 0 });
  } catch (error) {
    load.stop();
    throw error;
  }
  return load;
}

export function sessionSpec(scenario: Scenario, localAddress: string, holdTime = HOLD_TIME): SessionSpec {
  return { localAddress, remoteAddress: SPEAKER, asn: ASN, holdTime, families: [scenario.family] };
}

/** Starts the speaker for a scenario and brings all sessions up; `use` gets it, and it is stopped whatever happens. */
export async function withSpeaker<T>(
  scenario: Scenario,
  program: SpeakerProgram,
  network: BenchNetwork,
  load: Load,
  holdTime: number,
  use: (speaker: RunningSpeaker) => Promise<T>,
): Promise<T> {
  const feeders = load.feeders.map((_, i) => feederAddress(i + 1));
  const clients = Array.from({ length: scenario.clients }, (_, i) => clientAddress(i + 1));
  const job = {
    address: SPEAKER,
    asn: ASN,
    feeders,
    clients: scenario.kind === 'reflect' ? [...clients, LATE_CLIENT] : clients,
    watchers: scenario.kind === 'keepalives' ? [WATCHER] : [],
    family: scenario.family,
    prefixes: scenario.prefixes,
    holdTime,
    install: scenario.kind === 'kernel',
  };
  const speaker = startSpeaker(program, job, network.speaker);
  const processes = [...load.feeders, load.receivers];
  try {
    for (const process of processes) process.lost = undefined;
    const connect = (process: LoadProcess, addresses: readonly string[]): Promise<Answer> => {
      const sessions = addresses.map(a => sessionSpec(scenario, a, holdTime));
      return process.ask({ kind: 'connect', sessions, patienceMs: PATIENCE_MS }, 2 * (PATIENCE_MS / 1000));
    };
    await connect(load.receivers, clients);
    for (const [i, feeder] of load.feeders.entries()) await connect(feeder, [feeders[i]!]);
    await settled(speaker.pid, 3000);
    const result = await use(speaker);
    if (speaker.exited()) throw new Error('it ended by itself');
    const lost = processes.find(p => p.lost !== undefined)?.lost;
    if (lost !== undefined) throw new Error(`a session was lost: ${lost}`);
    return result;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${program.key}, ${scenario.title}: ${reason}\n${speaker.log()}`, { cause: error });
  } finally {
    await Promise.all(processes.map(p => p.ask({ kind: 'disconnect' }).catch(() => undefined)));
    await speaker.stop();
  }
}

export function runTrial(
  scenario: Scenario,
  program: SpeakerProgram,
  network: BenchNetwork,
  load: Load,
  options: TrialOptions,
): Promise<TrialResult> {
  return withSpeaker(scenario, program, network, load, HOLD_TIME, async speaker => {
    const phases: PhaseResult[] = [];
    let heldMegabytes = 0;
    try {
      for (const phase of phasesOf(scenario)) {
        phases.push(await runPhase(phase, scenario, speaker, load, options.limit));
        if (phase === 'late' || heldMegabytes === 0) heldMegabytes = peakMegabytes(speaker.pid);
      }
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error;
      const timedOut = { phase: phasesOf(scenario)[phases.length]!, limit: options.limit };
      const peak = peakMegabytes(speaker.pid);
      return { phases, timedOut, heldMegabytes: heldMegabytes || peak, peakMegabytes: peak };
    }
    return { phases, heldMegabytes, peakMegabytes: Math.max(heldMegabytes, peakMegabytes(speaker.pid)) };
  });
}

function phasesOf(scenario: Scenario): readonly PhaseName[] {
  switch (scenario.kind) {
    case 'reflect':
      return ['announce', 'late', 'change', 'withdraw'];
    case 'twoFeeders':
      return ['both feeders'];
    case 'kernel':
      return ['install', 'remove'];
    case 'keepalives':
      return [];
  }
}

async function runPhase(
  phase: PhaseName,
  scenario: Scenario,
  speaker: RunningSpeaker,
  load: Load,
  limit: number,
): Promise<PhaseResult> {
  const before = cpuSeconds(speaker.pid);
  const measured = await measurePhase(phase, scenario, speaker, load, limit);
  await settled(speaker.pid, 2000);
  return { phase, ...measured, cpu: cpuSeconds(speaker.pid) - before };
}

type Measured = Omit<PhaseResult, 'phase' | 'cpu'>;

function measurePhase(
  phase: PhaseName,
  scenario: Scenario,
  speaker: RunningSpeaker,
  load: Load,
  limit: number,
): Promise<Measured> {
  switch (phase) {
    case 'announce':
      return feedAndWait(load, ['first'], limit);
    case 'change':
      return feedAndWait(load, ['changed'], limit);
    case 'withdraw':
      return feedAndWait(load, ['withdraw'], limit);
    case 'both feeders':
      return feedAndWait(load, ['better-even', 'better-odd'], limit);
    case 'late':
      return late(scenario, load, limit);
    case 'install':
      return feedAndCount(load, 'first', scenario, speaker, count => count >= scenario.prefixes, limit);
    case 'remove':
      return feedAndCount(load, 'withdraw', scenario, speaker, count => count <= -scenario.prefixes, limit);
  }
}

/** @param feeds one for each feeder; all end with the same marker */
async function feedAndWait(load: Load, feeds: readonly FeedName[], limit: number): Promise<Measured> {
  await load.receivers.ask({ kind: 'expect', marker: MARKER_AFTER[feeds[0]!] });
  const sent = Promise.all(feeds.map((feed, i) => load.feeders[i]!.ask({ kind: 'send', feed }, 2 * limit)));
  // The receivers' own limit speaks first; the answers of the feeders then come to nobody.
  sent.catch(() => undefined);
  const received = await load.receivers.ask({ kind: 'wait' }, limit);
  const answers = await sent;
  return measuredFrom(answers, received.finishedAt ?? 0, received);
}

async function late(scenario: Scenario, load: Load, limit: number): Promise<Measured> {
  const session = sessionSpec(scenario, LATE_CLIENT);
  const marker = MARKER_AFTER.first;
  const answer = await load.receivers.ask({ kind: 'late', session, marker, patienceMs: PATIENCE_MS }, limit);
  return measuredFrom([answer], answer.finishedAt ?? 0, answer);
}

/**
 * Counts the routes that come to (or leave) the kernel's table. Counting walks the whole table and makes the writer wait
 * for it (RCU), so it is done only when the speaker rests; the time is that of its last sign of life before.
 */
async function feedAndCount(
  load: Load,
  feed: FeedName,
  scenario: Scenario,
  speaker: RunningSpeaker,
  done: (change: number) => boolean,
  limit: number,
): Promise<Measured> {
  const base = kernelRoutes(speaker.pid, scenario.family);
  const sent = load.feeders[0]!.ask({ kind: 'send', feed }, 2 * limit);
  sent.catch(() => undefined);
  const deadline = monotonicMs() + limit * 1000;
  let used = cpuSeconds(speaker.pid);
  let lastBusy = monotonicMs();
  for (;;) {
    await sleep(LOOK_EVERY_MS);
    const now = cpuSeconds(speaker.pid);
    if (now !== used) lastBusy = monotonicMs();
    else if (monotonicMs() - lastBusy > REST_MS && done(kernelRoutes(speaker.pid, scenario.family) - base)) break;
    used = now;
    if (monotonicMs() > deadline) throw new OutOfTime(limit);
  }
  return measuredFrom([await sent], lastBusy, {});
}

function measuredFrom(senders: readonly Answer[], finishedAt: number, receivers: Answer): Measured {
  const startedAt = Math.min(...senders.map(s => s.startedAt ?? 0));
  const isLate = senders[0] === receivers;
  return {
    wall: (finishedAt - startedAt) / 1000,
    receiversCpu: (receivers.cpuMs ?? 0) / 1000,
    feederCpu: isLate ? 0 : Math.max(...senders.map(s => s.cpuMs ?? 0)) / 1000,
  };
}
