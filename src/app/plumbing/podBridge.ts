/** The bridge that pods are attached to: made where it is missing, up, and at its MTU. Addresses are left to CNI. Impure. */

import { randomBytes } from 'node:crypto';
import { err, ok, type Result } from '../../core/result.js';
import { writeLinkUp, writeNewBridge } from '../../kernel/bridge.js';
import { lladdrText } from '../../kernel/lladdr.js';
import { describeErrno, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { writeLinkDelete } from '../../kernel/tunnels.js';
import type { NodeLinks } from './nodeLinks.js';

/** The mark of a bridge that we made: one that was there before is looked after, and never deleted. */
const ALIAS = 'peerage: pods of this node';
/** Of Ethernet, for a new bridge of which nothing is said. */
const USUAL_MTU = 1500;

/** @returns what was done, or a sentence on why not */
export async function ensureBridge(
  channel: NetlinkChannel,
  name: string,
  mtu: number | null,
  { links, bridges }: NodeLinks,
): Promise<Result<'made' | 'changed' | 'kept', string>> {
  const found = bridges.find(bridge => bridge.name === name);
  if (found === undefined && links.some(link => link.name === name))
    return err('there is a link of this name that is no bridge');
  if (found?.up === true && (mtu === null || found.mtu === mtu)) return ok('kept');
  const writer = new NetlinkWriter(256);
  if (found === undefined) writeNewBridge(writer, { name, alias: ALIAS, mtu: mtu ?? USUAL_MTU }, newLladdr());
  else writeLinkUp(writer, name, mtu ?? found.mtu);
  const refusal = await carryOut(channel, writer);
  return refusal === undefined ? ok(found === undefined ? 'made' : 'changed') : err(refusal);
}

/** Deletes the bridge if we made it and nothing is attached to it. @returns why it was left, or what was done */
export async function removeBridge(
  channel: NetlinkChannel,
  name: string,
  { links, bridges }: NodeLinks,
): Promise<Result<'removed' | 'foreign' | 'absent', string>> {
  const found = bridges.find(bridge => bridge.name === name);
  if (found === undefined) return ok('absent');
  if (found.alias !== ALIAS) return ok('foreign');
  const ports = links.filter(({ master }) => master === found.ifindex);
  if (ports.length > 0) return err(`still has ports: ${ports.map(port => port.name).join(', ')}`);
  const writer = new NetlinkWriter(256);
  writeLinkDelete(writer, name);
  const refusal = await carryOut(channel, writer);
  return refusal === undefined ? ok('removed') : err(refusal);
}

async function carryOut(channel: NetlinkChannel, writer: NetlinkWriter): Promise<string | undefined> {
  const { errnos, texts } = await channel.transact(writer);
  const at = errnos.findIndex(errno => errno !== 0);
  return at < 0 ? undefined : describeErrno(errnos[at]!, texts.get(at));
}

/** Locally administered, of one host (IEEE 802). */
function newLladdr(): string {
  return lladdrText(Uint8Array.of(0x0a, ...randomBytes(5)));
}
