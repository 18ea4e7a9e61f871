/**
 * The overlay at work: nodes and options in, kernel objects out through a reconciler, and an answer for every next hop that
 * is a node: direct, through a tunnel that stands, or left to the network. What is to go lingers until routes have moved.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { Present } from '../../core/deltaTable.js';
import { createReconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import type { IpAddress } from '../../core/ip.js';
import type { RouteHop } from '../../kernel/routes.js';
import { addressKey } from '../foreignRoutes.js';
import { DEFAULT_OVERLAY, type OverlayOptions } from './overlayOptions.js';
import { OverlayPlan, type NodeChanges, type PlanChanges } from './overlayPlan.js';
import type { OverlayTarget } from './overlayTarget.js';
import type { ObjectKey, OverlayObject, OverlayOwnNode, PlannedWay, TunnelTerms } from './overlayTypes.js';
import { USUAL_MTU, type Underlay } from './underlay.js';

/** How packets get to a next hop that is a node of the cluster. */
export type NodeWay =
  /** As to any next hop. */
  | { readonly kind: 'direct' }
  /** No route of ours: the network between the nodes knows the way, or nobody does. */
  | { readonly kind: 'fabric' }
  | { readonly kind: 'tunnel'; readonly hop: RouteHop; readonly terms: TunnelTerms }
  /** Through a tunnel that does not stand. */
  | { readonly kind: 'blocked'; readonly reason: string };

export type OverlayEvent = ReconcilerEvent<ObjectKey>;

export interface OverlayConfig {
  readonly target: OverlayTarget;
  readonly clock: Clock;
  /** Milliseconds between two readings of the kernel. */
  readonly readBackInterval: number;
  /** Resolves when routes that have to be written are written. */
  routesWritten(): Promise<void>;
  onEvent(event: OverlayEvent): void;
}

export interface Overlay {
  configure(options: OverlayOptions): void;
  /** What is new of this machine and of other nodes. Until the own node is known, nothing happens. */
  update(own: OverlayOwnNode | undefined, nodes: NodeChanges): void;
  /** Links, addresses or their MTU have changed. */
  underlayChanged(underlay: Underlay): void;
  /** Undefined: the address is no node's. */
  wayTo(address: IpAddress): NodeWay | undefined;
  /** Told when ways may be others than before. @returns a function that ends it */
  onWaysChanged(listener: () => void): () => void;
  /** Somebody touched what is ours. */
  readSoon(): void;
  /** What stands in the kernel, for views and tests. */
  readonly present: Present<ObjectKey, OverlayObject>;
  readonly failures: ReadonlyMap<ObjectKey, string>;
  idle(): Promise<void>;
  /** @param keep leave everything as it stands, for the next process to adopt */
  stop(options: { readonly keep: boolean }): Promise<void>;
}

/** How long what is not wanted any more stays, for routes to move and packets to arrive, in milliseconds. */
const LINGER = 2000;

export function createOverlay(config: OverlayConfig): Overlay {
  return new RunningOverlay(config);
}

class RunningOverlay implements Overlay {
  private readonly plan = new OverlayPlan();
  private readonly reconciler;
  private readonly listeners = new Set<() => void>();
  private options = DEFAULT_OVERLAY;
  private own: OverlayOwnNode | undefined;
  private underlay: Underlay = { subnets: [], mtuFor: () => USUAL_MTU };
  /** Objects that nobody wants any more. */
  private readonly lingering = new Set<ObjectKey>();
  /** The last way to each address that packets could go, until its successor stands; a while longer if it has none. */
  private readonly former = new Map<string, { readonly address: IpAddress; readonly way: PlannedWay }>();
  /** Addresses that are no node's any more. */
  private readonly left = new Set<string>();
  private timer: TimerHandle | undefined;

  constructor(private readonly config: OverlayConfig) {
    const { target, clock, readBackInterval } = config;
    const onEvent = (event: OverlayEvent): void => this.onReconciled(event);
    this.reconciler = createReconciler({ target, clock, equal: isDeepStrictEqual, readBackInterval, onEvent });
  }

  get present(): Present<ObjectKey, OverlayObject> {
    return this.reconciler.present;
  }

  get failures(): ReadonlyMap<ObjectKey, string> {
    return this.reconciler.failures;
  }

  configure(options: OverlayOptions): void {
    this.options = options;
    this.replan();
  }

  update(own: OverlayOwnNode | undefined, nodes: NodeChanges): void {
    this.own = own ?? this.own;
    const changes = this.plan.changeNodes(nodes);
    this.take(changes);
    this.replan();
    if (this.own !== undefined) this.reconciler.begin();
  }

  underlayChanged(underlay: Underlay): void {
    this.underlay = underlay;
    this.replan();
  }

  wayTo(address: IpAddress): NodeWay | undefined {
    const key = addressKey(address);
    const planned = this.plan.wayTo(address);
    const former = this.former.get(key);
    const way = planned && this.answer(address, planned);
    if (planned !== undefined && way?.kind !== 'blocked') {
      this.former.set(key, { address, way: planned });
      return way;
    }
    // Make before break: as long as the new way does not stand, packets go the old one.
    const old = former && this.answer(address, former.way);
    return old === undefined || old.kind === 'blocked' ? way : old;
  }

  onWaysChanged(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  readSoon(): void {
    this.reconciler.readSoon();
  }

  idle(): Promise<void> {
    return this.reconciler.idle();
  }

  async stop({ keep }: { readonly keep: boolean }): Promise<void> {
    this.timer?.cancel();
    if (!keep) {
      this.reconciler.replaceAll(new Map());
      this.reconciler.begin();
      await this.reconciler.idle();
    }
    await this.reconciler.stop();
  }

  private answer(address: IpAddress, planned: PlannedWay): NodeWay {
    if (planned.kind !== 'tunnel') return planned;
    const { device, gateway, terms, needs } = planned;
    for (const key of needs) {
      const rival = this.plan.rivalFor(address, key);
      if (rival !== undefined) return blocked(`node ${rival} has the name or link-layer address of its tunnel`);
      if (!this.stands(key)) return blocked(this.reconciler.failures.get(key) ?? 'it is being set up');
    }
    const ifindex = this.config.target.ifindexOf(device);
    if (ifindex === undefined) return blocked(`device ${device} is not there`);
    return { kind: 'tunnel', hop: { gateway, ifindex, onlink: gateway?.version === 4, weight: 1 }, terms };
  }

  /** Wanted and there; or there still, though something about it is being changed. */
  private stands(key: ObjectKey): boolean {
    const failed = this.reconciler.failures.has(key);
    return this.reconciler.isSettled(key) || (!failed && this.reconciler.present.has(key));
  }

  private replan(): void {
    const { own, options, underlay } = this;
    if (own === undefined) return;
    const mtu = (address: IpAddress | undefined): number =>
      address === undefined ? USUAL_MTU : underlay.mtuFor(address);
    const underlayMtu = { 4: mtu(own.v4), 6: mtu(own.v6) };
    this.take(this.plan.setContext({ options, own, subnets: underlay.subnets, underlayMtu }));
  }

  private take({ objects, ways }: PlanChanges): void {
    const set = [...objects].flatMap(([key, object]) => (object === undefined ? [] : [[key, object] as const]));
    for (const [key, object] of objects) {
      if (object === undefined) this.lingering.add(key);
      else this.lingering.delete(key);
    }
    for (const [key, way] of ways) {
      if (way === undefined) this.left.add(key);
      else this.left.delete(key);
    }
    if (set.length > 0) this.reconciler.apply(set);
    if (this.lingering.size + this.left.size > 0) this.arm();
    if (objects.size + ways.size > 0) this.tell();
  }

  private arm(): void {
    this.timer?.cancel();
    this.timer = this.config.clock.setTimeout(() => void this.dropLingering(), LINGER);
  }

  private async dropLingering(): Promise<void> {
    this.timer = undefined;
    for (const key of this.left) this.former.delete(key);
    this.left.clear();
    this.tell();
    await this.config.routesWritten();
    // What has come back meanwhile lingers no more; what packets still go through, because its successor fails, goes on.
    for (const { address } of [...this.former.values()]) this.wayTo(address);
    const inUse = new Set([...this.former.values()].flatMap(({ way }) => (way.kind === 'tunnel' ? way.needs : [])));
    const keys = [...this.lingering].filter(key => !inUse.has(key));
    for (const key of keys) this.lingering.delete(key);
    this.reconciler.apply(keys.map(key => [key, undefined]));
    if (this.lingering.size > 0) this.arm();
  }

  private onReconciled(event: OverlayEvent): void {
    this.config.onEvent(event);
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function blocked(reason: string): NodeWay {
  return { kind: 'blocked', reason: `tunnel: ${reason}` };
}
