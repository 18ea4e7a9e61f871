/** Reads what of the overlay stands in the kernel. Ours are: devices by name and alias, what is on them, and routes and rules by table and protocol. */

import type { FouPort } from '../../kernel/fou.js';
import { writeLinkDump } from '../../kernel/links.js';
import { askFor } from '../../kernel/netlink/askFor.js';
import { NetlinkError, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { MessageCursor } from '../../kernel/netlink/reader.js';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import {
  decodeNeighbour,
  decodeVxlanForwarding,
  writeForwardingDump,
  writeNeighbourDump,
} from '../../kernel/neighbours.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRouteDump, type Route } from '../../kernel/routes.js';
import { AF_INET, AF_INET6, NUD_PERMANENT } from '../../kernel/rtnetlink.js';
import { decodeRule, writeRuleDump } from '../../kernel/rules.js';
import { decodeTunnelDevice, type FoundTunnelDevice } from '../../kernel/tunnels.js';
import { objectKey } from './nodePlan.js';
import { isOverlayDevice } from './overlayNames.js';
import { OVERLAY_RULE_PRIORITY, OVERLAY_TABLE } from './overlayOptions.js';
import type { ObjectKey, OverlayObject } from './overlayTypes.js';

const ENOENT = 2;
/** EOPNOTSUPP. */
const UNKNOWN: ReadonlySet<number> = new Set([95]);

/** Numbers of the devices that are ours, by name. */
export async function readDevices(channel: NetlinkChannel): Promise<ReadonlyMap<string, number>> {
  return new Map((await ourDevices(channel)).map(({ name, ifindex }) => [name, ifindex]));
}

/** @param protocol RTPROT_* of our routes and rules */
export async function readOverlay(
  channel: NetlinkChannel,
  protocol: number,
  fou: readonly FouPort[],
): Promise<{ readonly objects: ReadonlyMap<ObjectKey, OverlayObject>; readonly devices: ReadonlyMap<string, number> }> {
  const devices = await ourDevices(channel);
  const names = new Map(devices.map(({ ifindex, name }) => [ifindex, name]));
  const objects: readonly OverlayObject[] = [
    ...fou.map(port => ({ kind: 'fou', ...port }) as const),
    ...devices.map(deviceObject),
    ...(devices.length === 0 ? [] : await onDevices(channel, names)),
    ...(await routes(channel, protocol, names)),
    ...(await rules(channel, protocol)),
  ];
  return {
    objects: new Map(objects.map(object => [objectKey(object), object])),
    devices: new Map(devices.map(({ name, ifindex }) => [name, ifindex])),
  };
}

async function ourDevices(channel: NetlinkChannel): Promise<readonly FoundTunnelDevice[]> {
  return (await ask(channel, writeLinkDump, decodeTunnelDevice)).filter(isOverlayDevice);
}

function deviceObject({ name, alias, mtu, up, tunnel }: FoundTunnelDevice): OverlayObject {
  const link = { name, alias, mtu, up };
  return tunnel === undefined
    ? { kind: 'oddDevice', device: { ...link, tunnel } }
    : { kind: 'device', device: { ...link, tunnel } };
}

async function onDevices(
  channel: NetlinkChannel,
  names: ReadonlyMap<number, string>,
): Promise<readonly OverlayObject[]> {
  const neighbours = await ask(channel, writeNeighbourDump, decodeNeighbour);
  const forwarding = await ask(channel, writeForwardingDump, decodeVxlanForwarding);
  return [
    ...neighbours.flatMap(({ ifindex, address, lladdr, state }): readonly OverlayObject[] => {
      const device = names.get(ifindex);
      // The kernel learns neighbours of its own; ours are permanent.
      if (device === undefined || lladdr === undefined || (state & NUD_PERMANENT) === 0) return [];
      return [{ kind: 'neighbour', device, address, lladdr }];
    }),
    ...forwarding.flatMap(({ ifindex, lladdr, remote }): readonly OverlayObject[] => {
      const device = names.get(ifindex);
      return device === undefined ? [] : [{ kind: 'forwarding', device, lladdr, remote }];
    }),
  ];
}

async function routes(
  channel: NetlinkChannel,
  protocol: number,
  names: ReadonlyMap<number, string>,
): Promise<readonly OverlayObject[]> {
  const scan = new RouteScan();
  const decode = (message: MessageCursor): Route | undefined =>
    scan.read(message) && !scan.cloned && scan.table === OVERLAY_TABLE && scan.protocol === protocol
      ? routeOf(scan)
      : undefined;
  const found: Route[] = [];
  for (const family of [AF_INET, AF_INET6] as const) {
    try {
      found.push(...(await ask(channel, writer => writeRouteDump(writer, family, OVERLAY_TABLE), decode)));
    } catch (error) {
      // A table that has never had a route does not exist.
      if (!(error instanceof NetlinkError && error.errno === ENOENT)) throw error;
    }
  }
  return found.map(({ destination, hops: [hop], source }): OverlayObject => {
    const device = (hop && names.get(hop.ifindex)) ?? '';
    return { kind: 'route', destination, device, gateway: hop?.gateway ?? null, source };
  });
}

async function rules(channel: NetlinkChannel, protocol: number): Promise<readonly OverlayObject[]> {
  const found: OverlayObject[] = [];
  for (const version of [4, 6] as const) {
    for (const rule of await ask(channel, writer => writeRuleDump(writer, version), decodeRule)) {
      const isOurs =
        rule.protocol === protocol && rule.priority === OVERLAY_RULE_PRIORITY && rule.table === OVERLAY_TABLE;
      if (isOurs && rule.source !== undefined) found.push({ kind: 'rule', source: rule.source });
    }
  }
  return found;
}

/** A whole table; none of it where the kernel knows no such thing. */
function ask<T>(
  channel: NetlinkChannel,
  write: (writer: NetlinkWriter) => void,
  decode: (message: MessageCursor) => T | undefined,
): Promise<readonly T[]> {
  return askFor(channel, write, decode, UNKNOWN);
}
