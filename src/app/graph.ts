/**
 * The agent's graph on one page: what flows from Kubernetes and the configuration file to the BGP engine, and in which
 * order.
 *
 *   manifests ─► inbox ─► gate (synced) ─► gather ─┬► overlay ──► tunnels (before any route through them)
 *                  │                               ├► policy ────► network policies in the kernel (before BGP begins)
 *                  │                               ├► tenants ───► networks of namespaces in the kernel
 *                  │                               ├► proxy ─────► services in the kernel (before their announcement)
 *                  │                               ├► plumbing ─► bridge, CNI file, egress, kernel switches
 *                  │                               ├► bandwidth ► limits on the links of pods
 *                  │                               ├► loadBalancer ─► status of services, where we hold the Lease
 *                  │                               └► routing ─┐
 *                  │                                           ├─► engineConfig ─► apply
 *   configuration ─┴───────────────────────────────────────────┘
 *                problems of every stage ─► sink
 */

import {
  defer,
  filter,
  map,
  merge,
  NEVER,
  of,
  share,
  skip,
  Subject,
  takeUntil,
  timer,
  type Observable,
  type OperatorFunction,
  type SchedulerLike,
} from 'rxjs';
import { systemClock, type Clock } from '../core/clock.js';
import type { IpPrefix } from '../core/ip.js';
import type { EngineConfig } from '../engine/engineTypes.js';
import type { OverlayOptions } from '../fib/overlay/overlayOptions.js';
import type { SourceEvent } from '../kube/client/folder.js';
import { mergeBatches, mergeInto, type ObjectBatch, type ObjectChange } from '../kube/objectBatch.js';
import type { ObjectKey } from '../kube/objects.js';
import type { ProblemReport } from '../kube/problems.js';
import { egressListReport } from '../policy/egress/egressList.js';
import { unknownRulesReport } from '../policy/unknownRules.js';
import type { KeyedDelta, NetworkIntent, OwnNode, RoutingDelta, RoutingIntent } from '../routing/intent.js';
import { createRouting, type RoutingOutcome } from '../routing/routing.js';
import { DEFAULT_ROUTING } from '../routing/routingOptions.js';
import type { AntiSpoofOptions } from './antiSpoof/antiSpoof.js';
import { antiSpoofOptions } from './antiSpoof/openAntiSpoof.js';
import { createBandwidthStage, type BandwidthUpdate } from './bandwidth/bandwidthStage.js';
import { createEgressStage, type EgressInput, type EgressUpdate } from './egressAddresses/egressStage.js';
import { egressAddressOptions } from './egressAddresses/openPodAddresses.js';
import { gather, holdUntil, newInbox, sink, stage } from './graphParts.js';
import type { AgentConfig } from './kubeConfig.js';
import type { EngineInput, EngineOutcome } from './kubeEngine.js';
import { plumbingOptions, routingOptions } from './kubeOptions.js';
import { createResumption } from './lastState/resumption.js';
import { overlayOptions } from './overlayConfig.js';
import {
  balancerOptions,
  createBalancerStage,
  type BalancerInput,
  type BalancerOutcome,
} from './loadBalancer/balancerStage.js';
import { createOrdering, type Ordering } from './ordering.js';
import type { NodePlumbingOptions } from './plumbing/plumbingOptions.js';
import { createOverlayNodes, type OverlayUpdate } from './overlayNodes.js';
import { createPolicyStage, type PolicyInput, type PolicyUpdate } from './policy/policyStage.js';
import { earlyBatches } from './proxy/earlyBatches.js';
import { createProxyStage, type ProxyInput, type ProxyUpdate } from './proxy/proxyStage.js';
import { createTenantStage, type TenantInput, type TenantUpdate } from './tenants/tenantStage.js';

type Input =
  | { readonly kind: 'objects'; readonly event: SourceEvent }
  | { readonly kind: 'settings'; readonly settings: AgentConfig }
  | { readonly kind: 'services'; readonly delta: KeyedDelta<NetworkIntent> }
  | { readonly kind: 'leading'; readonly isLeading: boolean }
  | { readonly kind: 'fence'; readonly isShut: boolean };

/** Milliseconds over which a burst of changes is gathered. The first of a burst does not wait. */
const GATHER_TIME = 100;

/** As the configuration has it where it says nothing. */
const SETTLE_TIME = 2000;
/**
 * Milliseconds that BGP waits at the start for data planes: after a restart, peers keep our former routes until we tell
 * them that this is all.
 */
const PATIENCE = 10_000;
/** Milliseconds that the cluster has at the start to tell all, before the last good state is lived on. */
const RESUME_AFTER = 5000;

export interface GraphOptions {
  readonly nodeName: string;
  readonly objects: Observable<SourceEvent>;
  /** The configuration, and every later one. */
  readonly settings: Observable<AgentConfig>;
  readonly compose: (input: EngineInput) => EngineOutcome;
  /** What is known of this node's pods before objects are. */
  readonly pods?: { readonly formerCidrs: readonly IpPrefix[] };
  /** The CNI configuration to keep where the settings name none. */
  readonly cniFile?: string | undefined;
  /** How namespaces come to their tenant numbers; default: they are given out. */
  readonly tenantNumbers?: 'given' | 'derived';
  readonly sinks: GraphSinks;
  /** Called once, at the start: data planes that announcements shall wait for register here. */
  readonly attachPlanes?: (ordering: Ordering<NetworkIntent>) => void;
  /** Milliseconds that traffic has to turn away from an address before its data plane takes it out. */
  readonly settleTime?: number;
  /** What a former process wanted last, and where to keep what this one does. */
  readonly lastState?: { readonly saved: RoutingIntent | undefined; save(intent: () => RoutingIntent): void };
  /** Whether it is on us to give out load-balancer addresses. */
  readonly leading?: Observable<boolean>;
  /** Whether this node is cut off, and has to let go of egress addresses that it believes to be its own. */
  readonly cutOff?: Observable<boolean>;
  /** For metrics: seconds that one derivation took. */
  readonly derived?: (seconds: number) => void;
  /** For metrics: networks of our own that are announced, or announced otherwise. */
  readonly announced?: (networks: { readonly pods: number; readonly services: number }) => void;
  readonly clock?: Clock;
  readonly scheduler?: SchedulerLike;
}

/** Where the graph ends. */
export interface GraphSinks {
  apply(config: EngineConfig): void;
  overlayOptions(options: OverlayOptions): void;
  overlay(update: OverlayUpdate): void;
  plumbingOptions(options: NodePlumbingOptions): void;
  /** Bridge, CNI configuration and egress keep their own account of the nodes. */
  plumbing(batch: ObjectBatch): void;
  /** How pods are held to their own addresses. */
  antiSpoofOptions?(options: AntiSpoofOptions): void;
  /** Which addresses pods carry outside. Left out where nobody can have any: nothing is derived then. */
  egressAddresses?(update: EgressUpdate): void;
  /** Which services shall have which load-balancer addresses. */
  loadBalancer(outcome: BalancerOutcome): void;
  /** What the kernel shall do for services. Left out where another program does it: nothing is derived then. */
  proxy?(update: ProxyUpdate): void;
  /** Which connections the kernel shall let through. Left out where no firewall runs: nothing is derived then. */
  policy?(update: PolicyUpdate): void;
  /** Which pods are of which tenant. Left out without tenants: nothing is derived then. */
  tenants?(update: TenantUpdate): void;
  /** How much pods of this node may send and get. Left out where nobody limits them: nothing is derived then. */
  bandwidth?(update: BandwidthUpdate): void;
  problems(report: ProblemReport): void;
  /** Told after the first complete reading of the cluster and whenever it changes. */
  ownNode(own: OwnNode | undefined): void;
}

/**
 * Runs the graph for as long as somebody subscribes.
 * @returns no values; ends with the error of a source, or with a StageError, which is a bug of ours
 */
export function agentGraph(options: GraphOptions): Observable<never> {
  return defer(() => {
    const { sinks, clock = systemClock } = options;
    const inbox = newInbox<Input>();
    const routing = createRouting(options.nodeName, DEFAULT_ROUTING);
    const resumption = createResumption(options.lastState?.saved);
    const settled = new Subject<void>();
    const ordering = createOrdering<NetworkIntent>({
      clock,
      settleTime: options.settleTime ?? SETTLE_TIME,
      changed: delta => inbox.send({ kind: 'services', delta }),
      settled: () => settled.next(),
    });
    options.attachPlanes?.(ordering);
    const planesReady = ordering.isSettled ? of(undefined) : merge(settled, timer(PATIENCE, options.scheduler));
    const given = inbox.stream.pipe(ofKind('settings'), share());
    const told = inbox.stream.pipe(ofKind('objects'), share());

    const batches = told.pipe(
      stage('gate', gateUntilSynced()),
      gather(mergeBatches, GATHER_TIME, options.scheduler),
      share(),
    );
    const tunnels = batches.pipe(stage('overlay', createOverlayNodes(options.nodeName)), share());
    const derived = batches.pipe(
      stage('routing', batch => {
        const begun = clock.now();
        const outcome = routing.apply(batch);
        options.derived?.((clock.now() - begun) / 1000);
        return resumption.correct(outcome, routing.intent());
      }),
      share(),
    );
    const reconfigured = given.pipe(stage('routing', ({ settings }) => routing.configure(routingOptions(settings))));
    const restored = options.lastState?.saved === undefined ? NEVER : timer(RESUME_AFTER, options.scheduler);
    const resumed = restored.pipe(
      takeUntil(batches),
      stage('lastState', () => resumption.restore()),
    );
    const known = merge(reconfigured, derived).pipe(share());
    const routed = merge(known, resumed).pipe(share());
    const ordered = routed.pipe(
      stage('ordering', outcome => inOrder(outcome, ordering)),
      share(),
    );
    const balanced = merge(
      batches.pipe(map((batch): BalancerInput => ({ kind: 'batch', batch }))),
      given.pipe(
        map(({ settings }): BalancerInput => ({ kind: 'options', options: balancerOptions(settings.kubernetes) })),
      ),
      inbox.stream.pipe(ofKind('leading')),
    ).pipe(stage('loadBalancer', createBalancerStage()), share());
    const governed =
      sinks.policy === undefined
        ? NEVER
        : merge(
            given.pipe(map(({ settings }): PolicyInput => ({ kind: 'options', kubernetes: settings.kubernetes }))),
            batches.pipe(map((batch): PolicyInput => ({ kind: 'batch', batch }))),
          ).pipe(stage('policy', createPolicyStage({ ...options.pods, nodeName: options.nodeName, clock })), share());
    const apart =
      sinks.tenants === undefined
        ? NEVER
        : merge(
            given.pipe(map(({ settings }): TenantInput => ({ kind: 'options', kubernetes: settings.kubernetes }))),
            batches.pipe(map((batch): TenantInput => ({ kind: 'batch', batch }))),
          ).pipe(stage('tenants', createTenantStage(options.nodeName, options.tenantNumbers ?? 'given')));
    const limited =
      sinks.bandwidth === undefined
        ? NEVER
        : batches.pipe(stage('bandwidth', createBandwidthStage(options.nodeName)), share());
    // The kernel is told nothing before all is known; what can be worked out until then is.
    const early = told.pipe(
      map(({ event }) => event.batch),
      stage('early', earlyBatches()),
    );
    const proxied =
      sinks.proxy === undefined
        ? NEVER
        : merge(
            given.pipe(map(({ settings }): ProxyInput => ({ kind: 'options', kubernetes: settings.kubernetes }))),
            merge(early, batches.pipe(skip(1))).pipe(map((batch): ProxyInput => ({ kind: 'batch', batch }))),
          ).pipe(stage('proxy', createProxyStage(options.nodeName)), share());
    const egress =
      sinks.egressAddresses === undefined
        ? NEVER
        : merge(
            given.pipe(
              map(({ settings }): EgressInput => ({
                kind: 'options',
                options: egressAddressOptions(settings.kubernetes),
              })),
            ),
            batches.pipe(map((batch): EgressInput => ({ kind: 'batch', batch }))),
            inbox.stream.pipe(ofKind('fence')),
          ).pipe(stage('egressAddresses', createEgressStage(options.nodeName)), share());
    const held = egress.pipe(
      map(({ announced }): EngineInput => ({ kind: 'services', delta: announced })),
      filter(isNews),
    );
    const composed = merge(ordered, given, held, inbox.stream.pipe(ofKind('services'))).pipe(
      stage('engineConfig', options.compose),
      share(),
    );

    return merge(
      // Readers first, then the sources: nothing is told before everybody listens.
      told.pipe(sink('problems', ({ event }) => sinks.problems(event.problems))),
      given.pipe(sink('overlay', ({ settings }) => sinks.overlayOptions(overlayOptions(settings.kubernetes.overlay)))),
      tunnels.pipe(sink('overlay', update => sinks.overlay(update))),
      given.pipe(sink('plumbing', ({ settings }) => sinks.plumbingOptions(plumbingOptions(settings, options.cniFile)))),
      batches.pipe(sink('plumbing', batch => sinks.plumbing(batch))),
      given.pipe(sink('antiSpoof', ({ settings }) => sinks.antiSpoofOptions?.(antiSpoofOptions(settings.kubernetes)))),
      egress.pipe(sink('problems', ({ problems }) => sinks.problems(problems))),
      egress.pipe(sink('egressAddresses', update => sinks.egressAddresses?.(update))),
      tunnels.pipe(sink('problems', ({ problems }) => sinks.problems(problems))),
      (sinks.policy === undefined ? NEVER : batches).pipe(
        stage('egressRules', egressListReport),
        sink('problems', report => sinks.problems(report)),
      ),
      (sinks.policy === undefined ? NEVER : batches).pipe(
        stage('unknownRules', unknownRulesReport),
        sink('problems', report => sinks.problems(report)),
      ),
      governed.pipe(sink('policy', update => sinks.policy?.(update))),
      apart.pipe(sink('tenants', update => sinks.tenants?.(update))),
      limited.pipe(sink('problems', ({ problems }) => sinks.problems(problems))),
      limited.pipe(sink('bandwidth', update => sinks.bandwidth?.(update))),
      proxied.pipe(sink('problems', ({ outcome }) => sinks.problems(outcome.problems))),
      proxied.pipe(sink('proxy', update => sinks.proxy?.(update))),
      balanced.pipe(sink('problems', ({ problems }) => sinks.problems(problems))),
      balanced.pipe(sink('loadBalancer', outcome => sinks.loadBalancer(outcome))),
      merge(routed, composed).pipe(sink('problems', ({ problems }) => sinks.problems(problems))),
      derived.pipe(
        stage('ownNode', ownNodeChange()),
        sink('ownNode', ({ own }) => sinks.ownNode(own)),
      ),
      merge(ordered, inbox.stream.pipe(ofKind('services'))).pipe(
        sink('metrics', input => options.announced?.(announcedBy(input))),
      ),
      known.pipe(sink('lastState', () => options.lastState?.save(() => routing.intent()))),
      composed.pipe(
        map(({ config }) => config),
        filter(config => config !== undefined),
        holdUntil(planesReady),
        sink('apply', config => sinks.apply(config)),
      ),
      (options.leading ?? NEVER).pipe(sink('inbox', isLeading => inbox.send({ kind: 'leading', isLeading }))),
      (options.cutOff ?? NEVER).pipe(sink('inbox', isShut => inbox.send({ kind: 'fence', isShut }))),
      options.settings.pipe(sink('inbox', settings => inbox.send({ kind: 'settings', settings }))),
      options.objects.pipe(sink('inbox', event => inbox.send({ kind: 'objects', event }))),
    );
  });
}

/** Of service addresses, only what every data plane serves. */
function inOrder({ delta }: RoutingOutcome, ordering: Ordering<NetworkIntent>): EngineInput {
  return { kind: 'routing', delta: { ...delta, services: ordering.want(delta.services) } };
}

function announcedBy(input: EngineInput): { readonly pods: number; readonly services: number } {
  if (input.kind === 'services') return { pods: 0, services: input.delta.set.size };
  if (input.kind !== 'routing') return { pods: 0, services: 0 };
  const { networks, services } = input.delta;
  return { pods: [...networks.set.values()].filter(({ tag }) => tag === 'pod').length, services: services.set.size };
}

function isNews(input: EngineInput): boolean {
  return input.kind !== 'services' || input.delta.set.size + input.delta.removed.size > 0;
}

function ofKind<K extends Input['kind']>(kind: K): OperatorFunction<Input, Extract<Input, { readonly kind: K }>> {
  return filter((input): input is Extract<Input, { readonly kind: K }> => input.kind === kind);
}

/** Holds everything back until the source has told all it had: half a cluster must not look like the whole. */
function gateUntilSynced(): (input: { readonly event: SourceEvent }) => ObjectBatch | undefined {
  let held = new Map<ObjectKey, ObjectChange>();
  let isOpen = false;
  return ({ event: { batch } }) => {
    if (isOpen) return batch.changes.size === 0 ? undefined : batch;
    mergeInto(held, batch);
    if (!batch.synced) return undefined;
    isOpen = true;
    const changes = held;
    held = new Map();
    return { changes, synced: true };
  };
}

/** The first outcome says whether there is an own node at all. */
function ownNodeChange(): (outcome: RoutingOutcome) => RoutingDelta | undefined {
  let isFirst = true;
  return ({ delta }) => {
    const isNews = isFirst || delta.ownChanged;
    isFirst = false;
    return isNews ? delta : undefined;
  };
}
