/**
 * A backend that begins when network policies and tenants are in force: on a node that has just booted, services open no
 * way to a pod before it is known who may use it. Impure: it waits.
 */

import type { Clock } from '../../core/clock.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import type { OpenProxyBackend } from '../../proxy/proxyBackend.js';

/** What is waited for: one of those that say who may use a pod. */
export interface RulesInForce {
  /** Everything that there was at the start is in the kernel. */
  readonly synced: Promise<void>;
  /** Rules of a former life were in the kernel, and are in force until then. */
  readonly hasFormer: boolean;
}

export interface AfterPoliciesOptions {
  /** By what they are called. */
  readonly rules: ReadonlyMap<string, RulesInForce>;
  readonly clock: Pick<Clock, 'setTimeout'>;
  readonly report: (found: ProblemReport) => void;
}

/** Milliseconds after which it is told that services wait. With rules of a former life, they wait no longer. */
const PATIENCE = 10_000;

/** Settings and wishes are passed on at once: they are in memory only until `begin`. */
export function afterPolicies(open: OpenProxyBackend, options: AfterPoliciesOptions): OpenProxyBackend {
  return async onEvent => {
    const backend = await open(onEvent);
    let hasEnded = false;
    let begun: Promise<void> | undefined;
    const begin = async (): Promise<void> => {
      await Promise.all([...options.rules].map(([name, rules]) => inForce(name, rules, options)));
      if (!hasEnded) backend.begin();
    };
    return {
      kind: backend.kind,
      configure: settings => backend.configure(settings),
      apply: delta => backend.apply(delta),
      begin: () => {
        begun ??= begin();
      },
      read: keys => backend.read(keys),
      counters: () => backend.counters(),
      idle: async () => {
        await begun;
        await backend.idle();
      },
      stop: () => {
        hasEnded = true;
        return backend.stop();
      },
    };
  };
}

async function inForce(
  name: string,
  rules: RulesInForce,
  { clock, report }: Pick<AfterPoliciesOptions, 'clock' | 'report'>,
): Promise<void> {
  const owner = `services wait for ${name}`;
  let goOn = (): void => undefined;
  const former = new Promise<void>(resolve => (goOn = resolve));
  const late = clock.setTimeout(() => {
    if (rules.hasFormer) goOn();
    else report(new Map([[owner, [waitingFor(name)]]]));
  }, PATIENCE);
  await Promise.race([rules.synced, former]);
  late.cancel();
  report(new Map([[owner, []]]));
}

function waitingFor(name: string): Problem {
  return {
    subject: 'service proxy',
    text: `no service is served on this node yet: ${name} are not in force, and services would lead past them`,
  };
}
