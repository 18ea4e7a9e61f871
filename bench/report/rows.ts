/** From measurements to rows: a row is one number of ours, the same of a peer, and what we want of their ratio. */

import { IPV6_FACTOR, KEEPALIVE_GRACE, LOOP_DELAY_TARGET, type Scenario, type Target } from '../run/scenarios.js';
import type { KeepaliveResult } from '../run/keepaliveTrial.js';
import type { PhaseResult, TrialResult } from '../run/trial.js';

export interface Row {
  readonly workload: string;
  readonly measure: string;
  readonly unit: 's' | 'CPU s' | 'MB' | 'ms';
  readonly ours: number | null;
  readonly peer: string;
  readonly theirs: number | null;
  /** The peer (or we) did not finish: the true number is larger. */
  readonly theirsIsLimit: boolean;
  readonly oursIsLimit: boolean;
  readonly target: Target | null;
  /** The load generator, not our speaker, set the pace: the ratio would be larger with a faster one. */
  readonly generatorBound: boolean;
}

/** Several runs of one speaker on one workload. */
export type Runs = readonly TrialResult[];

/** Share of the wall time that a single-threaded process may compute before it counts as the limit. */
const BUSY = 0.8;
/** Several prefixes per millisecond are counted; below this a clock tick of the CPU account says nothing. */
const SMALLEST_CPU = 0.01;

/** theirs / ours; null when either is missing. */
export function ratioOf(row: Row): number | null {
  if (row.ours === null || row.theirs === null) return null;
  return row.theirs / Math.max(row.ours, row.unit === 'CPU s' ? SMALLEST_CPU : 1e-6);
}

/** null when there is no target, or no number to hold against it. */
export function isMet(row: Row): boolean | null {
  if (row.target === null || row.ours === null) return null;
  if (row.target.kind === 'oursAtMost') return !row.oursIsLimit && row.ours <= row.target.value;
  const ratio = ratioOf(row);
  return ratio === null ? null : !row.oursIsLimit && ratio >= row.target.value;
}

export function reflectRows(scenario: Scenario, ours: Runs, peer: string, theirs: Runs): Row[] {
  const rows: Row[] = [];
  const phases = [...ours, ...theirs].flatMap(run => [...run.phases.map(p => p.phase), ...(run.timedOut ? [run.timedOut.phase] : [])]);
  for (const phase of new Set(phases)) {
    const own = phaseMedian(ours, phase, p => p.wall);
    const other = phaseMedian(theirs, phase, p => p.wall);
    const base = { workload: scenario.title, measure: phase, peer, oursIsLimit: own.isLimit, theirsIsLimit: other.isLimit };
    const busiest = phaseMedian(ours, phase, p => Math.max(p.receiversCpu, p.feederCpu)).value ?? 0;
    const generatorBound = own.value !== null && busiest > BUSY * own.value;
    rows.push({ ...base, unit: 's', ours: own.value, theirs: other.value, target: scenario.wall ?? null, generatorBound });
    // A run that was out of time says nothing of CPU.
    const ownCpu = { value: median(valuesOf(ours, phase, p => p.cpu)) };
    const otherCpu = { value: median(valuesOf(theirs, phase, p => p.cpu)) };
    rows.push({ ...base, oursIsLimit: false, theirsIsLimit: false, unit: 'CPU s', ours: ownCpu.value, theirs: otherCpu.value, target: scenario.cpu ?? null, generatorBound: false });
  }
  rows.push(memoryRow(scenario, 'memory with the table', ours, peer, theirs, r => r.heldMegabytes));
  rows.push(memoryRow(scenario, 'peak memory', ours, peer, theirs, r => r.peakMegabytes));
  return rows;
} // prettier-ignore

/** The announcement to a speaker of ours that was not told how many routes to expect. It has no target. */
export function unpreparedRows(scenario: Scenario, ours: Runs, peer: string, theirs: Runs): Row[] {
  return reflectRows({ ...scenario, wall: undefined, cpu: undefined, memory: undefined }, ours, peer, theirs)
    .filter(({ measure }) => measure === 'announce' || measure === 'peak memory')
    .map(row => ({ ...row, measure: `${row.measure}, unprepared` }));
}

function memoryRow(
  scenario: Scenario,
  measure: string,
  ours: Runs,
  peer: string,
  theirs: Runs,
  of: (run: TrialResult) => number,
): Row {
  return {
    workload: scenario.title,
    measure,
    unit: 'MB',
    ours: median(ours.map(of)),
    peer,
    theirs: median(theirs.map(of)),
    oursIsLimit: false,
    theirsIsLimit: false,
    target: scenario.memory ?? null,
    generatorBound: false,
  };
}

export function keepaliveRows(
  scenario: Scenario,
  ours: readonly KeepaliveResult[],
  peer: string,
  theirs: readonly KeepaliveResult[],
): Row[] {
  const worst = (runs: readonly KeepaliveResult[]): number | null =>
    runs.length === 0 ? null : Math.max(...runs.map(r => r.largestGap));
  const interval = ours[0]?.interval ?? theirs[0]?.interval ?? 0;
  const base = { workload: scenario.title, peer, oursIsLimit: false, theirsIsLimit: false, generatorBound: false };
  const rows: Row[] = [
    {
      ...base,
      measure: `longest silence (interval ${interval} s)`,
      unit: 's',
      ours: worst(ours),
      theirs: worst(theirs),
      target: { kind: 'oursAtMost', value: interval + KEEPALIVE_GRACE },
    },
  ];
  const delays = ours.flatMap(r => (r.loopDelay ? [r.loopDelay] : []));
  if (delays.length === 0) return rows;
  const delayRow = (measure: string, of: (d: (typeof delays)[number]) => number, target: Target | null): Row => {
    const value = median(delays.map(of));
    return { ...base, peer: '–', measure, unit: 'ms', ours: value, theirs: null, target };
  };
  rows.push(delayRow('event loop late, 99.9 %', d => d.p999, { kind: 'oursAtMost', value: LOOP_DELAY_TARGET }));
  rows.push(delayRow('event loop late, longest', d => d.max, null));
  return rows;
}

/** Ours against ours: IPv6 must stay near IPv4. The ratio is IPv4 / IPv6. */
export function ipv6Rows(ipv4: Runs, ipv6: Runs): Row[] {
  const base = {
    workload: 'our IPv6 against our IPv4',
    peer: 'Peerage IPv4',
    oursIsLimit: false,
    theirsIsLimit: false,
    target: { kind: 'ratioAtLeast', value: 1 / IPV6_FACTOR } as const,
    generatorBound: false,
  };
  const phases = new Set(ipv6.flatMap(run => run.phases.map(p => p.phase)));
  const times = [...phases].map((phase): Row => {
    const ours = phaseMedian(ipv6, phase, p => p.wall).value;
    return { ...base, measure: phase, unit: 's', ours, theirs: phaseMedian(ipv4, phase, p => p.wall).value };
  });
  const memory = (runs: Runs): number | null => median(runs.map(r => r.peakMegabytes));
  return [...times, { ...base, measure: 'peak memory', unit: 'MB', ours: memory(ipv6), theirs: memory(ipv4) }];
}

interface Summary {
  readonly value: number | null;
  readonly isLimit: boolean;
}

/** A run that was out of time counts with its limit, so the median of many is honest downwards. */
function phaseMedian(runs: Runs, phase: string, of: (p: PhaseResult) => number): Summary {
  const limited = runs.filter(r => r.timedOut?.phase === phase).map(r => r.timedOut?.limit ?? 0);
  return { value: median([...valuesOf(runs, phase, of), ...limited]), isLimit: limited.length > 0 };
}

function valuesOf(runs: Runs, phase: string, of: (p: PhaseResult) => number): number[] {
  return runs.flatMap(r => r.phases.filter(p => p.phase === phase)).map(of);
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
