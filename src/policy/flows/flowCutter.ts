/**
 * Ends connections that policies do not allow any more, after the kernel has taken the change: flows of whom the change
 * may concern are listed, judged, and those that are forbidden marked as cut. Runs aside, at most once a second. Impure:
 * netlink.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.js';
import { cutFlows, type FlowJudge } from '../../kernel/conntrackCut.js';
import type { FlowEnds, TrackedFlow } from '../../kernel/conntrackFlows.js';
import { addressText } from '../../kernel/conntrackTuple.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { addressOfText, PROTOCOL_NUMBERS } from '../../kernel/nftables/elements.js';
import type { IpText, Protocol } from '../../kube/objectTypes.js';
import type { PolicyDelta } from '../policyTypes.js';
import { createAddressJudge, type AddressJudge, type JudgedModel } from './addressVerdict.js';
import { createSuspectFinder } from './suspects.js';

export type FlowCutEvent =
  /** One look at the flows of a family. */
  | {
      readonly kind: 'looked';
      readonly family: 4 | 6;
      readonly judged: number;
      readonly cut: number;
      readonly released: number;
      readonly seconds: number;
    }
  /** Flows that should be cut may go on until the next look, which comes by itself. */
  | { readonly kind: 'error'; readonly text: string };

export interface FlowCutterOptions {
  /** Of NETLINK_NETFILTER. Its owner closes it. */
  readonly channel: NetlinkChannel;
  /** All addresses of this node, asked for at every look. */
  readonly nodeAddresses: () => Promise<ReadonlySet<IpText>>;
  readonly clock: Clock;
  readonly onEvent: (event: FlowCutEvent) => void;
}

export interface FlowCutter {
  /** @param bit of connections' marks that the firewall drops; undefined: no connection is cut */
  configure(settings: { readonly ipv4: boolean; readonly ipv6: boolean; readonly bit: number | undefined }): void;
  /** What the kernel is about to be told. @param model as it is after the delta; kept, and asked at every look */
  note(delta: PolicyDelta, model: JudgedModel): void;
  /** The kernel has taken a transaction, or already had all that is wanted: not before what is wanted is complete. */
  committed(): void;
  /** @returns resolves when no look is under way or due */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** Milliseconds between the beginnings of two looks; and looks take at most a fifth of the time. */
const LEAST_PAUSE = 1000;
const LEAST_SHARE = 5;
/** A few megabytes of them. */
const MOST_CUT_ENDS = 20_000;

export function createFlowCutter(options: FlowCutterOptions): FlowCutter {
  return new Cutter(options);
}

class Cutter implements FlowCutter {
  private readonly finder = createSuspectFinder();
  private settings = { families: [] as readonly (4 | 6)[], bit: undefined as number | undefined };
  private model: JudgedModel | undefined;
  /** Noted since the last look began. */
  private fresh: Set<IpText> | 'everything' = 'everything';
  /** Looked at once, but perhaps before the kernel had been told all: once more after the next transaction. */
  private carried = new Set<IpText>();
  /** Addresses that flows have which are cut, and whether there are more than we care to know. */
  private readonly cutEnds = new Set<IpText>();
  private hasManyCut = false;
  private isDue = false;
  private nextAt = 0;
  private running: Promise<void> | undefined;
  private hasEnded = false;
  private wake: () => void = () => undefined;

  constructor(private readonly options: FlowCutterOptions) {}

  configure({ ipv4, ipv6, bit }: Parameters<FlowCutter['configure']>[0]): void {
    const families = [...(ipv4 ? ([4] as const) : []), ...(ipv6 ? ([6] as const) : [])];
    if (isDeepStrictEqual({ families, bit }, this.settings)) return;
    this.settings = { families, bit };
    this.fresh = 'everything';
    this.carried.clear();
  }

  note(delta: PolicyDelta, model: JudgedModel): void {
    this.model = model;
    const { forbidding, allowing } = this.finder.find(delta);
    if (this.fresh === 'everything') return;
    for (const end of forbidding) this.fresh.add(end);
    for (const end of allowing) if (this.hasManyCut || this.cutEnds.has(end)) this.fresh.add(end);
  }

  committed(): void {
    if (this.hasEnded || this.settings.bit === undefined || !this.hasSuspects()) return;
    this.isDue = true;
    this.running ??= this.run();
  }

  idle(): Promise<void> {
    return this.running ?? Promise.resolve();
  }

  async stop(): Promise<void> {
    this.hasEnded = true;
    this.wake();
    await this.running;
  }

  private hasSuspects(): boolean {
    return this.fresh === 'everything' || this.fresh.size + this.carried.size > 0;
  }

  private async run(): Promise<void> {
    const { clock } = this.options;
    while (this.isDue) {
      await this.pause(this.nextAt - clock.now());
      this.isDue = false;
      const begun = clock.now();
      await this.look();
      this.nextAt = begun + Math.max(LEAST_PAUSE, LEAST_SHARE * (clock.now() - begun));
    }
    this.running = undefined;
  }

  private pause(milliseconds: number): Promise<void> {
    if (milliseconds <= 0 || this.hasEnded) return Promise.resolve();
    return new Promise(resolve => {
      const timer = this.options.clock.setTimeout(resolve, milliseconds);
      this.wake = () => {
        this.options.clock.clearTimeout(timer);
        resolve();
      };
    });
  }

  private async look(): Promise<void> {
    const { fresh, carried, model, settings, options } = this;
    if (model === undefined || settings.bit === undefined || this.hasEnded) return;
    const ends = fresh === 'everything' ? fresh : new Set([...fresh, ...carried]);
    this.fresh = new Set();
    this.carried = fresh === 'everything' ? new Set() : fresh;
    try {
      const judge = createAddressJudge(model, await options.nodeAddresses());
      this.forgetCut(ends);
      for (const family of settings.families) await this.lookAt(family, ends, judge, settings.bit);
    } catch (error) {
      this.putBack(ends);
      this.isDue = !this.hasEnded;
      options.onEvent({ kind: 'error', text: error instanceof Error ? error.message : String(error) });
    }
  }

  private putBack(ends: ReadonlySet<IpText> | 'everything'): void {
    if (ends === 'everything' || this.fresh === 'everything') this.fresh = 'everything';
    else for (const end of ends) this.fresh.add(end);
  }

  private async lookAt(
    family: 4 | 6,
    ends: ReadonlySet<IpText> | 'everything',
    judge: AddressJudge,
    bit: number,
  ): Promise<void> {
    const { channel, clock, onEvent } = this.options;
    const begun = clock.now();
    const octets: FlowEnds = ends === 'everything' ? ends : new Set([...ends].map(addressOfText));
    const done = await cutFlows(channel, family, { bit, ends: octets, judge: judgeFlows(judge) });
    this.rememberCut(done.stillCut);
    const { judged, cut, released } = done;
    onEvent({ kind: 'looked', family, judged, cut, released, seconds: (clock.now() - begun) / 1000 });
  }

  /** What is still cut is remembered after the look. */
  private forgetCut(ends: ReadonlySet<IpText> | 'everything'): void {
    if (ends !== 'everything') {
      for (const end of ends) this.cutEnds.delete(end);
      return;
    }
    this.cutEnds.clear();
    this.hasManyCut = false;
  }

  private rememberCut(flows: readonly TrackedFlow[]): void {
    for (const { original, reply } of flows) {
      if (this.cutEnds.size >= MOST_CUT_ENDS) this.hasManyCut = true;
      if (this.hasManyCut) return;
      for (const end of [original.source, reply.source]) this.cutEnds.add(textOf(end));
    }
  }
}

const PROTOCOLS = new Map<number, Protocol>(
  (['TCP', 'UDP', 'SCTP'] as const).map(protocol => [PROTOCOL_NUMBERS[protocol], protocol]),
);

/** Connections that differ in the port of the sender alone are judged once. */
function judgeFlows(judge: AddressJudge): FlowJudge {
  const known = new Map<string, 'cut' | 'keep'>();
  return ({ original, reply, isRelated }: TrackedFlow) => {
    // What belongs to another connection was never judged by itself.
    if (isRelated) return undefined;
    const key = `${original.source}${reply.source}${original.protocol} ${reply.sourcePort}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const isAllowed = judge({
      from: textOf(original.source),
      to: textOf(reply.source),
      protocol: PROTOCOLS.get(original.protocol),
      port: reply.sourcePort,
    });
    const fate = isAllowed ? 'keep' : 'cut';
    known.set(key, fate);
    return fate;
  };
}

function textOf(octets: string): IpText {
  return addressText(octets) as IpText;
}
