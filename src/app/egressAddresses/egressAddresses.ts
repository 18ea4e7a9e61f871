/** Keeps egress addresses in the kernel as the derivation has them: the table, and the ways to other holders. Impure. */

import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { Clock } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { createReconciler, type Reconciler, type ReconcilerEvent, type Target } from '../../core/reconciler.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { Nft } from '../../kernel/nft.js';
import { fingerprint, nftTableTarget, STRUCTURE } from '../../kernel/nftTable.js';
import type { Switches } from '../../kernel/sysctl.js';
import { EGRESS_ADDRESS_TABLE } from '../../policy/egress/egressTable.js';
import { readNodeLinks } from '../plumbing/nodeLinks.js';
import { egressWays, type EgressWay } from './egressWays.js';
import { createEgressWayTarget } from './egressWayTarget.js';
import type { EgressUpdate } from './egressStage.js';

export interface EgressAddressDeps {
  readonly channel: NetlinkChannel;
  readonly nft: Nft;
  readonly switches: Switches;
  readonly clock: Clock;
  readonly logger: Logger;
  /** RTPROT_* of our routes and rules. */
  readonly protocol: number;
  report(problems: ProblemReport): void;
}

export interface EgressAddresses {
  update(update: EgressUpdate): void;
  /** @returns resolves when what was asked for is done or has failed */
  idle(): Promise<void>;
  /** Everything stays, for the next process to adopt. */
  stop(): Promise<void>;
}

/** Milliseconds between two readings. */
const READ_BACK = 60_000;

export function createEgressAddresses(deps: EgressAddressDeps): EgressAddresses {
  return new Running(deps);
}

class Running implements EgressAddresses {
  private readonly table: Reconciler<string, string>;
  private readonly ways: Reconciler<string, EgressWay>;
  private isOn = false;
  private last: EgressUpdate | undefined;
  private measuring: Promise<void> = Promise.resolve();
  private led: { readonly facts: readonly unknown[]; readonly until: number } = { facts: [], until: 0 };
  private readonly wrong = new Map<string, string>();

  constructor(private readonly deps: EgressAddressDeps) {
    const { nft, channel, switches, protocol } = deps;
    this.table = this.reconciler('table', nftTableTarget(nft, EGRESS_ADDRESS_TABLE), (a, b) => a === b);
    this.ways = this.reconciler('ways', createEgressWayTarget({ channel, switches, protocol }), isDeepStrictEqual);
  }

  update(update: EgressUpdate): void {
    const wasOn = this.isOn;
    this.isOn = update.isOn;
    this.last = update;
    if (update.isOn && wasOn) this.table.apply(update.changes);
    else this.table.replaceAll(update.isOn ? new Map([OWN_STRUCTURE, ...update.elements()]) : new Map());
    if (update.isComplete) this.begin();
    this.measuring = this.measuring.then(() => this.leadIfDue());
  }

  async idle(): Promise<void> {
    await this.measuring;
    await Promise.all([this.table.idle(), this.ways.idle()]);
  }

  async stop(): Promise<void> {
    await this.measuring;
    await Promise.all([this.table.stop(), this.ways.stop()]);
  }

  private begin(): void {
    this.table.begin();
  }

  /** Pods come and go by the dozen, and change nothing of the ways; links are measured again now and then. */
  private async leadIfDue(): Promise<void> {
    if (this.last === undefined) return;
    const { isOn, isComplete, own, holders } = this.last;
    const facts = [isOn, isComplete, own, holders];
    const now = this.deps.clock.now();
    if (isDeepStrictEqual(facts, this.led.facts) && now < this.led.until) return;
    await this.lead(this.last);
    // What failed is tried again with the next word of anybody.
    this.led = { facts, until: this.wrong.has('links') ? 0 : now + READ_BACK };
  }

  /** Who holds nothing and leads nowhere is reached all the same: the tunnel is there while the feature is. */
  private async lead(last: EgressUpdate): Promise<void> {
    const own = [last.own?.v4, last.own?.v6].filter(address => address !== undefined);
    try {
      const wanted = last.isOn && own.length > 0 ? egressWays(await this.measured(own), last.holders) : new Map();
      this.ways.replaceAll(wanted);
      if (last.isComplete) this.ways.begin();
      this.complain('links', undefined);
    } catch (error) {
      this.complain('links', error instanceof Error ? error.message : String(error));
    }
  }

  private async measured(own: readonly IpAddress[]): Promise<Parameters<typeof egressWays>[0]> {
    const links = await readNodeLinks(this.deps.channel, own);
    const [v4, v6] = [4, 6].map(version => own.find(address => address.version === version));
    const outer = v4 ?? v6;
    return { v4, v6, mtu: outer === undefined ? 0 : links.mtuFor(outer) };
  }

  private reconciler<V>(
    name: string,
    target: Target<string, V>,
    equal: (a: V, b: V) => boolean,
  ): Reconciler<string, V> {
    return createReconciler<string, V>({
      target,
      clock: this.deps.clock,
      equal,
      readBackInterval: READ_BACK,
      onEvent: event => this.tell(name, event),
    });
  }

  private tell(name: string, event: ReconcilerEvent<string>): void {
    const { logger } = this.deps;
    if (event.kind === 'written')
      logger.info({ part: name, set: event.set.length, removed: event.removed.length }, 'egress addresses written');
    if (event.kind === 'drift')
      logger.warn(
        { part: name, changed: event.keys.slice(0, 5) },
        'egress addresses were changed by somebody else; put right',
      );
    // Where nobody wants it, it does not matter that the kernel could not have it.
    if (event.kind === 'error') this.complain(name, this.isOn ? event.text : undefined);
    else if (event.kind === 'failed')
      this.complain(name, [...event.failures].map(([key, text]) => `${key}: ${text}`).join(', '));
    else if (event.kind !== 'drift') this.complain(name, undefined);
  }

  private complain(name: string, text: string | undefined): void {
    if (text === this.wrong.get(name)) return;
    if (text === undefined) this.wrong.delete(name);
    else this.wrong.set(name, text);
    const problems = [...this.wrong].map(([part, what]) => ({ subject: `egress addresses: ${part}`, text: what }));
    this.deps.report(new Map([['egress addresses in the kernel', problems]]));
  }
}

const OWN_STRUCTURE: readonly [string, string] = [STRUCTURE, fingerprint(EGRESS_ADDRESS_TABLE)];
