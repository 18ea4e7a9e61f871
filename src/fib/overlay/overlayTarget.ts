/** The overlay's part of the kernel: reads what is ours, and writes differences in the order in which things refer to each other. */

import { assertNever } from '../../core/assertNever.js';
import type { Delta } from '../../core/deltaTable.js';
import type { Target } from '../../core/reconciler.js';
import type { FouPorts } from '../../kernel/fou.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { newKeyedBatch, type KeyedBatch } from '../../kernel/netlink/keyedBatch.js';
import { writeNeighbour, writeVxlanForwarding } from '../../kernel/neighbours.js';
import { writeRoute, type Route } from '../../kernel/routes.js';
import { RT_SCOPE_UNIVERSE } from '../../kernel/rtnetlink.js';
import { writeRule, type Rule } from '../../kernel/rules.js';
import {
  isChangeable,
  writeLinkDelete,
  writeNewTunnel,
  writeNoAutomaticAddresses,
  writePassingMtu,
  writeTunnelLink,
  writeTunnelParameters,
} from '../../kernel/tunnels.js';
import { OVERLAY_RULE_PRIORITY, OVERLAY_TABLE } from './overlayOptions.js';
import { readDevices, readOverlay } from './overlayReading.js';
import type { ObjectKey, OverlayObject } from './overlayTypes.js';

export interface OverlayTargetOptions {
  readonly channel: NetlinkChannel;
  /** UDP ports that take GUE in. */
  readonly fou: Pick<FouPorts, 'read' | 'change'>;
  /** RTPROT_* of our routes and rules. */
  readonly protocol: number;
}

export interface OverlayTarget extends Target<ObjectKey, OverlayObject> {
  /** Number of a device of ours, as of the last reading or commit. */
  ifindexOf(name: string): number | undefined;
}

/** Why something on a device failed, when the device failed first. */
export const NO_DEVICE = 'its device is not there';

type Failures = Map<ObjectKey, string>;
type Change = Delta<ObjectKey, OverlayObject>;
type Kind = OverlayObject['kind'];

/** Of routes in the overlay's table; IPv6 reads 0 as 1024. */
const METRIC = 20;
/** What a delete finds gone already: ENOENT, ESRCH, ENODEV. */
const GONE: ReadonlySet<number> = new Set([2, 3, 19]);
/** In the order in which they refer to each other. What is to go, goes the other way round. */
const BEHIND_DEVICES = [['neighbour', 'forwarding'], ['route'], ['rule']] as const;

export function createOverlayTarget(options: OverlayTargetOptions): OverlayTarget {
  return new KernelOverlay(options);
}

class KernelOverlay implements OverlayTarget {
  private devices: ReadonlyMap<string, number> = new Map();

  constructor(private readonly options: OverlayTargetOptions) {}

  ifindexOf(name: string): number | undefined {
    return this.devices.get(name);
  }

  async read(): Promise<ReadonlyMap<ObjectKey, OverlayObject>> {
    const { channel, protocol } = this.options;
    const found = await readOverlay(channel, protocol, await this.options.fou.read());
    this.devices = found.devices;
    return found.objects;
  }

  async commit(delta: Change): Promise<ReadonlyMap<ObjectKey, string>> {
    const failures: Failures = new Map();
    await this.changeFou('open', delta, failures);
    await this.makeDevices(delta, failures);
    for (const kinds of BEHIND_DEVICES) await this.put(delta, kinds, failures);
    for (const kinds of [...BEHIND_DEVICES].reverse()) await this.takeOut(delta, kinds, failures);
    await this.deleteDevices(delta, failures);
    await this.changeFou('close', delta, failures);
    return failures;
  }

  private async makeDevices(delta: Change, failures: Failures): Promise<void> {
    const batch = newKeyedBatch(this.options.channel, failures);
    let any = false;
    for (const [key, { value, before }] of delta.set) {
      if (value.kind !== 'device') continue;
      any = true;
      const { device } = value;
      const known = before?.kind === 'device' && isChangeable(before.device.tunnel, device.tunnel);
      if (before !== undefined && !known) batch.add(key, writer => writeLinkDelete(writer, device.name), GONE);
      if (known) {
        batch.add(key, writer => writeTunnelParameters(writer, device));
        if (device.tunnel.kind === 'ip6tnl') batch.add(undefined, writer => writePassingMtu(writer, device));
      } else {
        batch.add(key, writer => writeNewTunnel(writer, device));
        batch.add(undefined, writer => writeNoAutomaticAddresses(writer, device.name));
      }
      batch.add(key, writer => writeTunnelLink(writer, device));
      await batch.sendIfFull();
    }
    await batch.send();
    // Their numbers are the kernel's choice.
    if (any) this.devices = await readDevices(this.options.channel);
  }

  private async deleteDevices(delta: Change, failures: Failures): Promise<void> {
    const batch = newKeyedBatch(this.options.channel, failures);
    for (const [key, object] of delta.removed) {
      if (object.kind !== 'device' && object.kind !== 'oddDevice') continue;
      batch.add(key, writer => writeLinkDelete(writer, object.device.name), GONE);
      await batch.sendIfFull();
    }
    await batch.send();
  }

  private async put(delta: Change, kinds: readonly Kind[], failures: Failures): Promise<void> {
    const batch = newKeyedBatch(this.options.channel, failures);
    for (const [key, { value, before }] of delta.set) {
      if (!kinds.includes(value.kind)) continue;
      this.write(batch, key, value, before === undefined ? 'create' : 'replace');
      await batch.sendIfFull();
    }
    await batch.send();
  }

  private async takeOut(delta: Change, kinds: readonly Kind[], failures: Failures): Promise<void> {
    const batch = newKeyedBatch(this.options.channel, failures);
    for (const [key, object] of delta.removed) {
      if (!kinds.includes(object.kind)) continue;
      this.write(batch, key, object, 'delete');
      await batch.sendIfFull();
    }
    await batch.send();
  }

  private write(
    batch: KeyedBatch<ObjectKey>,
    key: ObjectKey,
    object: OverlayObject,
    command: 'create' | 'replace' | 'delete',
  ): void {
    const isDelete = command === 'delete';
    const accept = isDelete ? GONE : undefined;
    const ifindex = 'device' in object && typeof object.device === 'string' ? this.devices.get(object.device) : 0;
    if (ifindex === undefined) {
      // With the device, everything on it is gone.
      if (!isDelete) batch.refuse(key, NO_DEVICE);
      return;
    }
    const setOrDelete = isDelete ? 'delete' : 'set';
    switch (object.kind) {
      case 'neighbour':
        batch.add(key, writer => writeNeighbour(writer, setOrDelete, { ...object, ifindex }), accept);
        break;
      case 'forwarding':
        batch.add(key, writer => writeVxlanForwarding(writer, setOrDelete, { ...object, ifindex }), accept);
        break;
      case 'route':
        batch.add(key, writer => writeRoute(writer, command, this.routeOf(object, ifindex)), accept);
        break;
      case 'rule':
        batch.add(key, writer => writeRule(writer, isDelete ? 'delete' : 'create', this.ruleOf(object)), accept);
        break;
      case 'fou':
      case 'device':
      case 'oddDevice':
        break;
      default:
        assertNever(object);
    }
  }

  private routeOf(route: Extract<OverlayObject, { kind: 'route' }>, ifindex: number): Route {
    const { destination, gateway, source } = route;
    return {
      destination,
      table: OVERLAY_TABLE,
      protocol: this.options.protocol,
      type: 'unicast',
      metric: METRIC,
      scope: RT_SCOPE_UNIVERSE,
      hops: [{ gateway, ifindex, onlink: gateway?.version === 4, weight: 1 }],
      ...(source === undefined ? {} : { source }),
    };
  }

  private ruleOf({ source }: Extract<OverlayObject, { kind: 'rule' }>): Rule {
    const { protocol } = this.options;
    return { version: source.address.version, priority: OVERLAY_RULE_PRIORITY, table: OVERLAY_TABLE, protocol, source };
  }

  private async changeFou(command: 'open' | 'close', delta: Change, failures: Failures): Promise<void> {
    const objects =
      command === 'open' ? [...delta.set].map(([key, { value }]) => [key, value] as const) : delta.removed;
    for (const [key, object] of objects) {
      if (object.kind !== 'fou') continue;
      const reason = await this.options.fou.change(command, object.version, object.port);
      if (reason !== undefined) failures.set(key, reason);
    }
  }
}
