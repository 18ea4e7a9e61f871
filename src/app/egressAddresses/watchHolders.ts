/**
 * Nodes that may hold egress addresses look after each other. One that gives no sign of life any more, and whose machine
 * does not answer either, is written down as gone, which all agents read; it takes itself out again when it is back. An agent
 * that merely restarts loses nothing: its machine answers, and its kernel goes on. Who may have been written down without
 * knowing lets go by itself, and holds again when what it knows is true again. Impure.
 */

import type { Logger } from 'pino';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import { lostKey, lostNodes } from '../../policy/egress/lostNodes.js';
import { annotationsOf, isAnswer, nodesThatMayHold, REQUEST_TIME } from './clusterNow.js';
import { createFence, type Fence } from './fence.js';
import type { Word } from './holderFence.js';
import { BEAT, beatKey, hear, NOTHING_HEARD, silentNodes, type Heard } from './heartbeats.js';

export interface HolderWatchParts {
  readonly writer: ApiWriter;
  readonly nodeName: string;
  /** Where the Lease is, and the Namespace that says who is gone. */
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
  /** Whether anything at the address answers, be it with a refusal. */
  readonly answers: (address: IpAddress) => Promise<boolean>;
  /** What a node says that is asked whether it is there, and hears of the API server. Never throws. */
  readonly ask: (addresses: readonly IpAddress[]) => Promise<Word>;
  /** This node has to let go of what it holds; or holds again what is its own. */
  readonly shut: (isShut: boolean) => void;
  readonly wallClock?: () => number;
}

/** What the watch of the cluster told. */
export interface HoldersKnown {
  /** Addresses of all nodes with the label, this one too if it has it. */
  readonly candidates: ReadonlyMap<string, readonly IpAddress[]>;
  /** Those that are written down as gone. */
  readonly lost: ReadonlySet<string>;
  /** Those that hold addresses, or would if there were more. */
  readonly eligible: ReadonlySet<string>;
}

export interface HolderWatch {
  update(known: HoldersKnown): void;
  /** For others that ask: this node may hold addresses, and does not hear of the API server. */
  readonly isDeaf: boolean;
  stop(): Promise<void>;
}

export const HOLDER_LEASE = 'peerage-egress-addresses';
const API = 'coordination.k8s.io/v1';
const MERGE = 'application/merge-patch+json';
const FORBIDDEN = 403;
const NOT_FOUND = 404;
/** Signs of life in a row that have to find what we know to be true: meanwhile others let go of what is ours. */
const AGREED = 2;

export function watchHolders(parts: HolderWatchParts): HolderWatch {
  return new Running(parts);
}

class Running implements HolderWatch {
  private known: HoldersKnown = { candidates: new Map(), lost: new Set(), eligible: new Set() };
  private heard: Heard = NOTHING_HEARD;
  private timer: TimerHandle | undefined;
  private pass: Promise<void> | undefined;
  private readonly examined = new Map<string, Promise<void>>();
  private readonly fence: Fence;
  private agreed = 0;
  private isOver = false;

  constructor(private readonly parts: HolderWatchParts) {
    this.fence = createFence({
      clock: parts.clock,
      ask: node => parts.ask(this.known.candidates.get(node) ?? []),
      changed: why => this.fenced(why),
    });
  }

  get isDeaf(): boolean {
    return this.fence.isDeaf;
  }

  update(known: HoldersKnown): void {
    this.known = known;
    this.fence.among(this.isCandidate ? this.heirs : undefined);
    // Others hold what is ours: it is taken back from them in order.
    if (this.isCandidate && known.lost.has(this.parts.nodeName)) this.fence.shut('is written down as gone');
    if (this.isCandidate && this.timer === undefined && this.pass === undefined) this.begin();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    this.timer?.cancel();
    this.fence.stop();
    await this.pass;
    await Promise.all(this.examined.values());
  }

  private get isCandidate(): boolean {
    return this.known.candidates.has(this.parts.nodeName);
  }

  private get others(): readonly string[] {
    return [...this.known.candidates.keys()].filter(node => node !== this.parts.nodeName);
  }

  /** Who might take over: not who was gone before, or a server that is away would cost everybody its addresses then. */
  private get heirs(): ReadonlySet<string> {
    const well = this.others.filter(node => this.known.eligible.has(node));
    return new Set(well.length > 0 ? well : this.others);
  }

  private begin(): void {
    this.timer = undefined;
    if (this.isOver) return;
    if (!this.isCandidate) {
      this.heard = NOTHING_HEARD;
      this.complain(undefined);
      return;
    }
    this.pass = this.beat().finally(() => {
      this.pass = undefined;
      if (!this.isOver) this.timer = this.parts.clock.setTimeout(() => this.begin(), BEAT);
    });
  }

  private async beat(): Promise<void> {
    const sentAt = this.parts.clock.now();
    try {
      const annotations = await this.giveSign();
      this.fence.heard(sentAt);
      this.heard = hear(this.heard, annotations, this.others, this.parts.clock.now());
      await this.returnIfShut();
      this.complain(undefined);
    } catch (error) {
      this.complain(error);
      if (isAnswer(error)) await this.heardNo(sentAt);
      return;
    }
    this.lookAfterOthers();
  }

  /** The server would not have our sign of life; who has the right to it hears as well as we that this node is there. */
  private async heardNo(sentAt: number): Promise<void> {
    this.fence.heard(sentAt);
    await this.returnIfShut().catch((error: unknown) => this.complain(error));
  }

  private lookAfterOthers(): void {
    for (const node of silentNodes(this.heard, this.parts.clock.now())) {
      if (this.known.lost.has(node) || this.examined.has(node)) continue;
      // Beside the signs, which must not be late for it.
      const examination = this.examine(node).catch((error: unknown) => this.complain(error));
      this.examined.set(
        node,
        examination.finally(() => this.examined.delete(node)),
      );
    }
  }

  /** What the watch told may be of a time before others took over: it is compared with what the server says now. */
  private async returnIfShut(): Promise<void> {
    if (!this.fence.isShut) return;
    const lost = await this.takenOut();
    const eligible = await nodesThatMayHold(this.parts.writer);
    const now = [...eligible].filter(node => !lost.includes(node));
    const isTrue = now.length === this.known.eligible.size && now.every(node => this.known.eligible.has(node));
    this.agreed = isTrue ? this.agreed + 1 : 0;
    if (this.agreed >= AGREED) this.fence.open();
  }

  /** @returns nodes that are written down as gone; this one is not any more */
  private async takenOut(): Promise<readonly string[]> {
    try {
      const annotations = annotationsOf(await this.note(this.parts.nodeName, null));
      return lostNodes({ annotations: textsOf(annotations) });
    } catch (error) {
      // Whoever lacks that right writes nobody down.
      if (error instanceof ApiError && error.status === FORBIDDEN) return [];
      throw error;
    }
  }

  private fenced(why: string | undefined): void {
    const { logger, nodeName, shut } = this.parts;
    this.agreed = 0;
    if (why === undefined) logger.warn({ holder: nodeName }, 'this node may hold egress addresses again');
    else
      logger.warn({ holder: nodeName, why: `it ${why}` }, 'this node holds no egress addresses until further notice');
    if (!this.isOver) shut(why !== undefined);
  }

  /** @returns annotations of the Lease, with the signs of all */
  private async giveSign(): Promise<Readonly<Record<string, unknown>>> {
    const { writer, namespace, nodeName, wallClock = Date.now } = this.parts;
    const collection = `/apis/${API}/namespaces/${namespace}/leases`;
    const annotations = { [beatKey(nodeName)]: new Date(wallClock()).toISOString() };
    const patch = { metadata: { annotations } };
    const path = `${collection}/${HOLDER_LEASE}`;
    const ask = (): Promise<unknown> => writer.ask('PATCH', path, patch, { contentType: MERGE, timeout: REQUEST_TIME });
    try {
      return annotationsOf(await ask());
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== NOT_FOUND) throw error;
      const lease = {
        apiVersion: API,
        kind: 'Lease',
        metadata: { name: HOLDER_LEASE, namespace, annotations },
        spec: {},
      };
      return annotationsOf(await writer.ask('POST', collection, lease, { timeout: REQUEST_TIME }));
    }
  }

  private async examine(node: string): Promise<void> {
    const addresses = this.known.candidates.get(node) ?? [];
    const found = await Promise.all(addresses.map(address => this.parts.answers(address)));
    // Its machine is there: what its kernel holds is served, and its agent will be back.
    if (found.includes(true) || found.length === 0) return;
    await this.note(node, node);
    this.parts.logger.warn({ holder: node }, 'a node that may hold egress addresses is gone: others take them over');
  }

  /** @returns the Namespace */
  private async note(node: string, value: string | null): Promise<unknown> {
    const { writer, namespace } = this.parts;
    const patch = { metadata: { annotations: { [lostKey(node)]: value } } };
    const options = { contentType: MERGE, timeout: REQUEST_TIME };
    return writer.ask('PATCH', `/api/v1/namespaces/${namespace}`, patch, options);
  }

  private complain(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const subject = `Lease ${this.parts.namespace}/${HOLDER_LEASE}`;
    const slow = `${text}: an egress address moves only when its node is no longer Ready`;
    this.parts.report(new Map([['egress holders', error === undefined ? [] : [{ subject, text: slow }]]]));
  }
}

function textsOf(annotations: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value] as const] : [])),
  );
}
