/** The ways to holders of egress addresses in the kernel: reads what is ours, and writes differences. Impure. */

import type { Delta } from '../../core/deltaTable.js';
import { addressBits, ipv4, type IpPrefix } from '../../core/ip.js';
import type { Target } from '../../core/reconciler.js';
import {
  decodeInterfaceAddress,
  writeAddressDump,
  writeAddressRemoval,
  writeNewAddress,
  type InterfaceAddress,
} from '../../kernel/addresses.js';
import { writeLinkDump } from '../../kernel/links.js';
import { askFor } from '../../kernel/netlink/askFor.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { newKeyedBatch, type KeyedBatch } from '../../kernel/netlink/keyedBatch.js';
import type { MessageCursor } from '../../kernel/netlink/reader.js';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import {
  decodeNeighbour,
  decodeVxlanForwarding,
  writeForwardingDump,
  writeNeighbour,
  writeNeighbourDump,
  writeVxlanForwarding,
} from '../../kernel/neighbours.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRoute, writeRouteDump, type Route } from '../../kernel/routes.js';
import { AF_INET, AF_INET6, NUD_PERMANENT, RT_SCOPE_UNIVERSE } from '../../kernel/rtnetlink.js';
import { decodeRule, writeRule, writeRuleDump, type Rule } from '../../kernel/rules.js';
import type { Switches } from '../../kernel/sysctl.js';
import {
  decodeTunnelDevice,
  isChangeable,
  writeLinkDelete,
  writeNewTunnel,
  writeNoAutomaticAddresses,
  writeTunnelLink,
  writeTunnelParameters,
  type FoundTunnelDevice,
} from '../../kernel/tunnels.js';
import { EGRESS_DEVICE, EGRESS_MARK_MASK, egressMark, MOST_SLOTS } from '../../policy/egress/egressTable.js';
import { EGRESS_RULE_PRIORITY, slotOfTable, tableOf, wayKey, type EgressWay } from './egressWays.js';

export interface EgressWayDeps {
  readonly channel: NetlinkChannel;
  readonly switches: Switches;
  /** RTPROT_* of our routes and rules. */
  readonly protocol: number;
}

const METRIC = 20;
/** What a delete finds gone already: ENOENT, ESRCH, ENODEV, EAFNOSUPPORT, EADDRNOTAVAIL. */
const GONE: ReadonlySet<number> = new Set([2, 3, 19, 97, 99]);
const EEXIST: ReadonlySet<number> = new Set([17]);
/** A table that never had a route does not exist; a kernel without IPv6 has no such family. */
const ABSENT: ReadonlySet<number> = new Set([2, 95, 97]);

type Change = Delta<string, EgressWay>;

export function createEgressWayTarget(deps: EgressWayDeps): Target<string, EgressWay> {
  return {
    read: async () => {
      const device = await ourDevice(deps.channel);
      const ways = [
        ...(device === undefined ? [] : await onDevice(deps.channel, device)),
        ...(await leading(deps, device)),
      ];
      return new Map(ways.map(way => [wayKey(way), way]));
    },
    commit: delta => commit(deps, delta),
  };
}

/** What is marked for a holder and finds no way is dropped by the table's rules: no order here lets anything out. */
async function commit(deps: EgressWayDeps, delta: Change): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>();
  const batch = newKeyedBatch(deps.channel, failures);
  const before = (await ourDevice(deps.channel))?.ifindex;
  for (const [key, way] of delta.removed) {
    remove(deps, batch, key, way, before);
    await batch.sendIfFull();
  }
  await batch.send();
  await changeDevice(deps, delta, batch);
  const ifindex = (await ourDevice(deps.channel))?.ifindex;
  for (const [key, { value, before }] of delta.set) {
    if (value.kind === 'device' || value.kind === 'oddDevice') continue;
    if (ifindex === undefined) batch.refuse(key, 'its device is not there');
    else put(deps, batch, key, value, before !== undefined, ifindex);
    await batch.sendIfFull();
  }
  await batch.send();
  return failures;
}

async function changeDevice({ switches }: EgressWayDeps, delta: Change, batch: KeyedBatch<string>): Promise<void> {
  const wanted = delta.set.get('device');
  const device = wanted?.value.kind === 'device' ? wanted.value.device : undefined;
  const known = wanted?.before?.kind === 'device' ? wanted.before.device.tunnel : undefined;
  const isKept = device !== undefined && isChangeable(known, device.tunnel);
  if (delta.removed.has('device') || (wanted?.before !== undefined && !isKept))
    batch.add('device', writer => writeLinkDelete(writer, EGRESS_DEVICE), GONE);
  if (device !== undefined) {
    if (isKept) batch.add('device', writer => writeTunnelParameters(writer, device));
    else {
      batch.add('device', writer => writeNewTunnel(writer, device));
      batch.add(undefined, writer => writeNoAutomaticAddresses(writer, device.name));
    }
    batch.add('device', writer => writeTunnelLink(writer, device));
  }
  await batch.send();
  if (device === undefined) return;
  // The way back to a pod is another than the one its packets come by: a strict filter would drop them.
  const filter = `ipv4/conf/${EGRESS_DEVICE}/rp_filter`;
  if (switches.read(filter) !== undefined) switches.write(filter, '2');
}

function put(
  deps: EgressWayDeps,
  batch: KeyedBatch<string>,
  key: string,
  way: Exclude<EgressWay, { kind: 'device' | 'oddDevice' }>,
  isThere: boolean,
  ifindex: number,
): void {
  switch (way.kind) {
    case 'address':
      batch.add(key, writer => writeNewAddress(writer, ifindex, way.address), EEXIST);
      break;
    case 'neighbour':
      batch.add(key, writer => writeNeighbour(writer, 'set', { ...way, ifindex }));
      break;
    case 'forwarding':
      batch.add(key, writer => writeVxlanForwarding(writer, 'set', { ...way, ifindex }));
      break;
    case 'route':
      batch.add(key, writer => writeRoute(writer, isThere ? 'replace' : 'create', routeTo(deps, way, ifindex)), EEXIST);
      break;
    case 'rule':
      batch.add(key, writer => writeRule(writer, 'create', ruleOf(deps, way)), EEXIST);
      break;
  }
}

/** @param ifindex of the device; undefined: it is gone, and with it all that was on it */
function remove(
  deps: EgressWayDeps,
  batch: KeyedBatch<string>,
  key: string,
  way: EgressWay,
  ifindex: number | undefined,
): void {
  if (way.kind === 'rule') batch.add(key, writer => writeRule(writer, 'delete', ruleOf(deps, way)), GONE);
  if (ifindex === undefined) return;
  if (way.kind === 'neighbour') batch.add(key, writer => writeNeighbour(writer, 'delete', { ...way, ifindex }), GONE);
  else if (way.kind === 'address')
    batch.add(key, writer => writeAddressRemoval(writer, { ...interfaceAddress(way), ifindex }), GONE);
  else if (way.kind === 'forwarding')
    batch.add(key, writer => writeVxlanForwarding(writer, 'delete', { ...way, ifindex }), GONE);
  else if (way.kind === 'route')
    batch.add(key, writer => writeRoute(writer, 'delete', routeTo(deps, way, ifindex)), GONE);
}

function interfaceAddress({ address }: Extract<EgressWay, { kind: 'address' }>): InterfaceAddress {
  return { ifindex: 0, address, length: addressBits(address), scope: RT_SCOPE_UNIVERSE, flags: 0 };
}

type RouteWay = Extract<EgressWay, { kind: 'route' }>;

function routeTo({ protocol }: EgressWayDeps, { version, slot, gateway }: RouteWay, ifindex: number): Route {
  return {
    destination: everything(version),
    table: tableOf(slot),
    protocol,
    type: 'unicast',
    metric: METRIC,
    scope: RT_SCOPE_UNIVERSE,
    hops: [{ gateway, ifindex, onlink: version === 4, weight: 1 }],
  };
}

function everything(version: 4 | 6): IpPrefix {
  return { address: version === 4 ? ipv4(0) : { version, words: [0, 0, 0, 0] }, length: 0 };
}

function ruleOf({ protocol }: EgressWayDeps, { version, slot }: Extract<EgressWay, { kind: 'rule' }>): Rule {
  const mark = { value: egressMark(slot), mask: EGRESS_MARK_MASK };
  return { version, priority: EGRESS_RULE_PRIORITY, table: tableOf(slot), protocol, mark };
}

async function ourDevice(channel: NetlinkChannel): Promise<FoundTunnelDevice | undefined> {
  return (await ask(channel, writeLinkDump, decodeTunnelDevice)).find(({ name }) => name === EGRESS_DEVICE);
}

async function onDevice(channel: NetlinkChannel, device: FoundTunnelDevice): Promise<readonly EgressWay[]> {
  const { ifindex, tunnel, ...link } = device;
  if (tunnel?.kind !== 'vxlan') return [{ kind: 'oddDevice', text: link.alias }];
  const neighbours = await ask(channel, writeNeighbourDump, decodeNeighbour);
  const addresses = await ask(channel, writeAddressDump, decodeInterfaceAddress);
  const forwarding = await ask(channel, writeForwardingDump, decodeVxlanForwarding);
  return [
    { kind: 'device', device: { ...link, tunnel } },
    // The kernel learns neighbours of its own; ours are permanent.
    ...neighbours.flatMap(({ address, lladdr, state, ifindex: on }): readonly EgressWay[] =>
      on !== ifindex || lladdr === undefined || (state & NUD_PERMANENT) === 0
        ? []
        : [{ kind: 'neighbour', address, lladdr }],
    ),
    ...addresses.flatMap(({ address, ifindex: on }): readonly EgressWay[] =>
      on === ifindex && address.version === 4 ? [{ kind: 'address', address }] : [],
    ),
    ...forwarding.flatMap(({ lladdr, remote, ifindex: on }): readonly EgressWay[] =>
      on === ifindex ? [{ kind: 'forwarding', lladdr, remote }] : [],
    ),
  ];
}

/** Routes and rules of ours, known by table and protocol. Routes over another link than ours are read as none. */
async function leading(
  { channel, protocol }: EgressWayDeps,
  device: FoundTunnelDevice | undefined,
): Promise<readonly EgressWay[]> {
  const scan = new RouteScan();
  const decode = (message: MessageCursor): Route | undefined =>
    scan.read(message) && !scan.cloned && scan.protocol === protocol && isSlot(slotOfTable(scan.table))
      ? routeOf(scan)
      : undefined;
  const ways: EgressWay[] = [];
  for (const [version, family] of [
    [4, AF_INET],
    [6, AF_INET6],
  ] as const) {
    const rules = await ask(channel, writer => writeRuleDump(writer, version), decodeRule);
    for (const rule of rules) {
      const slot = slotOfTable(rule.table);
      if (rule.protocol === protocol && isSlot(slot) && rule.mark?.value === egressMark(slot))
        ways.push({ kind: 'rule', version, slot });
    }
    for (const route of await ask(channel, writer => writeRouteDump(writer, family), decode)) {
      const [hop] = route.hops;
      if (
        route.destination.length === 0 &&
        hop?.ifindex === device?.ifindex &&
        hop?.gateway !== null &&
        hop !== undefined
      )
        ways.push({ kind: 'route', version, slot: slotOfTable(route.table), gateway: hop.gateway });
    }
  }
  return ways;
}

function isSlot(slot: number): boolean {
  return slot >= 1 && slot <= MOST_SLOTS;
}

function ask<T>(
  channel: NetlinkChannel,
  write: (writer: NetlinkWriter) => void,
  decode: (message: MessageCursor) => T | undefined,
): Promise<readonly T[]> {
  return askFor(channel, write, decode, ABSENT);
}
