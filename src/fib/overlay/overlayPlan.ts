/** All nodes to ways and kernel objects, incrementally: a node that changes costs that node. Pure but for its own memory. */

import { isDeepStrictEqual } from 'node:util';
import type { IpAddress } from '../../core/ip.js';
import { addressKey } from '../foreignRoutes.js';
import { ClaimTable } from './claimTable.js';
import { objectKey, planNode, sharedObjects, type EndPlan } from './nodePlan.js';
import type { ObjectKey, OverlayContext, OverlayNode, OverlayObject, PlannedWay } from './overlayTypes.js';

/** What another look brought. */
export interface PlanChanges {
  /** Undefined: not wanted any more. */
  readonly objects: ReadonlyMap<ObjectKey, OverlayObject | undefined>;
  /** Ways that are others now, by address; undefined: no node has it any more. */
  readonly ways: ReadonlyMap<string, PlannedWay | undefined>;
}

export interface NodeChanges {
  readonly set: ReadonlyMap<string, OverlayNode>;
  readonly removed: ReadonlySet<string>;
}

export class OverlayPlan {
  private context: OverlayContext | undefined;
  private readonly nodes = new Map<string, OverlayNode>();
  private readonly plans = new Map<string, readonly EndPlan[]>();
  private readonly objects = new ClaimTable<OverlayObject>();
  private readonly ways = new ClaimTable<PlannedWay>();
  /** Tunnels by IP version of the outer packet. */
  private readonly tunnels: Record<4 | 6, number> = { 4: 0, 6: 0 };
  private readonly wanted = new Map<ObjectKey, OverlayObject>();
  private readonly told = new Map<string, PlannedWay>();
  private shared: ReadonlyMap<ObjectKey, OverlayObject> = new Map();

  /** Another context means another look at every node; an equal one at none. */
  setContext(context: OverlayContext): PlanChanges {
    if (isDeepStrictEqual(this.context, context)) return this.settle(new Set());
    this.context = context;
    return this.settle(new Set(this.nodes.keys()));
  }

  changeNodes({ set, removed }: NodeChanges): PlanChanges {
    const dirty = new Set<string>();
    for (const name of removed) if (this.nodes.delete(name)) dirty.add(name);
    for (const [name, node] of set) {
      if (isDeepStrictEqual(this.nodes.get(name), node)) continue;
      this.nodes.set(name, node);
      dirty.add(name);
    }
    return this.settle(dirty);
  }

  /** Undefined: no node has the address. */
  wayTo(address: IpAddress): PlannedWay | undefined {
    return this.told.get(addressKey(address));
  }

  /** Another node that has a claim to what the way to this address needs. */
  rivalFor(address: IpAddress, key: ObjectKey): string | undefined {
    const owner = this.ways.winner(addressKey(address))?.owner;
    return owner === undefined || this.shared.has(key) ? undefined : this.objects.rivalOf(owner, key);
  }

  private settle(dirty: ReadonlySet<string>): PlanChanges {
    const keys = new Set<ObjectKey>();
    const addresses = new Set<string>();
    for (const name of dirty) this.replan(name, keys, addresses);
    const shared = this.sharedNow();
    for (const key of [...this.shared.keys(), ...shared.keys()]) keys.add(key);
    this.shared = shared;
    return {
      objects: changed(keys, this.wanted, key => shared.get(key) ?? this.objects.winner(key)?.value),
      ways: changed(addresses, this.told, key => this.ways.winner(key)?.value),
    };
  }

  private replan(name: string, keys: Set<ObjectKey>, addresses: Set<string>): void {
    for (const end of this.plans.get(name) ?? []) {
      this.count(end, -1);
      for (const key of end.objects.keys()) this.objects.remove(name, add(keys, key));
      this.ways.remove(name, add(addresses, addressKey(end.address)));
    }
    const node = this.nodes.get(name);
    const plan = node === undefined || this.context === undefined ? [] : planNode(this.context, node);
    if (plan.length === 0) this.plans.delete(name);
    else this.plans.set(name, plan);
    for (const end of plan) {
      this.count(end, 1);
      for (const [key, object] of end.objects) this.objects.put(name, add(keys, key), object);
      this.ways.put(name, add(addresses, addressKey(end.address)), end.way);
    }
  }

  private count({ address, way }: EndPlan, by: 1 | -1): void {
    if (way.kind === 'tunnel') this.tunnels[address.version] += by;
  }

  private sharedNow(): ReadonlyMap<ObjectKey, OverlayObject> {
    const { context, tunnels } = this;
    if (context === undefined) return new Map();
    const versions = ([4, 6] as const).filter(version => tunnels[version] > 0);
    const objects = versions.flatMap(version => sharedObjects(context, version));
    return new Map(objects.map(object => [objectKey(object), object]));
  }
}

function add(keys: Set<string>, key: string): string {
  keys.add(key);
  return key;
}

/** Brings `told` up to date for these keys. @returns what changed in it */
function changed<V>(
  keys: ReadonlySet<string>,
  told: Map<string, V>,
  valueOf: (key: string) => V | undefined,
): ReadonlyMap<string, V | undefined> {
  const changes = new Map<string, V | undefined>();
  for (const key of keys) {
    const [before, after] = [told.get(key), valueOf(key)];
    if (isDeepStrictEqual(before, after)) continue;
    if (after === undefined) told.delete(key);
    else told.set(key, after);
    changes.set(key, after);
  }
  return changes;
}
