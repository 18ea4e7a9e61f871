/** A BGP speaker in a namespace, as the scenarios see it: the same words for every make. Impure in its implementations. */

import { readFileSync } from 'node:fs';
import type { Program, Topology } from '../../lab/topology/topology.js';

/** A neighbour of the daemon, by the address its session runs to. */
export interface Neighbour {
  readonly address: string;
  readonly asn: number;
  readonly passive?: boolean;
  readonly password?: string;
  /** The session's routes are reflected (RFC 4456). */
  readonly client?: boolean;
  /** Accept packets of a direct neighbour only (RFC 5082). */
  readonly gtsm?: boolean;
  /** Behind a router: reached from and at the far addresses, with a TTL of 255. */
  readonly far?: boolean;
}

export interface Plan {
  readonly host: string;
  /** Own addresses on the rack; the IPv4 one is also the router id. */
  readonly address: string;
  readonly address6: string;
  /** Own address for sessions through the rack's router. */
  readonly addressFar: string;
  readonly asn: number;
  /** Seconds. */
  readonly holdTime: number;
  readonly gracefulRestart: boolean;
  readonly neighbours: readonly Neighbour[];
}

/** A network of the daemon's own; communities as `65000:1`, extended ones as `rt:65000:1`, large ones as `65000:1:2`. */
export interface Origin {
  readonly prefix: string;
  readonly communities?: readonly string[];
  readonly extended?: readonly string[];
  readonly large?: readonly string[];
}

/** A route as the daemon holds it; texts as in {@link Origin}, the path as AS numbers with spaces between. */
export interface Seen {
  /** Of a route with an IPv6 prefix the global one. */
  readonly nextHop: string;
  /** Kept over the restart of who told it (RFC 4724); null from daemons that do not say. */
  readonly stale: boolean | null;
  readonly asPath: string;
  readonly communities: readonly string[];
  readonly extended: readonly string[];
  readonly large: readonly string[];
  readonly originatorId: string | null;
  readonly clusterList: readonly string[];
}

export interface Daemon {
  readonly plan: Plan;
  program: Program;
  /** Starts it again after its end, with the networks it had. */
  start(): Promise<void>;
  established(neighbour: string): Promise<boolean>;
  /** Every prefix of its table, of both families. */
  prefixes(): Promise<ReadonlySet<string>>;
  route(prefix: string): Promise<Seen | undefined>;
  /** Replaces its own networks. */
  originate(origins: readonly Origin[]): Promise<void>;
  /** Ends a session with Cease, Administrative Shutdown, and this text (RFC 9003). */
  shutdown(neighbour: string, message: string): Promise<void>;
  enable(neighbour: string): Promise<void>;
  /** Asks the neighbour for all its routes again. */
  refresh(neighbour: string): Promise<void>;
  /** All that tells why sessions ended: its log, or what it remembers of the neighbour. */
  reasons(neighbour: string): Promise<string>;
}

/** What not every daemon can; that one truly cannot is shown by `lacks.ts`. */
export type Feature = 'askRefresh' | 'answerRefresh' | 'restarter' | 'collides' | 'md5Listener' | 'md5Space';

export interface DaemonKind {
  readonly name: string;
  /** What it cannot do, and why: where a scenario needs it, the lack itself is shown. */
  readonly lacks: Readonly<Partial<Record<Feature, string>>>;
  /** Configured but not started. */
  create(topology: Topology, plan: Plan): Daemon;
}

/** Milliseconds for a program to come up on a busy machine. */
export const START_PATIENCE = 30_000;

/** Signals a daemon with the processes it has split itself into. */
export function signalAll({ pid }: Program, signal: NodeJS.Signals): void {
  const children = words(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')).map(Number);
  for (const each of [...children, pid]) {
    try {
      process.kill(each, signal);
    } catch (error) {
      // A parent may have ended with its children already. In jest the error is of another realm, and no `Error` of this one.
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

/** The address that the session with this neighbour runs from. */
export function localAddress(plan: Plan, { address, far = false }: Neighbour): string {
  if (far) return plan.addressFar;
  return isIpv6(address) ? plan.address6 : plan.address;
}

export const isIpv6 = (text: string): boolean => text.includes(':');

/** Communities of RFC 1997 as they travel, one number each, in their usual writing. */
export function communityText(value: number): string {
  return `${value >>> 16}:${value & 0xffff}`;
}

/** Words between blanks; none in an empty text. */
export function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter(word => word !== '');
}

/** Runs a daemon's own control program. @throws Error with what it printed */
export async function control(
  topology: Topology,
  plan: Plan,
  program: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { stdout, stderr, code } = await topology.exec(plan.host, program, args, 30_000, input);
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 8).join(' ')}: ${stderr || stdout}`);
  return stdout;
}
