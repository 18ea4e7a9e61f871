/**
 * A node's own plumbing at work: what options and nodes ask for is looked up on the machine and put right, at every
 * change of either and once a minute. One pass at a time; a part that fails is a problem of its own and is tried again.
 */

import type { Logger } from 'pino';
import type { Clock } from '../../core/clock.js';
import { createPasses } from '../../core/passes.js';
import type { ReconcilerEvent } from '../../core/reconciler.js';
import type { ObjectBatch } from '../../kube/objectBatch.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import type { LegacyIptables } from '../../kernel/legacyForward.js';
import type { KernelEvent, KernelMonitor } from '../../kernel/monitor.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { Nft } from '../../kernel/nft.js';
import type { Switches } from '../../kernel/sysctl.js';
import { createEgressPlane } from './egressPlane.js';
import { createNodeNetworks, type OwnPlumbing } from './nodeNetworks.js';
import { newPass, runPass, type PassFacts } from './pass.js';
import type { NodePlumbingOptions } from './plumbingOptions.js';

export interface PlumbingDeps {
  readonly nodeName: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly channel: NetlinkChannel;
  readonly monitor: KernelMonitor;
  readonly nft: Nft;
  readonly legacyIptables: LegacyIptables;
  readonly switches: Switches;
  report(problems: ProblemReport): void;
  /** Calls back when one of the files has changed. @returns a function that ends it */
  watchFiles(files: readonly string[], changed: () => void): () => Promise<void>;
}

export interface Plumbing {
  /** These hold from now on. */
  configure(options: NodePlumbingOptions): void;
  /** Something of the cluster has changed; the first batch has all of it. */
  nodesChanged(batch: ObjectBatch): void;
  /** @returns resolves when what was asked for is done or has failed */
  idle(): Promise<void>;
  /** Everything stays as it is, for the next process to adopt. */
  stop(): Promise<void>;
}

/** Gathers a burst of changes of links, in milliseconds. */
const GATHER = 100;
/** Between two looks when nothing happens, in milliseconds. */
const LOOK_AGAIN = 60_000;
const FIRST_RETRY = 1000;

export function createPlumbing(deps: PlumbingDeps): Plumbing {
  return new RunningPlumbing(deps);
}

class RunningPlumbing implements Plumbing {
  private readonly networks;
  private readonly egress;
  private readonly pass = newPass();
  private options: NodePlumbingOptions | undefined;
  private own: OwnPlumbing | undefined;
  /** The cluster has been told once, whole. */
  private hasNodes = false;
  private readonly passes;
  /** Passes with problems in a row. */
  private failures = 0;
  private egressProblem: string | undefined;
  private passProblems: readonly Problem[] = [];
  private readonly unsubscribe;
  private cniWatch: { readonly file: string | undefined; readonly end: () => Promise<void> } | undefined;

  constructor(private readonly deps: PlumbingDeps) {
    this.networks = createNodeNetworks(deps.nodeName);
    this.egress = createEgressPlane({
      nft: deps.nft,
      clock: deps.clock,
      onEvent: event => this.logEgress(event),
      onProblem: text => {
        if (text === this.egressProblem) return;
        this.egressProblem = text;
        this.tell();
      },
    });
    this.passes = createPasses({ clock: deps.clock, gather: GATHER, run: () => this.look() });
    this.unsubscribe = deps.monitor.subscribe(events => {
      if (events.some(event => this.concerns(event))) this.passes.wake(GATHER);
    });
  }

  configure(options: NodePlumbingOptions): void {
    this.options = options;
    this.egress.configure(options);
    this.beginEgress();
    void this.watchCni(options.cni.enabled ? options.cni.file : undefined);
    this.passes.wake(0);
  }

  nodesChanged(batch: ObjectBatch): void {
    const { own, ownChanged, parts } = this.networks(batch);
    this.own = own;
    if (parts.size > 0) this.egress.changed(parts);
    this.hasNodes = true;
    this.beginEgress();
    if (ownChanged) this.passes.wake(0);
  }

  async idle(): Promise<void> {
    await this.passes.idle();
    await this.egress.idle();
  }

  async stop(): Promise<void> {
    this.unsubscribe();
    await this.passes.stop();
    await this.watchCni(undefined);
    await this.egress.stop();
  }

  /** Without the own node's object, what a former process knew of its pods is better than nothing. */
  private beginEgress(): void {
    if (!this.hasNodes || this.options === undefined) return;
    if (this.own !== undefined || !this.options.egress.enabled) this.egress.begin();
  }

  /** Whoever installs the file anew, as init containers do, takes our part out of it. */
  private async watchCni(file: string | undefined): Promise<void> {
    if (file === this.cniWatch?.file) return;
    const before = this.cniWatch;
    const end =
      file === undefined ? () => Promise.resolve() : this.deps.watchFiles([file], () => this.passes.wake(GATHER));
    this.cniWatch = { file, end };
    await before?.end();
  }

  /** @returns milliseconds until the next */
  private async look(): Promise<number> {
    if (this.options === undefined) return LOOK_AGAIN;
    const { channel, nft, legacyIptables, switches, logger } = this.deps;
    const facts: PassFacts = { options: this.options, own: this.own };
    this.passProblems = await runPass(this.pass, facts, { channel, nft, legacyIptables, switches, logger });
    this.failures = this.passProblems.length > 0 ? this.failures + 1 : 0;
    this.tell();
    return this.failures === 0 ? LOOK_AGAIN : Math.min(FIRST_RETRY * 2 ** (this.failures - 1), LOOK_AGAIN);
  }

  private tell(): void {
    const egress = this.egressProblem === undefined ? [] : [{ subject: 'pod egress', text: this.egressProblem }];
    this.deps.report(new Map([['plumbing', [...this.passProblems, ...egress]]]));
  }

  /** Other links come and go with pods by the dozen, and change nothing here. */
  private concerns(event: KernelEvent): boolean {
    switch (event.kind) {
      case 'overrun':
        return true;
      case 'link':
        return this.pass.watched.has(event.link.name) || event.link.name === this.options?.bridge.name;
      case 'address':
        return this.own?.addresses.some(({ version }) => version === event.address.address.version) ?? false;
      default:
        return false;
    }
  }

  private logEgress(event: ReconcilerEvent<string>): void {
    const { logger } = this.deps;
    if (event.kind === 'written')
      logger.info({ set: event.set.length, removed: event.removed.length }, 'pod egress written');
    else if (event.kind === 'drift')
      logger.warn({ changed: event.keys.slice(0, 5) }, 'pod egress was changed by somebody else; put right');
  }
}
