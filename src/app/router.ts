/**
 * A running router: engine, kernel and control API wired together. Speaker and agent differ only in where their
 * configuration comes from.
 */

import { systemClock } from '../core/clock.js';
import type { Logger } from 'pino';
import { Subject } from 'rxjs';
import { createControlServer } from '../api/server.js';
import type { BandwidthView } from '../api/bandwidthView.js';
import type { EgressView } from '../api/egressView.js';
import type { PoliciesView } from '../api/policyView.js';
import type { TenantsView } from '../api/tenantView.js';
import type { ServicesView } from '../api/serviceView.js';
import { NotReady, type RouterView } from '../api/view.js';
import type { ApplyReport, EngineConfig, EngineEvent, EngineOptions } from '../engine/engineTypes.js';
import type { FibEvent, WrittenBatch } from '../fib/fibTypes.js';
import { openKernelRouting, type KernelRouting } from '../fib/kernelRouting.js';
import type { Ownership } from '../fib/ownership.js';
import type { Overlay, OverlayEvent } from '../fib/overlay/overlay.js';
import { RT_TABLE_MAIN } from '../kernel/rtnetlink.js';
import type { StandingProblem } from '../kube/problems.js';
import type { RibChanges } from '../rib/changes.js';
import type { RibOptions } from './config/schema.js';
import type { EngineClient } from './engine/client.js';
import { startEngineHere } from './engine/here.js';
import { startEngineThread } from './engine/thread.js';
import { createDraining, type Draining } from './draining.js';
import { createEngineLog, logFibEvent } from './logging.js';
import { endNow } from './process.js';

const WAITING = 'the router waits for its configuration';

export interface RouterSettings {
  readonly fib: {
    readonly install: boolean;
    readonly table: 'main' | number;
    readonly protocol: number;
    readonly metric: number;
    /** Seconds between two readings of the kernel's routes. */
    readonly readInterval: number;
  };
  readonly controlPath: string;
  readonly logger: Logger;
  /** Run the engine on a thread of its own, because this one has other work. */
  readonly ownThread: boolean;
  readonly rib?: RibOptions | undefined;
  /** The machine is a node of a cluster, and reaches others through tunnels: told what becomes of them. */
  readonly onOverlay?: (event: OverlayEvent) => void;
  /** Told everything that happens, besides the log. */
  readonly watcher?: {
    engineEvent(event: EngineEvent): void;
    fibEvent(event: FibEvent): void;
    routesWritten(batch: WrittenBatch): void;
    /** So many prefixes have another best path, or none any more. */
    bestPathsChanged(count: number): void;
  };
  /** What is wrong outside the engine, for `show problems`. */
  readonly problems?: () => readonly StandingProblem[];
  /** What the service proxy shows; absent where none runs. */
  readonly services?: ServicesView;
  /** Of the firewall, if one runs. */
  readonly policies?: PoliciesView;
  /** What is shown of limits of pods; absent where nobody limits them. */
  readonly bandwidth?: BandwidthView;
  /** What is shown of tenants; absent where namespaces are not kept apart. */
  readonly tenants?: TenantsView;
  /** What is shown of egress addresses; absent where nobody can have any. */
  readonly egress?: EgressView;
}

export interface RunningRouter {
  /** Routes of a former process were found in the kernel: this one says so to its peers (RFC 4724). */
  readonly restarted: boolean;
  readonly engine: EngineClient;
  /** Lets traffic turn away before something happens. */
  readonly draining: Draining;
  /** Absent unless asked for, and where no routes are installed. */
  readonly overlay?: Overlay;
  apply(config: EngineConfig): Promise<ApplyReport>;
  /** @param keepRoutes leave kernel routes in place and close sessions silently, for a restart that nobody notices */
  stop(options: { readonly keepRoutes: boolean; readonly message?: string }): Promise<void>;
}

/**
 * Opens kernel and control socket. Nothing is listened on, connected to or written before the first `apply`.
 * @throws Error when another router answers on the control socket, or the kernel cannot be read
 */
export async function startRouter({
  fib,
  controlPath,
  logger,
  ownThread,
  rib,
  onOverlay,
  watcher,
  problems,
  services,
  policies,
  bandwidth,
  tenants,
  egress,
}: RouterSettings): Promise<RunningRouter> {
  // The joints between engine and kernel carry batches, never single routes.
  const changes = new Subject<RibChanges>();
  const engineEvents = new Subject<EngineEvent>();
  const fibEvents = new Subject<FibEvent>();
  engineEvents.subscribe(createEngineLog(logger));
  fibEvents.subscribe(event => logFibEvent(logger, event));
  engineEvents.subscribe(event => watcher?.engineEvent(event));
  fibEvents.subscribe(event => watcher?.fibEvent(event));
  changes.subscribe(({ count }) => watcher?.bestPathsChanged(count));

  let adopted = 0;
  fibEvents.subscribe(event => {
    if (event.kind === 'adopted') adopted += event.routes;
  });
  const kernel = fib.install ? await openKernel(fib, event => fibEvents.next(event), onOverlay, watcher) : undefined;
  if (kernel !== undefined) changes.subscribe(batch => kernel.fib?.apply(batch));

  const expected = rib?.expectedRoutes;
  const options: EngineOptions = {
    trackNextHops: kernel !== undefined,
    ...(expected === undefined
      ? {}
      : { expectedRoutes: [expected['ipv4-unicast'], expected['ipv6-unicast']] as const }),
    listeners: {
      ...(kernel === undefined ? {} : { changes: (batch: RibChanges) => changes.next(batch) }),
      event: event => engineEvents.next(event),
      nextHops: (added, removed) => {
        if (kernel === undefined) return;
        engine.setNextHops(added.map(address => kernel.resolver.watch(address)));
        for (const address of removed) kernel.resolver.unwatch(address);
      },
    },
  };
  const engine = ownThread
    ? startEngineThread(options, error => endNow(logger, 'engine', error))
    : await startEngineHere(options);
  kernel?.resolver.subscribe(changed => engine.setNextHops(changed));
  engineEvents.subscribe(event => {
    if (event.kind === 'converged') kernel?.fib?.sourcesComplete();
  });

  const draining = createDraining(isOn => engine.drain(isOn), systemClock);
  let isConfigured = false;
  const view: RouterView = {
    ...engine,
    summary: async () => {
      const others = (problems?.() ?? []).map(({ subject, text }) => `${subject}: ${text}`);
      if (!isConfigured) throw new NotReady([WAITING, ...others].join('; '));
      const summary = await engine.summary();
      return { ...summary, problems: [...summary.problems, ...others] };
    },
    fib: query => kernel?.fib?.routes(query) ?? [],
    drain: isOn => draining.set('operator', isOn),
    ...(services === undefined ? {} : { services }),
    ...(policies === undefined ? {} : { policies }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(tenants === undefined ? {} : { tenants }),
    ...(egress === undefined ? {} : { egress }),
    problems: async () => {
      const ofEngine = isConfigured ? (await engine.summary()).problems : [WAITING];
      const others = (problems?.() ?? []).map(problem => ({ ...problem, since: problem.since.toISOString() }));
      return [...ofEngine.map(text => ({ subject: 'router', text, since: null })), ...others];
    },
  };
  const control = await createControlServer({ path: controlPath, view }).catch(async (error: unknown) => {
    await kernel?.stop({ keepRoutes: true });
    throw error;
  });
  return {
    restarted: adopted > 0,
    engine,
    draining,
    ...(kernel?.overlay === undefined ? {} : { overlay: kernel.overlay }),
    apply: config => {
      isConfigured = true;
      return engine.apply(config);
    },
    stop: async ({ keepRoutes, message }) => {
      await control.close();
      // Ending sessions empties the RIB. That is no news for the kernel: what becomes of its routes is said below.
      changes.complete();
      await engine.stop(keepRoutes ? 'gracefulRestart' : 'shutdown', message);
      await kernel?.stop({ keepRoutes });
    },
  };
}

/** Which routes of the kernel are ours. */
export function routeOwner({ protocol, table, metric }: Pick<RouterSettings['fib'], keyof Ownership>): Ownership {
  return { protocol, table: table === 'main' ? RT_TABLE_MAIN : table, metric };
}

async function openKernel(
  fib: RouterSettings['fib'],
  onEvent: (event: FibEvent) => void,
  onOverlayEvent: RouterSettings['onOverlay'],
  watcher: RouterSettings['watcher'],
): Promise<KernelRouting> {
  const kernel = openKernelRouting({
    owner: routeOwner(fib),
    readBackInterval: fib.readInterval * 1000,
    install: true,
    onEvent,
    onWritten: batch => watcher?.routesWritten(batch),
    ...(onOverlayEvent === undefined ? {} : { onOverlayEvent }),
  });
  await kernel.start();
  return kernel;
}
