/**
 * A router beside the agent that listens for its keepalives, as a process of its own inside a namespace.
 * `node build/bench/kube/watcher.js LOCAL REMOTE ASN HOLD_TIME`; each line on its input is answered with one of JSON.
 */

import { createInterface } from 'node:readline';
import { establish, monotonicMs } from '../load/benchSession.js';

export interface Silence {
  /** Seconds: the longest since the line before. */
  readonly longest: number;
  /** Why the session ended, if it has. */
  readonly lost?: string;
}

const [localAddress = '', remoteAddress = '', asn, holdTime] = process.argv.slice(2);
let lost: string | undefined;
const session = await establish(
  {
    localAddress,
    remoteAddress,
    asn: Number(asn),
    holdTime: Number(holdTime),
    routerId: 0x0a09_0001,
    families: ['ipv4-unicast'],
    onEnd: reason => (lost = reason),
  },
  600_000,
);
for await (const line of createInterface(process.stdin)) {
  const now = monotonicMs();
  const silence: Silence = {
    longest: session.gaps.largestUntil(now) / 1000,
    ...(lost === undefined ? {} : { lost }),
  };
  session.gaps.restart(now);
  if (line !== '') process.stdout.write(`${JSON.stringify(silence)}\n`);
}
session.close();
