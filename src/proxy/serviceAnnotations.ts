/** What a Service's annotations say of how it is balanced: kube-router's, and one of our own for weights. */

import type { Service } from '../kube/objectTypes.js';
import { SCHEDULERS, type Scheduler, type Scheduling } from './proxyTypes.js';
import { ROUND_ROBIN } from './proxyRules.js';

const SCHEDULER = 'kube-router.io/service.scheduler';
const FLAGS = 'kube-router.io/service.schedflags';
const DSR = 'kube-router.io/service.dsr';
const WEIGHTS = 'peerage.io/service.weights';

/** More slots than this for one backend would make tables large for nothing. */
const LARGEST_WEIGHT = 100;

/** By node name, by address of an endpoint, and `*` for all others. */
export type Weights = ReadonlyMap<string, number>;

export interface Balancing {
  readonly scheduling: Scheduling;
  readonly dsr: boolean;
  /** Undefined: all are equal. */
  readonly weights: Weights | undefined;
  /** What could not be read, as sentences. */
  readonly complaints: readonly string[];
}

/** @param general where the Service says nothing */
export function balancingOf({ annotations }: Pick<Service, 'annotations'>, general: Scheduling): Balancing {
  const weights = readWeights(annotations[WEIGHTS]);
  const scheduling = readScheduling(annotations[SCHEDULER], annotations[FLAGS], general);
  const dsr = annotations[DSR];
  const isWeighted = weights.weights !== undefined && annotations[SCHEDULER] === undefined;
  return {
    scheduling: isWeighted ? weighted(scheduling.scheduling) : scheduling.scheduling,
    dsr: dsr === 'tunnel',
    weights: weights.weights,
    complaints: [
      ...scheduling.complaints,
      ...weights.complaints,
      ...(dsr === undefined || dsr === 'tunnel'
        ? []
        : [`annotation ${DSR}: "${dsr}" is not "tunnel", the only mode there is; it has no effect`]),
    ],
  };
}

/** Schedulers that do not look at weights have a relative that does. */
function weighted(scheduling: Scheduling): Scheduling {
  if (scheduling.scheduler === 'rr') return { ...scheduling, scheduler: 'wrr' };
  return scheduling.scheduler === 'lc' ? { ...scheduling, scheduler: 'wlc' } : scheduling;
}

function readScheduling(
  name: string | undefined,
  flags: string | undefined,
  general: Scheduling,
): { readonly scheduling: Scheduling; readonly complaints: readonly string[] } {
  const known = name === undefined || isScheduler(name);
  const base = name === undefined ? general : { ...ROUND_ROBIN, scheduler: isScheduler(name) ? name : 'rr' };
  const given = items(flags);
  const strangers = given.filter(flag => !/^flag-[123]$/.test(flag));
  const complaints = [
    ...(known ? [] : [`annotation ${SCHEDULER}: "${name}" is none of ${SCHEDULERS.join(', ')}; rr is taken`]),
    ...strangers.map(flag => `annotation ${FLAGS}: "${flag}" is none of flag-1, flag-2, flag-3; it is left out`),
  ];
  // Only the hashing schedulers have flags; to others the kernel gives no meaning.
  const takesFlags = base.scheduler === 'mh' || base.scheduler === 'sh';
  if (given.length === 0 || !takesFlags) {
    const idle = given.length > 0 ? [`annotation ${FLAGS}: ${base.scheduler} knows no flags; it has no effect`] : [];
    return { scheduling: base, complaints: [...complaints, ...idle] };
  }
  const has = (flag: string): boolean => given.includes(flag);
  const scheduling = { ...base, fallback: has('flag-1'), port: has('flag-2'), flag3: has('flag-3') };
  return { scheduling, complaints };
}

function isScheduler(text: string): text is Scheduler {
  return SCHEDULERS.some(scheduler => scheduler === text);
}

function readWeights(text: string | undefined): {
  readonly weights: Weights | undefined;
  readonly complaints: readonly string[];
} {
  const weights = new Map<string, number>();
  const complaints: string[] = [];
  for (const item of items(text)) {
    const [, name, digits] = /^([^=]+)=(\d{1,3})$/.exec(item) ?? [];
    const weight = Number(digits);
    if (name !== undefined && weight <= LARGEST_WEIGHT) weights.set(name, weight);
    else
      complaints.push(
        `annotation ${WEIGHTS}: "${item}" is not NODE=WEIGHT, ADDRESS=WEIGHT or *=WEIGHT with a weight of 0 to ${LARGEST_WEIGHT}; it is left out`,
      );
  }
  return { weights: weights.size === 0 ? undefined : weights, complaints };
}

function items(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
}
