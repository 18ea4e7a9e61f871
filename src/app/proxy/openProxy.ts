/** Opens the service proxy of an agent: the backend its configuration asks for, its health and its metrics. Impure. */

import { cpus, release } from 'node:os';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { systemClock } from '../../core/clock.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import { kernelSwitches } from '../../kernel/sysctl.js';
import { runtimeAt } from '../../proxy/dsr/lazyRuntime.js';
import { withHostRoutes } from '../../proxy/hostRoutes/withHostRoutes.js';
import type { OpenProxyBackend } from '../../proxy/proxyBackend.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { createServiceEvents } from '../events/serviceEvents.js';
import { afterPolicies, type RulesInForce } from './afterPolicies.js';
import { chooseBackend } from './chooseBackend.js';
import { withAgentDsr } from './dsr.js';
import { openHealthServer } from './healthServer.js';
import { createHostRouteLog } from './hostRouteLog.js';
import { afterModeChange } from './modeChange.js';
import { createProxyHealth, type ProxyHealth } from './proxyHealth.js';
import { createProxyMetrics } from './proxyMetrics.js';
import { proxySettings } from './proxyOptions.js';
import { startProxy, type RunningProxy, type RunningProxyOptions } from './runningProxy.js';
import { withSwitches } from './switchKeeper.js';

export interface OpenProxyOptions {
  readonly settings: Kubernetes;
  readonly nodeName: string;
  /** Undefined: objects come from a folder, and there is nobody to tell what is wrong with them. */
  readonly writer: ApiWriter | undefined;
  /** Where it is remembered what kernel switches said before. */
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
  readonly registry: Registry;
  /** Services wait for them, by what they are called. Undefined: nobody here enforces these. */
  readonly rules: Readonly<Record<string, RulesInForce | undefined>>;
}

export interface OpenedProxy extends RunningProxy {
  readonly health: ProxyHealth;
}

/** @throws Error when the kernel cannot be reached */
export async function openProxy(options: OpenProxyOptions): Promise<OpenedProxy> {
  const { settings, logger, report, registry } = options;
  const { mode, healthPort: port, healthAddress: address } = settings.proxy;
  const health = createProxyHealth(systemClock);
  const metrics = createProxyMetrics([registry]);
  const open = equipped(chooseBackend(mode, logger), options);
  const openEvents = eventsOf(options);
  const proxy = await startProxy({ open, clock: systemClock, logger, health, metrics, report, openEvents });
  logger.info({ mode, backend: proxy.view.backend }, 'service proxy starting');
  const closeHealth = openHealthServer({
    port,
    address,
    health,
    logger,
    answered: (kind, status) => metrics.healthAnswered(kind, status),
  });
  return {
    health,
    view: proxy.view,
    attach: ordering => proxy.attach(ordering),
    update: update => proxy.update(update),
    scrape: () => proxy.scrape(),
    stop: async () => {
      closeHealth();
      await proxy.stop();
    },
  };
}

function eventsOf({
  writer,
  nodeName: node,
  report,
}: OpenProxyOptions): NonNullable<RunningProxyOptions['openEvents']> {
  return known =>
    writer === undefined ? undefined : createServiceEvents({ ...known, writer, node, clock: systemClock, report });
}

/** The backend with what it needs around it on this machine: kernel switches, routes to services, an end of another mode. */
function equipped(
  open: OpenProxyBackend,
  { settings, stateDirectory, logger, report, rules }: OpenProxyOptions,
): OpenProxyBackend {
  const onRouteEvent = createHostRouteLog({ logger, report });
  const { ipvs } = proxySettings(settings, undefined, []);
  const { runtimeEndpoint } = ipvs;
  const switches = kernelSwitches;
  const direct = withAgentDsr(open, { runtimeEndpoint, switches, stateDirectory, logger, report });
  const switched = withSwitches(withHostRoutes(direct, { clock: systemClock, onRouteEvent }), {
    switches,
    machine: { cores: cpus().length, kernelRelease: release() },
    conntrack: settings.proxy.conntrack,
    stateDirectory,
    clock: systemClock,
    logger,
    report,
  });
  const changed = afterModeChange(switched, {
    clock: systemClock,
    logger,
    patience: ipvs.gracefulPeriod * 1000,
    leftovers: { excluded: ipvs.excludedCidrs, openRuntime: runtimeAt(runtimeEndpoint) },
  });
  const enforced = new Map(Object.entries(rules).flatMap(([name, of]) => (of === undefined ? [] : [[name, of]])));
  return enforced.size === 0 ? changed : afterPolicies(changed, { rules: enforced, clock: systemClock, report });
}
