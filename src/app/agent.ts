/** `peerage agent`: the router of one Kubernetes node, fed by an API server or a folder of manifests. Impure. */

import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { Subject, startWith } from 'rxjs';
import { DEFAULT_CONTROL_PATH } from '../api/controlPath.js';
import { systemClock } from '../core/clock.js';
import type { EngineConfig } from '../engine/engineTypes.js';
import { createProblemSet, type ProblemReport, type ProblemSet } from '../kube/problems.js';
import { forgetBandwidth, openBandwidth, type OpenedBandwidth } from './bandwidth/openBandwidth.js';
import { reportProblems, tellOwnNode, tellStateFile } from './agentReports.js';
import { openClusterSource, type ClusterSource, type Part } from './clusterSource.js';
import { formatConfigErrors } from './config/configError.js';
import { toEngineConfig } from './config/engineConfig.js';
import { askForSubnets, withSubnets } from './edge/edgeHost.js';
import { createPolicyEvents, type PolicyEvents } from './events/policyEvents.js';
import type { GivenFlags } from './flags/flag.js';
import { notices } from './flags/readFlags.js';
import { createEgressShow, type EgressShow } from './egressAddresses/egressView.js';
import { hasEgressAddresses, openPodAddresses } from './egressAddresses/openPodAddresses.js';
import { agentGraph } from './graph.js';
import { StageError } from './graphParts.js';
import type { AgentConfig } from './kubeConfig.js';
import { loadAgentConfig, type LoadedAgentConfig } from './kubeConfigFile.js';
import { watchConfig } from './watchConfig.js';
import { createEngineComposer } from './kubeEngine.js';
import { plumbingOptions } from './kubeOptions.js';
import { openStateFile, STATE_FILE } from './lastState/stateFile.js';
import { lateChanges } from './lateSettings.js';
import { createBalancer } from './loadBalancer/balancer.js';
import { createLogger, type LogFormat } from './logging.js';
import { logOverlayEvent, overlayProblems } from './overlayLog.js';
import { awaitFirstReading } from './observe/firstReading.js';
import { createMetrics, type Metrics } from './observe/metrics.js';
import { openObservation } from './observe/openObservation.js';
import { rangesOfCniFile } from './plumbing/cniFile.js';
import { openPlumbing, tellLeftOfRouter } from './plumbing/openPlumbing.js';
import { firewallOf } from './policy/openFirewall.js';
import type { RunningFirewall } from './policy/runningFirewall.js';
import { openProxy, type OpenedProxy } from './proxy/openProxy.js';
import { forgetTenants, openTenants, type OpenedTenants } from './tenants/openTenants.js';
import { endNow, endOnBug, runUntilSignal } from './process.js';
import { routeOwner, startRouter, type RunningRouter } from './router.js';
import { reportFields } from './speaker.js';

export interface AgentOptions {
  /** Folder of Kubernetes objects, instead of an API server. */
  readonly manifests?: string;
  /** Configuration file; everything has a default. */
  readonly config?: string;
  /** Flags of the command line that go before the configuration file. */
  readonly flags?: GivenFlags;
  /** Overrides the configuration. */
  readonly nodeName?: string;
  /** Overrides the configuration. */
  readonly control?: string;
  readonly logLevel?: string;
  readonly logFormat?: LogFormat;
  /** End with Cease and remove kernel routes even when graceful restart is configured. */
  readonly withdrawOnExit: boolean;
}

/** Runs until a signal ends it. @returns the exit code */
export async function runAgent(options: AgentOptions): Promise<number> {
  const loaded = loadAgentConfig(options.config, options.flags);
  if (!loaded.ok) return refuse(formatConfigErrors(loaded.error));
  const { settings } = loaded.value;
  const { kubeconfig, apiServer: master } = settings.kubernetes;
  const metrics = createMetrics();
  const nodeName = options.nodeName ?? settings.kubernetes.nodeName ?? process.env['NODE_NAME'] ?? hostname();
  const source = await openClusterSource({
    counters: metrics,
    nodeName,
    parts: partsOf(settings.kubernetes),
    ...(options.manifests === undefined ? {} : { manifests: options.manifests }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(master === undefined ? {} : { master }),
  });
  if (!source.ok) return refuse(source.error);
  const logger = createLogger(options.logLevel ?? settings.log.level, options.logFormat);
  endOnBug(logger);
  logger.info({ node: nodeName, ...source.value.from }, 'agent starting');
  for (const notice of notices(options.flags ?? new Map())) logger.warn(notice);
  const problems = createProblemSet();
  let overlayChanged = (): void => undefined;
  const { writer } = source.value;
  const tell = (found: ProblemReport): void => reportProblems(problems, found, logger);
  const events =
    writer === undefined ? undefined : createPolicyEvents({ writer, node: nodeName, clock: systemClock, report: tell });
  const report = (found: ProblemReport): void => {
    tell(found);
    events?.take(found);
  };
  if (!settings.kubernetes.run.router) await tellLeftOfRouter(routeOwner(settings.fib), logger);
  const firewall = await firewallOf(settings.kubernetes, { logger, report, registry: metrics.registry });
  const tenants = await tenantsOf(settings, { nodeName, writer, logger, report, metrics });
  const proxy = settings.kubernetes.run.serviceProxy
    ? await openProxy({
        settings: settings.kubernetes,
        nodeName,
        writer,
        stateDirectory: dirname(options.control ?? settings.control ?? DEFAULT_CONTROL_PATH),
        logger,
        report,
        registry: metrics.registry,
        rules: { 'network policies': firewall, tenants },
      })
    : undefined;
  const bandwidth = await bandwidthOf(settings, { logger, report, registry: metrics.registry });
  const egress = hasEgressAddresses(settings.kubernetes) ? createEgressShow(nodeName) : undefined;
  const router = await startRouter({
    fib: settings.fib,
    controlPath: options.control ?? settings.control ?? DEFAULT_CONTROL_PATH,
    logger,
    ownThread: true,
    rib: settings.rib,
    onOverlay: event => {
      logOverlayEvent(logger, event);
      overlayChanged();
    },
    watcher: metrics,
    problems: () => problems.list(),
    ...(proxy === undefined ? {} : { services: proxy.view }),
    ...(bandwidth === undefined ? {} : { bandwidth: bandwidth.view }),
    ...(firewall === undefined ? {} : { policies: firewall.view }),
    ...(tenants === undefined ? {} : { tenants: tenants.view }),
    ...(egress === undefined ? {} : { egress: egress.view }),
  });
  const { overlay } = router;
  if (overlay !== undefined)
    overlayChanged = () => reportProblems(problems, new Map([['overlay', overlayProblems(overlay.failures)]]), logger);
  const parts = {
    options,
    nodeName,
    loaded: loaded.value,
    source: source.value,
    logger,
    problems,
    report,
    events,
    metrics,
    router,
    firewall,
    tenants,
    bandwidth,
    egress,
    proxy,
  };
  return runGraph(parts);
}

const PARTS = ['serviceProxy', 'firewall', 'bandwidth', 'tenants', 'egressAddresses'] as const;

/** What runs besides the router. */
function partsOf(kubernetes: AgentConfig['kubernetes']): readonly Part[] {
  const { run, tenancy } = kubernetes;
  const parts = { ...run, tenants: tenancy === 'namespace', egressAddresses: hasEgressAddresses(kubernetes) };
  return PARTS.filter(part => parts[part]);
}

/** Undefined: namespaces are not kept apart; what a former life left that did is taken away. */
async function tenantsOf(
  { kubernetes: settings }: AgentConfig,
  {
    metrics: { registry },
    ...parts
  }: Pick<Parts, 'nodeName' | 'logger' | 'metrics'> & {
    readonly writer: ClusterSource['writer'];
    readonly report: (found: ProblemReport) => void;
  },
): Promise<OpenedTenants | undefined> {
  if (settings.tenancy === 'namespace') return openTenants({ ...parts, settings, clock: systemClock, registry });
  await forgetTenants().catch((error: unknown) =>
    parts.logger.warn({ err: error }, 'tenants of a former life may be left'),
  );
  return undefined;
}

/** Of kube-router's images. */
const CNI_FILE = process.env['KUBE_ROUTER_CNI_CONF_FILE'];

/** Undefined: nobody limits pods; limits that a former life left are taken out. */
async function bandwidthOf(
  { kubernetes: { run } }: AgentConfig,
  parts: Parameters<typeof openBandwidth>[0],
): Promise<OpenedBandwidth | undefined> {
  if (run.bandwidth) return openBandwidth(parts);
  await forgetBandwidth().catch((error: unknown) =>
    parts.logger.warn({ err: error }, 'limits of pods of a former life may be left'),
  );
  return undefined;
}

/** Milliseconds between GRACEFUL_SHUTDOWN and the end of sessions, when routes are not kept over a restart. */
const DRAIN_TIME = 1000;

interface Parts {
  readonly options: AgentOptions;
  readonly nodeName: string;
  readonly loaded: LoadedAgentConfig;
  readonly source: ClusterSource;
  readonly logger: Logger;
  readonly problems: ProblemSet;
  /** Keeps problems, logs what is new or gone, and tells the cluster. */
  readonly report: (found: ProblemReport) => void;
  /** Undefined: objects come from a folder, and there is nobody to tell what is wrong with them. */
  readonly events: PolicyEvents | undefined;
  readonly metrics: Metrics;
  readonly router: RunningRouter;
  /** Undefined: nobody enforces network policies, or another program does. */
  readonly firewall: RunningFirewall | undefined;
  /** Undefined: namespaces are not kept apart. */
  readonly tenants: OpenedTenants | undefined;
  /** Undefined: nobody limits pods. */
  readonly bandwidth: OpenedBandwidth | undefined;
  /** Undefined: nobody can have egress addresses. */
  readonly egress: EgressShow | undefined;
  /** Undefined: another program serves services. */
  readonly proxy: OpenedProxy | undefined;
}

/** Runs the graph until a signal comes or a source fails. @returns the exit code */
async function runGraph({
  options,
  nodeName,
  loaded,
  source,
  logger,
  problems,
  report,
  events,
  metrics,
  router,
  firewall,
  tenants,
  bandwidth,
  egress,
  proxy,
}: Parts): Promise<number> {
  const settings = new Subject<AgentConfig>();
  const applied: { config?: EngineConfig } = {};
  const apply = (config: EngineConfig): void => {
    applied.config = config;
    const begun = performance.now();
    void router.apply(config).then(report => {
      metrics.applied((performance.now() - begun) / 1000);
      const fields = reportFields(report);
      if (Object.keys(fields).length > 0) logger.info(fields, 'configuration applied');
    });
  };
  const tellOwn = tellOwnNode(nodeName, report, logger);
  let current = loaded.settings;
  let isCordoned = false;
  let granted: readonly string[] = [];
  const drainCordoned = (): void =>
    void router.draining.set('cordon', isCordoned && current.kubernetes.onCordon === 'gracefulShutdown');
  const plumbing = openPlumbing({ nodeName, logger, report });
  const podAddresses = openPodAddresses({
    settings: loaded.settings.kubernetes,
    nodeName,
    writer: source.writer,
    protocol: loaded.settings.fib.protocol,
    logger,
    report,
    registry: metrics.registry,
  });
  const stateDirectory = dirname(options.control ?? loaded.settings.control ?? DEFAULT_CONTROL_PATH);
  const stateFile = openStateFile({
    path: join(stateDirectory, STATE_FILE),
    nodeName,
    clock: systemClock,
    failed: tellStateFile(report),
  });
  const firstReading = awaitFirstReading(systemClock, current.kubernetes.cacheSyncTimeout, report);
  const leading = new Subject<boolean>();
  const balancer = createBalancer({
    writer: source.writer,
    identity: nodeName,
    clock: systemClock,
    logger,
    report,
    leading: isLeading => leading.next(isLeading),
  });
  const graph = agentGraph({
    nodeName,
    lastState: stateFile,
    settleTime: current.kubernetes.services.settleTime * 1000,
    leading,
    cutOff: podAddresses.cutOff,
    cniFile: CNI_FILE,
    objects: source.objects,
    settings: settings.pipe(startWith(loaded.settings)),
    // Who learned no routes has none in the kernel, and still has its own networks and services there.
    compose: createEngineComposer(config => toEngineConfig(config, router.restarted || stateFile.saved !== undefined)),
    derived: seconds => metrics.derived(seconds),
    announced: networks => metrics.announced(networks),
    attachPlanes: ordering => {
      firewall?.attach(ordering);
      tenants?.attach(ordering);
      proxy?.attach(ordering);
    },
    tenantNumbers: source.writer === undefined ? 'derived' : 'given',
    pods: { formerCidrs: rangesOfCniFile(plumbingOptions(loaded.settings, CNI_FILE).cni.file) },
    sinks: {
      ...(firewall === undefined ? {} : { policy: update => firewall.update(update) }),
      ...(tenants === undefined ? {} : { tenants: update => tenants.update(update) }),
      ...(proxy === undefined ? {} : { proxy: update => proxy.update(update) }),
      ...(bandwidth === undefined ? {} : { bandwidth: update => bandwidth.update(update) }),
      apply,
      problems: report,
      ownNode: own => {
        firstReading.complete();
        tellOwn(own);
        isCordoned = own?.cordoned === true;
        drainCordoned();
      },
      overlayOptions: overlay => router.overlay?.configure(overlay),
      overlay: ({ own, nodes }) => router.overlay?.update(own, nodes),
      plumbingOptions: next => plumbing.configure({ ...next, stateDirectory }),
      plumbing: batch => {
        events?.nodesChanged(batch);
        plumbing.nodesChanged(batch);
      },
      ...(egress === undefined ? podAddresses.sinks : egress.beside(podAddresses.sinks)),
      loadBalancer: outcome => balancer.update(outcome),
    },
  });
  const endObservation = openObservation({
    settings: loaded.settings.kubernetes,
    metrics,
    problems,
    peers: () => router.engine.peers(),
    others: podAddresses.answers,
    isConfigured: () => !current.kubernetes.run.router || applied.config !== undefined,
    beforeScrape: async () => {
      await Promise.all([proxy?.scrape(), firewall?.scrape(), tenants?.scrape()]);
    },
    logger,
  });
  const endAsking = askForSubnets({
    settings: loaded.settings.kubernetes,
    writer: source.writer,
    name: nodeName,
    report,
    granted: subnets => {
      granted = subnets;
      settings.next(withSubnets(current, granted));
    },
  });
  const reloader = watchConfig(options, loaded, report, next => {
    const late = lateChanges(loaded.settings, next.settings);
    if (late.length > 0) logger.warn({ changed: late }, 'these changes take effect after a restart');
    current = next.settings;
    drainCordoned();
    settings.next(withSubnets(current, granted));
  });
  let stopGraph = (): void => undefined;
  const failure = new Promise<unknown>(resolve => {
    const running = graph.subscribe({ error: resolve });
    stopGraph = () => {
      running.unsubscribe();
    };
  });
  const failed = await Promise.race([failure, runUntilSignal({ logger, reload: reloader.reload })]);
  // Where nothing was ever applied, routes of a former process are left as they were found.
  const isGraceful = applied.config === undefined || applied.config.gracefulRestart !== undefined;
  const keepRoutes = (isGraceful && !options.withdrawOnExit) || failed !== undefined;
  if (!keepRoutes) await router.draining.beforeStop(DRAIN_TIME);
  stopGraph();
  firstReading.stop();
  endAsking();
  await balancer.stop();
  source.close();
  endObservation();
  stateFile.close();
  await reloader.close();
  await plumbing.stop();
  await podAddresses.stop();
  await bandwidth?.stop();
  await proxy?.stop();
  await firewall?.stop();
  await tenants?.stop();
  events?.stop();
  if (failed instanceof StageError) return endNow(logger, failed.stage, failed);
  if (failed !== undefined)
    logger.fatal({ err: failed }, 'the source of Kubernetes objects failed; kernel routes are left in place');
  await router.stop({ keepRoutes });
  logger.info({ keepRoutes }, 'stopped');
  return failed === undefined ? 0 : 1;
}

function refuse(text: string): number {
  process.stderr.write(`${text}\n`);
  return 1;
}
