/** What a process has used, from /proc: the speaker under test is not ours to instrument. */

import { readFileSync, writeFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on: resolution 10 ms. */
const TICKS_PER_SECOND = 100;

/** User and system CPU of all threads so far, in seconds; 0 when the process is gone. */
export function cpuSeconds(pid: number): number {
  try {
    return parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return 0;
  }
}

/** The same with that of children it has waited for, such as programs it runs to do its work. */
export function totalCpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

/** @param stat a line as in /proc/PID/stat (proc(5)); the command in parentheses may itself hold blanks and parentheses */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 and 15 of the line; the first after the command is the third.
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Largest resident set so far, in megabytes (10^6 octets); 0 when the process is gone. */
export function peakMegabytes(pid: number): number {
  try {
    return parsePeakMegabytes(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return 0;
  }
}

/** @param status as in /proc/PID/status, whose VmHWM is in units of 1024 octets */
export function parsePeakMegabytes(status: string): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  return kibibytes === undefined ? 0 : (Number(kibibytes) * 1024) / 1e6;
}

/** Lets the peak begin anew from what is resident now. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Routes in the kernel tables of the namespace that the process lives in. */
export function kernelRoutes(pid: number, family: 'ipv4-unicast' | 'ipv6-unicast'): number {
  if (family === 'ipv6-unicast') {
    // rt6_stats (net/ipv6/route.c): the fourth number, in hexadecimal, counts route entries.
    return parseInt(readFileSync(`/proc/${pid}/net/rt6_stats`, 'latin1').split(' ')[3] ?? '0', 16);
  }
  return parseTriePrefixes(readFileSync(`/proc/${pid}/net/fib_triestat`, 'latin1'));
}

/** @param stat as in /proc/net/fib_triestat; Main and Local are one trie until a policy rule parts them */
export function parseTriePrefixes(stat: string): number {
  const prefixes = /Prefixes:\s+(\d+)/.exec(stat)?.[1];
  return prefixes === undefined ? 0 : Number(prefixes);
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** Waits until the process has used no CPU for a fifth of a second, so that its deferred work counts too. */
export async function settled(pid: number, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (let used = cpuSeconds(pid); Date.now() < deadline;) {
    await sleep(200);
    const now = cpuSeconds(pid);
    if (now - used < 0.02) return;
    used = now;
  }
}
