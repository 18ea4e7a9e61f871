/**
 * Nodes that may hold egress addresses look after each other. One that gives no sign of life any more, and whose machine
 * does not answer either, is written down as gone, which all agents read; it takes itself out again when it is back. An agent
 * that merely restarts loses nothing: its machine answers, and its kernel goes on. Impure.
 */

import type { Logger } from 'pino';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { isRecord } from '../../kube/objects.js';
import type { ProblemReport } from '../../kube/problems.js';
import { lostKey } from '../../policy/egress/lostNodes.js';
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
  readonly wallClock?: () => number;
}

export interface HolderWatch {
  /**
   * @param candidates addresses of all nodes with the label, this one too if it has it
   * @param lost those that are written down as gone
   */
  update(candidates: ReadonlyMap<string, readonly IpAddress[]>, lost: ReadonlySet<string>): void;
  stop(): Promise<void>;
}

export const HOLDER_LEASE = 'peerage-egress-addresses';
const API = 'coordination.k8s.io/v1';
const MERGE = 'application/merge-patch+json';
const NOT_FOUND = 404;
/** Milliseconds a request may take: what comes later says nothing any more. */
const TIMEOUT = 3000;

export function watchHolders(parts: HolderWatchParts): HolderWatch {
  return new Running(parts);
}

class Running implements HolderWatch {
  private candidates: ReadonlyMap<string, readonly IpAddress[]> = new Map();
  private lost: ReadonlySet<string> = new Set();
  private heard: Heard = NOTHING_HEARD;
  private timer: TimerHandle | undefined;
  private pass: Promise<void> | undefined;
  private readonly examined = new Map<string, Promise<void>>();
  private isOver = false;

  constructor(private readonly parts: HolderWatchParts) {}

  update(candidates: ReadonlyMap<string, readonly IpAddress[]>, lost: ReadonlySet<string>): void {
    [this.candidates, this.lost] = [candidates, lost];
    if (this.isCandidate && this.timer === undefined && this.pass === undefined) this.begin();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    this.timer?.cancel();
    await this.pass;
    await Promise.all(this.examined.values());
  }

  private get isCandidate(): boolean {
    return this.candidates.has(this.parts.nodeName);
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
    const { nodeName, clock } = this.parts;
    try {
      const annotations = await this.giveSign();
      const others = [...this.candidates.keys()].filter(node => node !== nodeName);
      this.heard = hear(this.heard, annotations, others, clock.now());
      if (this.lost.has(nodeName)) await this.note(nodeName, null, 'this node holds egress addresses again');
      this.complain(undefined);
    } catch (error) {
      this.complain(error);
      return;
    }
    for (const node of silentNodes(this.heard, clock.now())) {
      if (this.lost.has(node) || this.examined.has(node)) continue;
      // Beside the signs, which must not be late for it.
      const examination = this.examine(node).catch((error: unknown) => this.complain(error));
      this.examined.set(
        node,
        examination.finally(() => this.examined.delete(node)),
      );
    }
  }

  /** @returns annotations of the Lease, with the signs of all */
  private async giveSign(): Promise<Readonly<Record<string, unknown>>> {
    const { writer, namespace, nodeName, wallClock = Date.now } = this.parts;
    const collection = `/apis/${API}/namespaces/${namespace}/leases`;
    const annotations = { [beatKey(nodeName)]: new Date(wallClock()).toISOString() };
    const patch = { metadata: { annotations } };
    const path = `${collection}/${HOLDER_LEASE}`;
    const ask = (): Promise<unknown> => writer.ask('PATCH', path, patch, { contentType: MERGE, timeout: TIMEOUT });
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
      return annotationsOf(await writer.ask('POST', collection, lease, { timeout: TIMEOUT }));
    }
  }

  private async examine(node: string): Promise<void> {
    const found = await Promise.all((this.candidates.get(node) ?? []).map(address => this.parts.answers(address)));
    // Its machine is there: what its kernel holds is served, and its agent will be back.
    if (found.includes(true) || found.length === 0) return;
    await this.note(node, node, 'a node that may hold egress addresses is gone: others take them over');
  }

  private async note(node: string, value: string | null, message: string): Promise<void> {
    const { writer, namespace, logger } = this.parts;
    const patch = { metadata: { annotations: { [lostKey(node)]: value } } };
    await writer.ask('PATCH', `/api/v1/namespaces/${namespace}`, patch, { contentType: MERGE, timeout: TIMEOUT });
    logger.warn({ holder: node }, message);
  }

  private complain(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const subject = `Lease ${this.parts.namespace}/${HOLDER_LEASE}`;
    const slow = `${text}: an egress address moves only when its node is no longer Ready`;
    this.parts.report(new Map([['egress holders', error === undefined ? [] : [{ subject, text: slow }]]]));
  }
}

function annotationsOf(json: unknown): Readonly<Record<string, unknown>> {
  const metadata = isRecord(json) ? json['metadata'] : undefined;
  const annotations = isRecord(metadata) ? metadata['annotations'] : undefined;
  return isRecord(annotations) ? annotations : {};
}
