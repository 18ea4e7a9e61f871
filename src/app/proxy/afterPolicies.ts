/**
 * A backend that begins when network policies are in force: on a node that has just booted, services open no way to a pod
 * before it is known who may use it. Impure: it waits.
 */

import type { Clock } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { OpenProxyBackend } from '../../proxy/proxyBackend.js';

/** What is waited for. */
export interface PoliciesInForce {
  /** Everything that there was at the start is in the kernel. */
  readonly synced: Promise<void>;
  /** Policies of a former life were in the kernel, and are in force until then. */
  readonly hasFormer: boolean;
}

export interface AfterPoliciesOptions {
  readonly policies: PoliciesInForce;
  readonly clock: Pick<Clock, 'setTimeout'>;
  readonly report: (found: ProblemReport) => void;
}

/** Milliseconds after which it is told that services wait. With policies of a former life, they wait no longer. */
const PATIENCE = 10_000;
const OWNER = 'services wait for policies';

const WAITING = {
  subject: 'service proxy',
  text: 'no service is served on this node yet: network policies are not in force, and services would lead past them',
};

/** Settings and wishes are passed on at once: they are in memory only until `begin`. */
export function afterPolicies(open: OpenProxyBackend, options: AfterPoliciesOptions): OpenProxyBackend {
  return async onEvent => {
    const backend = await open(onEvent);
    let hasEnded = false;
    let begun: Promise<void> | undefined;
    const begin = async (): Promise<void> => {
      await inForce(options);
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

async function inForce({ policies, clock, report }: AfterPoliciesOptions): Promise<void> {
  let goOn = (): void => undefined;
  const former = new Promise<void>(resolve => (goOn = resolve));
  const late = clock.setTimeout(() => {
    if (policies.hasFormer) goOn();
    else report(new Map([[OWNER, [WAITING]]]));
  }, PATIENCE);
  await Promise.race([policies.synced, former]);
  late.cancel();
  report(new Map([[OWNER, []]]));
}
