/**
 * The inside of a pod that answers for services' addresses directly: a tunnel that takes packets out of the node's IPIP, with
 * the addresses on it. Impure: rtnetlink and switches in the pod's network namespace.
 */

import { formatAddress, parseAddress, type IpAddress } from '../../core/ip.js';
import {
  decodeInterfaceAddress,
  writeAddressDump,
  writeAddressRemoval,
  writeNewAddress,
} from '../../kernel/addresses.js';
import { errnoName } from '../../kernel/libc.js';
import { decodeLink, writeLinkDump } from '../../kernel/links.js';
import { insideNamespace } from '../../kernel/namespaces.js';
import { describeErrno, dumpAll, openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { IFF_UP, RT_SCOPE_LINK } from '../../kernel/rtnetlink.js';
import { kernelSwitches } from '../../kernel/sysctl.js';
import {
  decodeTunnelDevice,
  writeLinkDelete,
  writeNewTunnel,
  writeNoAutomaticAddresses,
  writeTunnelLink,
  type FoundTunnelDevice,
  type WantedTunnelDevice,
} from '../../kernel/tunnels.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { Family } from '../proxyTypes.js';

/** What a pod shall have of one family. */
export interface PodTunnel {
  readonly pod: IpText;
  /** Empty: no tunnel at all. */
  readonly vips: ReadonlySet<IpText>;
}

/** As kube-router names them, so that what that left is adopted. */
const POD_LINKS: Readonly<Record<Family, string>> = { 4: 'kube-tunnel-if', 6: 'kube-tunnel-v6' };
/** An Ethernet's less the outer header. Nothing is sent through them. */
const MTU: Readonly<Record<Family, number>> = { 4: 1480, 6: 1460 };

/**
 * Makes a pod's tunnels as they shall be, changing no more than differs.
 * @param namespaces where the pod's network namespace may be found, in the order in which they are tried
 * @returns smallest MTU of the pod's other links, by which answers are measured; rejects with what is wrong
 */
export async function applyInPod(namespaces: readonly string[], tunnels: readonly PodTunnel[]): Promise<number> {
  const { path, channel } = enterFirst(namespaces);
  try {
    for (const tunnel of tunnels) await applyOne(channel, path, tunnel);
    const links = await dumpAll(channel, request(writeLinkDump), decodeLink);
    const names = new Set(Object.values(POD_LINKS));
    // A link that is down, as tunl0 mostly is, carries no answers.
    return Math.min(
      ...links.filter(({ name, flags }) => !names.has(name) && (flags & IFF_UP) !== 0).map(({ mtu }) => mtu),
    );
  } finally {
    channel.close();
  }
}

/** @returns how many tunnels it had; rejects with what is wrong */
export async function removeFromPod(namespaces: readonly string[]): Promise<number> {
  const { channel } = enterFirst(namespaces);
  try {
    let removed = 0;
    for (const name of Object.values(POD_LINKS)) if (await removeDevice(channel, name)) removed += 1;
    return removed;
  } finally {
    channel.close();
  }
}

/** @returns whether it was there */
async function removeDevice(channel: NetlinkChannel, name: string): Promise<boolean> {
  if ((await findDevice(channel, name)) === undefined) return false;
  await run(channel, `delete ${name}`, writer => writeLinkDelete(writer, name));
  return true;
}

function enterFirst(namespaces: readonly string[]): { readonly path: string; readonly channel: NetlinkChannel } {
  const reasons: string[] = [];
  for (const path of namespaces) {
    try {
      return { path, channel: insideNamespace(path, openRouteChannel) };
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(`the pod's network namespace cannot be entered: ${reasons.join('; ') || 'its place is not told'}`);
}

async function applyOne(channel: NetlinkChannel, path: string, { pod, vips }: PodTunnel): Promise<void> {
  const own = addressOf(pod);
  const name = POD_LINKS[own.version];
  if (vips.size === 0) {
    await removeDevice(channel, name);
    return;
  }
  const device = await findDevice(channel, name);
  const isRight = device?.tunnel !== undefined && sameEnd(device.tunnel, own);
  if (device !== undefined && !isRight) await run(channel, `delete ${name}`, writer => writeLinkDelete(writer, name));
  if (!isRight) await make(channel, path, name, own);
  else if (!device.up) await run(channel, `take ${name} up`, writer => writeTunnelLink(writer, deviceOf(name, own)));
  await setAddresses(channel, name, own.version, vips);
}

function sameEnd(tunnel: WantedTunnelDevice['tunnel'], own: IpAddress): boolean {
  return tunnel.kind !== 'vxlan' && formatAddress(tunnel.local) === formatAddress(own) && tunnel.gue === null;
}

function deviceOf(name: string, local: IpAddress): WantedTunnelDevice {
  const anybody: IpAddress = { version: 6, words: [0, 0, 0, 0] };
  return {
    name,
    alias: 'peerage: direct server return',
    mtu: MTU[local.version],
    up: true,
    tunnel:
      local.version === 4 ? { kind: 'ipip', local, gue: null } : { kind: 'ip6tnl', local, remote: anybody, gue: null },
  };
}

async function make(channel: NetlinkChannel, path: string, name: string, own: IpAddress): Promise<void> {
  const device = deviceOf(name, own);
  await run(channel, `make ${name}`, writer => writeNewTunnel(writer, device));
  // Packets come in by the tunnel and are answered by another link: a strict filter would drop them all.
  if (own.version === 4) insideNamespace(path, () => kernelSwitches.write(`ipv4/conf/${name}/rp_filter`, '2'));
  else await run(channel, `quieten ${name}`, writer => writeNoAutomaticAddresses(writer, name));
  await run(channel, `take ${name} up`, writer => writeTunnelLink(writer, device));
}

async function setAddresses(
  channel: NetlinkChannel,
  name: string,
  family: Family,
  vips: ReadonlySet<IpText>,
): Promise<void> {
  const device = await findDevice(channel, name);
  if (device === undefined) throw new Error(`${name} is gone`);
  const all = await dumpAll(channel, request(writeAddressDump), decodeInterfaceAddress);
  const there = all.filter(
    ({ ifindex, address, scope }) =>
      ifindex === device.ifindex && address.version === family && scope !== RT_SCOPE_LINK,
  );
  const texts = new Set<string>(there.map(({ address }) => formatAddress(address)));
  for (const one of there)
    if (![...vips].some(vip => vip === formatAddress(one.address)))
      await run(channel, `take ${formatAddress(one.address)} off ${name}`, writer => writeAddressRemoval(writer, one));
  for (const vip of vips)
    if (!texts.has(vip))
      await run(channel, `put ${vip} on ${name}`, writer => writeNewAddress(writer, device.ifindex, addressOf(vip)));
}

async function findDevice(channel: NetlinkChannel, name: string): Promise<FoundTunnelDevice | undefined> {
  const devices = await dumpAll(channel, request(writeLinkDump), decodeTunnelDevice);
  return devices.find(device => device.name === name);
}

/** @throws Error that says what could not be done, and why */
async function run(channel: NetlinkChannel, what: string, write: (writer: NetlinkWriter) => void): Promise<void> {
  const { errnos, texts } = await channel.transact(request(write));
  const errno = errnos[0] ?? 0;
  if (errno !== 0 && errnoName(errno) !== 'EEXIST')
    throw new Error(`cannot ${what} in the pod: ${describeErrno(errno, texts.get(0))}`);
}

function request(write: (writer: NetlinkWriter) => void): NetlinkWriter {
  const writer = new NetlinkWriter(256);
  write(writer);
  return writer;
}

function addressOf(text: IpText): IpAddress {
  const address = parseAddress(text);
  if (!address.ok) throw new RangeError(address.error);
  return address.value;
}
