/**
 * Tenants at work: what the derivation wants goes to the kernel, numbers are given out where that is on us, and what the
 * kernel says comes back as problems, metrics and what is shown. Impure.
 */

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { TenantsView } from '../../api/tenantView.js';
import type { Clock } from '../../core/clock.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { removeTables } from '../../kernel/nftables/removal.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import { openTenantKernel, type TenantEvent, type TenantKernel } from '../../policy/tenants/tenantKernel.js';
import { TENANT_TABLE } from '../../policy/tenants/tenantTable.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { runElection, type RunningElection } from '../loadBalancer/lease.js';
import type { Ordering, StartGate } from '../ordering.js';
import { createAssigner, type Assigner } from './assigner.js';
import { createDeniedTotals } from './denied.js';
import { createNumberStore } from './numberStore.js';
import { createTenantMetrics } from './tenantMetrics.js';
import type { TenantUpdate } from './tenantStage.js';
import { createTenantsView } from './tenantsView.js';

export interface TenantParts {
  readonly settings: Kubernetes;
  readonly nodeName: string;
  /** Undefined: objects come from a folder, and nothing can be written. */
  readonly writer: ApiWriter | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
  readonly registry: Registry;
}

export interface OpenedTenants {
  readonly view: TenantsView;
  /** BGP begins when tenants are in the kernel. Called once, before the first update. */
  attach(ordering: Pick<Ordering<unknown>, 'gate'>): void;
  update(update: TenantUpdate): void;
  /** Refreshes what metrics show. */
  scrape(): Promise<void>;
  /** Everything that there was at the start is in the kernel. */
  readonly synced: Promise<void>;
  /** The kernel had tenants of a former life, which are in force until then. Known when it has been read. */
  readonly hasFormer: boolean;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Milliseconds between two looks at the Lease for each node there is. */
const PACE = 500;
const LEAST_PACE = 4000;
const DEFAULT_NAMESPACE = 'kube-system';
const OWNER = 'tenants';

/** Takes away what an agent with tenants left on this machine. @throws Error when the kernel refuses */
export async function forgetTenants(): Promise<void> {
  await removeTables(TENANT_TABLE);
}

/** @throws SyscallError when the kernel cannot be reached */
export function openTenants(parts: TenantParts): OpenedTenants {
  return new TenantLoop(parts);
}

class TenantLoop implements OpenedTenants {
  readonly view: TenantsView;
  readonly synced: Promise<void>;
  hasFormer = false;
  private readonly kernel: TenantKernel;
  private readonly metrics;
  private readonly denied = createDeniedTotals();
  private readonly assigner: Assigner | undefined;
  private election: RunningElection | undefined;
  private latest: TenantUpdate | undefined;
  private nodes = 1;
  private sayWhenSynced = (): void => undefined;
  private gate: StartGate | undefined;
  private hasBegun = false;
  private isInForce = false;
  private hasEnded = false;
  private readonly failures = new Map<string, string>();

  constructor(private readonly parts: TenantParts) {
    const { settings, registry, writer } = parts;
    this.synced = new Promise(resolve => (this.sayWhenSynced = resolve));
    const families = ([4, 6] as const).filter((family: Family) => (family === 4 ? settings.ipv4 : settings.ipv6));
    this.metrics = createTenantMetrics([registry]);
    this.kernel = openTenantKernel(event => this.take(event), { families, clock: parts.clock });
    this.assigner = writer === undefined ? undefined : this.stand(writer);
    this.view = createTenantsView({
      writer,
      model: () => this.latest?.model,
      denied: async () => {
        const isRead = await this.scrape().then(
          () => true,
          () => false,
        );
        return isRead ? this.denied.totals : undefined;
      },
    });
  }

  attach(ordering: Pick<Ordering<unknown>, 'gate'>): void {
    this.gate = ordering.gate();
  }

  update(update: TenantUpdate): void {
    this.latest = update;
    this.parts.report(update.problems);
    if (update.networks !== undefined) {
      this.nodes = Math.max(1, update.networks.length);
      this.kernel.setNetworks(update.networks);
    }
    this.kernel.apply(update.delta);
    this.assigner?.want(update.due);
    if (!update.isComplete || this.hasBegun) return;
    this.hasBegun = true;
    this.kernel.begin();
    void this.kernel.idle().then(() => this.lookAtStart());
  }

  async scrape(): Promise<void> {
    const model = this.latest?.model;
    if (model === undefined) return;
    const local = [...model.addresses].flatMap(([address, { isLocal }]) => (isLocal ? [address] : []));
    this.metrics.show(model, this.denied.take(await this.kernel.denials(local), model));
  }

  async stop(): Promise<void> {
    this.hasEnded = true;
    this.assigner?.stop();
    await this.election?.stop();
    await this.kernel.stop();
  }

  /** Gives out numbers whenever the Lease is ours. */
  private stand(writer: ApiWriter): Assigner {
    const { settings, nodeName: identity, clock, report, logger } = this.parts;
    const { namespace = process.env['POD_NAMESPACE'] ?? DEFAULT_NAMESPACE, name } = settings.tenants.lease;
    const taken = (): ReadonlySet<number> =>
      new Set([...(this.latest?.model.namespaces.values() ?? [])].map(({ number }): number => number));
    const assigner = createAssigner({
      writer,
      take: createNumberStore({
        writer,
        lease: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`,
        identity,
        taken,
      }),
      mayAct: () => this.election?.mayAct() ?? false,
      rules: () => this.latest?.rules ?? { global: new Set(settings.tenants.global), numbers: 'given' },
      clock,
      report,
      assigned: (assignedTo, number) => logger.info({ namespace: assignedTo, number }, 'tenant number written'),
    });
    this.election = runElection({
      writer,
      namespace,
      name,
      identity,
      clock,
      pace: () => Math.max(LEAST_PACE, this.nodes * PACE),
      leading: isLeading => {
        logger.info(
          { leading: isLeading },
          isLeading ? 'gives out tenant numbers' : 'another one gives out tenant numbers',
        );
        assigner.lead(isLeading);
      },
      hindered: text =>
        report(
          new Map([
            [
              'tenant lease',
              text === undefined
                ? []
                : [
                    {
                      subject: `Lease ${namespace}/${name}`,
                      text: `no election of who gives out tenant numbers: ${text}; it is tried again`,
                    },
                  ],
            ],
          ]),
        ),
    });
    return assigner;
  }

  private take(event: TenantEvent): void {
    const { logger, report } = this.parts;
    this.metrics.event(event);
    const family = `IPv${event.family}`;
    switch (event.kind) {
      case 'adopted':
        this.hasFormer ||= event.count > 0;
        if (event.count > 0)
          logger.info({ family, elements: event.count }, 'tenants of a former life are in the kernel');
        return;
      case 'written':
        report(new Map([[`${OWNER} ${family}`, []]]));
        this.lookAtStart();
        return;
      case 'failed':
        for (const [what, text] of event.failures) this.failures.set(what, text);
        this.reportFailures();
        this.lookAtStart();
        return;
      case 'recovered':
        for (const what of event.what) this.failures.delete(what);
        this.reportFailures();
        return;
      case 'drift':
        logger.warn(
          { family, what: event.what.slice(0, 10), count: event.what.length },
          'tenants in the kernel were changed',
        );
        return;
      case 'error':
        report(new Map([[`${OWNER} ${family}`, [{ subject: 'tenants', text: `${family}: ${event.text}` }]]]));
    }
  }

  private reportFailures(): void {
    const problems = [...this.failures].map(([what, text]) => ({ subject: 'tenants', text: `${what}: ${text}` }));
    this.parts.report(new Map([[`${OWNER} addresses`, problems]]));
  }

  /** A refused address is closed, where the rules are in force: nobody waits for it. */
  private lookAtStart(): void {
    const { kernel } = this;
    const isSafe = kernel.isSettled || (kernel.isGuarding && this.failures.size > 0);
    if (!this.hasBegun || this.hasEnded || this.isInForce || !isSafe) return;
    this.isInForce = true;
    this.parts.logger.info({ addresses: this.latest?.model.addresses.size }, 'tenants are in force');
    this.gate?.open();
    this.sayWhenSynced();
  }
}
