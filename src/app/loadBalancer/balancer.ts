/**
 * Gives out load-balancer addresses, and subnets to hosts outside the cluster: stands for election, and while it leads writes what
 * the graph wants and what hosts ask. Impure.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { IpPrefix } from '../../core/ip.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import { startSubnetGiver } from '../edge/subnetGiver.js';
import type { BalancerOptions, BalancerOutcome } from './balancerStage.js';
import { runElection, type RunningElection } from './lease.js';
import { createStatusWriter } from './statusWriter.js';

export interface BalancerParts {
  /** Undefined: objects come from a folder, and nothing can be written. */
  readonly writer: ApiWriter | undefined;
  /** Of this agent among all: the node's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
  /** Told when the graph shall begin or cease to work out addresses. */
  readonly leading: (isLeading: boolean) => void;
  readonly random?: () => number;
}

export interface Balancer {
  update(outcome: Omit<BalancerOutcome, 'problems'>): void;
  /** Gives the Lease back. What was given out stays. */
  stop(): Promise<void>;
}

/** Milliseconds that the watch has to bring what a former leader wrote last. */
const TAKEOVER = 2000;
/** Milliseconds between two looks at the Lease for each node there is: the whole cluster asks about twice a second. */
const PACE = 500;
const LEAST_PACE = 4000;
/** Milliseconds that giving the Lease back may delay our end. */
const PARTING = 1000;
const DEFAULT_NAMESPACE = 'kube-system';

export function createBalancer(parts: BalancerParts): Balancer {
  const { clock, logger, report, leading } = parts;
  let lease: BalancerOptions['lease'] | undefined;
  let election: RunningElection | undefined;
  let takeover: TimerHandle | undefined;
  let nodes = 0;
  let ranges: readonly IpPrefix[] = [];
  let isLeading = false;
  let endSubnets: (() => void) | undefined;

  const mayAct = (): boolean => election?.mayAct() ?? false;
  /** Begins, ends, or begins again with other ranges. */
  const giveSubnets = (next: readonly IpPrefix[]): void => {
    const isSame = isDeepStrictEqual(next, ranges);
    ranges = next;
    const isDue = isLeading && next.length > 0;
    if (isDue && isSame && endSubnets !== undefined) return;
    endSubnets?.();
    endSubnets = isDue ? startGiver(parts, next, mayAct) : undefined;
  };
  const tell = (isOn: boolean): void => {
    isLeading = isOn;
    giveSubnets(ranges);
    leading(isOn);
  };
  const lead = (isOn: boolean): void => {
    takeover?.cancel();
    logger.info({ leading: isOn }, isOn ? 'gives out addresses in the cluster' : 'another one gives them out');
    if (isOn) takeover = clock.setTimeout(() => tell(true), TAKEOVER);
    else tell(false);
  };
  const writer = writerOf(parts, mayAct);
  const stop = async (): Promise<void> => {
    const running = election;
    election = undefined;
    takeover?.cancel();
    if (running !== undefined) await within(clock, PARTING, running.stop());
  };
  const stand = (options: BalancerOptions['lease'] | undefined): void => {
    if (isDeepStrictEqual(options, lease)) return;
    lease = options;
    void stop();
    report(new Map([[OWNER, []]]));
    if (options !== undefined) election = start(parts, options, lead, () => Math.max(LEAST_PACE, nodes * PACE));
  };
  return {
    update: outcome => {
      ({ nodes } = outcome);
      stand(outcome.options?.lease);
      giveSubnets(outcome.options?.edgeRanges ?? []);
      writer?.want(outcome.due);
    },
    stop: async () => {
      writer?.stop();
      endSubnets?.();
      await stop();
    },
  };
}

const OWNER = 'load balancer lease';

function start(
  { writer, identity, clock, report, random }: BalancerParts,
  { namespace = process.env['POD_NAMESPACE'] ?? DEFAULT_NAMESPACE, name }: BalancerOptions['lease'],
  leading: (isLeading: boolean) => void,
  pace: () => number,
): RunningElection | undefined {
  const tell = (text: string | undefined): void =>
    report(new Map([[OWNER, text === undefined ? [] : [{ subject: `Lease ${namespace}/${name}`, text }]]]));
  if (writer === undefined) {
    tell('load-balancer addresses cannot be given out: a folder of objects has no status to write them into');
    return undefined;
  }
  return runElection({
    writer,
    namespace,
    name,
    identity,
    clock,
    pace,
    leading,
    hindered: text => tell(text && `no election of who gives out load-balancer addresses: ${text}; it is tried again`),
    ...(random === undefined ? {} : { random }),
  });
}

function startGiver(
  { writer, clock, report, logger }: BalancerParts,
  ranges: readonly IpPrefix[],
  mayAct: () => boolean,
): (() => void) | undefined {
  if (writer === undefined) return undefined;
  const given = (host: string, subnets: string): void => logger.info({ host, subnets }, 'subnets given out');
  return startSubnetGiver({ writer, ranges, mayAct, clock, report, given });
}

function writerOf(
  { writer, clock, report, logger }: BalancerParts,
  mayAct: () => boolean,
): ReturnType<typeof createStatusWriter> | undefined {
  if (writer === undefined) return undefined;
  return createStatusWriter({
    writer,
    mayAct,
    clock,
    report,
    written: ({ namespace, name, ips, before }) =>
      logger.info({ service: `${namespace}/${name}`, addresses: ips, before }, 'load-balancer addresses written'),
  });
}

/** Waits for something, but not for longer than that. */
async function within(clock: Clock, milliseconds: number, done: Promise<void>): Promise<void> {
  let timer: TimerHandle | undefined;
  const patience = new Promise<void>(resolve => {
    timer = clock.setTimeout(resolve, milliseconds);
  });
  await Promise.race([done, patience]);
  timer?.cancel();
}
