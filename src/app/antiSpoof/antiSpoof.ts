/**
 * Keeps pods to their own addresses: reads which link is which pod's, keeps the tables in the kernel so, and tells who was
 * caught. Impure.
 */

import type { Logger } from 'pino';
import type { Clock, TimerHandle } from '../../core/clock.js';
import { createReconciler, type Reconciler } from '../../core/reconciler.js';
import type { ProblemReport } from '../../kube/problems.js';
import { decodeLink, writeLinkDump, type Link } from '../../kernel/links.js';
import type { KernelMonitor } from '../../kernel/monitor.js';
import { dumpAll, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import type { Nft } from '../../kernel/nft.js';
import { fingerprint, nftTableTarget, STRUCTURE, type NftTableShape } from '../../kernel/nftTable.js';
import { podLinks, unknownPorts, type PodLink } from '../../policy/antiSpoof/podLinks.js';
import { BRIDGE_TABLE, ROUTED_TABLE, spoofElements } from '../../policy/antiSpoof/spoofTables.js';
import type { PodName } from '../../policy/policyTypes.js';
import { readAttachments } from './attachments.js';
import { readSpoofed } from './spoofed.js';

export interface AntiSpoofOptions {
  /** known: pods whose link is known are held to their addresses; strict: ports of the bridge without a pod are closed too. */
  readonly mode: 'off' | 'known' | 'strict';
  /** Folder in which libcni keeps its results. */
  readonly attachments: string;
  /** Name of the pods' bridge. */
  readonly bridge: string;
}

export interface AntiSpoofDeps {
  readonly channel: NetlinkChannel;
  readonly monitor: KernelMonitor;
  readonly nft: Nft;
  readonly clock: Clock;
  readonly logger: Logger;
  report(problems: ProblemReport): void;
  /** Calls back when a file of the folder changes. @returns a function that ends it */
  watch(folder: string, changed: () => void): () => Promise<void>;
}

export interface AntiSpoof {
  configure(options: AntiSpoofOptions): void;
  /** Packets dropped so far, by pod; pods that are known now, and were caught. */
  spoofed(): Promise<ReadonlyMap<PodName, number>>;
  /** @returns resolves when what was asked for is done or has failed */
  idle(): Promise<void>;
  /** The tables stay. */
  stop(): Promise<void>;
}

/** A pod's container starts long after its link and file are there; milliseconds. */
const GATHER = 20;
const LOOK_AGAIN = 60_000;

export function createAntiSpoof(deps: AntiSpoofDeps): AntiSpoof {
  return new RunningAntiSpoof(deps);
}

type Plane = Reconciler<string, string>;

class RunningAntiSpoof implements AntiSpoof {
  private options: AntiSpoofOptions | undefined;
  /** Undefined while nobody wants them. */
  private planes: Readonly<Record<'bridge' | 'routed', Plane>> | undefined;
  private hasLooked = false;
  private known: readonly PodLink[] = [];
  private timer: TimerHandle | undefined;
  private looking: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private readonly unsubscribe: () => void;
  private endWatch: () => Promise<void> = () => Promise.resolve();
  private readonly wrong = new Map<string, readonly string[]>();
  private tellAt = 0;
  private caught: ReadonlyMap<PodName, number> = new Map();

  constructor(private readonly deps: AntiSpoofDeps) {
    this.unsubscribe = deps.monitor.subscribe(events => {
      if (events.some(({ kind }) => kind === 'link' || kind === 'overrun')) this.wake(GATHER);
    });
  }

  configure(options: AntiSpoofOptions): void {
    const before = this.options;
    this.options = options;
    if (before?.attachments !== options.attachments || before.mode !== options.mode) {
      void this.endWatch();
      const { attachments } = options;
      this.endWatch = this.isOn ? this.deps.watch(attachments, () => this.wake(GATHER)) : () => Promise.resolve();
    }
    this.wake(0);
  }

  async spoofed(): Promise<ReadonlyMap<PodName, number>> {
    if (!this.isOn) return new Map();
    return readSpoofed(this.deps.nft, this.known);
  }

  async idle(): Promise<void> {
    while (this.looking !== undefined || this.again) await (this.looking ?? this.look());
    await Promise.all(Object.values(this.planes ?? {}).map(plane => plane.idle()));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.again = false;
    this.unsubscribe();
    this.timer?.cancel();
    await this.looking;
    await this.endWatch();
    await this.stopPlanes();
  }

  private get isOn(): boolean {
    return this.options !== undefined && this.options.mode !== 'off';
  }

  private plane(shape: NftTableShape): Plane {
    const owner = `${shape.family} ${shape.name}`;
    return createReconciler<string, string>({
      target: nftTableTarget(this.deps.nft, shape),
      clock: this.deps.clock,
      equal: (a, b) => a === b,
      readBackInterval: LOOK_AGAIN,
      onEvent: event => {
        const { logger } = this.deps;
        this.complain(owner, event.kind === 'error' ? [event.text] : []);
        if (event.kind === 'drift')
          logger.warn({ table: owner }, 'anti-spoofing was changed by somebody else; put right');
      },
    });
  }

  private wake(delay: number): void {
    if (this.stopped || this.options === undefined) return;
    this.again = true;
    if (this.looking !== undefined) return;
    this.timer?.cancel();
    this.timer = this.deps.clock.setTimeout(() => void this.look(), delay);
  }

  private look(): Promise<void> {
    this.timer?.cancel();
    this.again = false;
    this.looking ??= this.pass()
      .catch((error: unknown) => this.complain('links', [error instanceof Error ? error.message : String(error)]))
      .finally(() => {
        this.looking = undefined;
        if (this.stopped) return;
        if (this.again) this.wake(GATHER);
        else if (this.isOn) this.timer = this.deps.clock.setTimeout(() => void this.look(), LOOK_AGAIN);
      });
    return this.looking;
  }

  /** Without the folder nothing is known, and what is in the kernel stays. */
  private async pass(): Promise<void> {
    const { options } = this;
    if (options === undefined) return;
    if (options.mode === 'off') {
      await this.takeOut();
      return;
    }
    const { attachments, complaints } = await readAttachments(options.attachments);
    const links = await readLinks(this.deps.channel);
    this.complain('links', complaints);
    this.known = podLinks(attachments, links);
    const closed = options.mode === 'strict' ? unknownPorts(options.bridge, this.known, links) : [];
    const { bridge, routed } = spoofElements(this.known, closed);
    this.planes ??= { bridge: this.plane(BRIDGE_TABLE), routed: this.plane(ROUTED_TABLE) };
    this.planes.bridge.replaceAll(withStructure(BRIDGE_TABLE, bridge));
    this.planes.routed.replaceAll(withStructure(ROUTED_TABLE, routed));
    for (const plane of Object.values(this.planes)) plane.begin();
    await this.tellCaught();
  }

  /** Tables of this process, or of one before it. Where nobody wants them, the kernel need not be able to have them. */
  private async takeOut(): Promise<void> {
    if (this.hasLooked && this.planes === undefined) return;
    this.hasLooked = true;
    await this.stopPlanes();
    this.wrong.clear();
    for (const { family, name } of [BRIDGE_TABLE, ROUTED_TABLE]) {
      const found = await this.deps.nft.readTable(family, name).catch(() => undefined);
      if (found !== undefined) await this.deps.nft.run(`delete table ${family} ${name}\n`);
    }
    this.tell();
  }

  private async stopPlanes(): Promise<void> {
    await Promise.all(Object.values(this.planes ?? {}).map(plane => plane.stop()));
    this.planes = undefined;
  }

  /** At most once a minute, however often pods come and go. */
  private async tellCaught(): Promise<void> {
    const now = this.deps.clock.now();
    if (now < this.tellAt) return;
    this.tellAt = now + LOOK_AGAIN;
    const caught = await this.spoofed();
    for (const [pod, packets] of caught) {
      const news = packets - (this.caught.get(pod) ?? 0);
      if (news > 0)
        this.deps.logger.warn({ pod, packets: news }, 'a pod sent packets from addresses that are not its own');
    }
    this.caught = caught;
  }

  private complain(owner: string, texts: readonly string[]): void {
    if ((this.wrong.get(owner) ?? []).join() === texts.join()) return;
    this.wrong.set(owner, texts);
    this.tell();
  }

  private tell(): void {
    const problems = [...this.wrong].flatMap(([owner, texts]) =>
      texts.map(text => ({ subject: `anti-spoofing: ${owner}`, text })),
    );
    this.deps.report(new Map([['antiSpoof', problems]]));
  }
}

function withStructure(shape: NftTableShape, elements: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([[STRUCTURE, fingerprint(shape)], ...elements]);
}

async function readLinks(channel: NetlinkChannel): Promise<readonly Link[]> {
  const request = new NetlinkWriter(64);
  writeLinkDump(request);
  return dumpAll(channel, request, decodeLink);
}
