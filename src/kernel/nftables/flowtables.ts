/**
 * Flowtables of nf_tables over netlink: connections that a rule puts into one are forwarded where they come in, past routing
 * and every hook (linux/netfilter/nf_tables.h, Documentation/networking/nf_flowtable.rst). Needs Linux 5.3; to change
 * their devices, 5.8.
 */

import { dumpAll, type NetlinkChannel } from '../netlink/channel.js';
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.js';
import { NetlinkWriter } from '../netlink/writer.js';
import { attributeBe32 } from './expressions.js';
import { FAMILY_NUMBERS, type TableName } from './messages.js';
import * as nft from './numbers.js';

export interface FlowtableShape {
  readonly name: string;
  /** Of the hook at which devices hand it packets; below those of others' chains it comes first. */
  readonly priority: number;
  /** Names of links that packets come in by; at most {@link MOST_DEVICES}. */
  readonly devices: readonly string[];
}

/** One less than NFT_NETDEVICE_MAX, at which the kernel refuses a message. */
export const MOST_DEVICES = 255;

/** NF_NETDEV_INGRESS */
const INGRESS = 0;

/**
 * Adds a flowtable with these devices, or adds them to one that there is, which must have this priority (before Linux 5.8 that
 * is acknowledged and not done); or takes devices away from it. It goes with its table. A device that is not there refuses the
 * whole transaction.
 */
export function writeFlowtable(
  writer: NetlinkWriter,
  command: 'add' | 'delete',
  table: TableName,
  { name, priority, devices }: FlowtableShape,
): void {
  const isAdded = command === 'add';
  writer.begin(
    isAdded ? nft.NFT_MSG_NEWFLOWTABLE : nft.NFT_MSG_DELFLOWTABLE,
    NLM_F_REQUEST | (isAdded ? NLM_F_CREATE : 0),
  );
  writer.u8x4(FAMILY_NUMBERS[table.family], 0, 0, 0);
  writer.attributeText(nft.NFTA_FLOWTABLE_TABLE, table.name);
  writer.attributeText(nft.NFTA_FLOWTABLE_NAME, name);
  const hook = writer.beginNested(nft.NFTA_FLOWTABLE_HOOK, true);
  attributeBe32(writer, nft.NFTA_FLOWTABLE_HOOK_NUM, INGRESS);
  attributeBe32(writer, nft.NFTA_FLOWTABLE_HOOK_PRIORITY, priority);
  const list = writer.beginNested(nft.NFTA_FLOWTABLE_HOOK_DEVS, true);
  for (const device of devices) writer.attributeText(nft.NFTA_DEVICE_NAME, device);
  writer.endNested(list);
  writer.endNested(hook);
  if (isAdded) attributeBe32(writer, nft.NFTA_FLOWTABLE_FLAGS, 0);
  writer.end();
}

/** @returns the flowtables of one table; rejects with NetlinkError when the kernel cannot be asked */
export async function readFlowtables(channel: NetlinkChannel, table: TableName): Promise<readonly FlowtableShape[]> {
  const request = new NetlinkWriter(64);
  request.begin(nft.NFT_MSG_GETFLOWTABLE, NLM_F_REQUEST | NLM_F_DUMP);
  request.u8x4(FAMILY_NUMBERS[table.family], 0, 0, 0);
  request.attributeText(nft.NFTA_FLOWTABLE_TABLE, table.name);
  request.end();
  const read = async (): Promise<readonly FlowtableShape[]> =>
    (await dumpAll(channel, request, decodeFlowtable))
      .filter(found => found.table === table.name)
      .map(({ name, priority, devices }) => ({ name, priority, devices }));
  const found = await read();
  // The first answer on a socket is a page: a flowtable of more than 180 devices is left out of it without a word.
  return found.length > 0 ? found : read();
}

/** @returns with the name of its table */
export function decodeFlowtable(message: MessageCursor): FlowtableShape & { readonly table: string } {
  const { view, start, end } = message;
  let [table, name, priority] = ['', '', 0];
  const devices: string[] = [];
  const attributes = new AttributeCursor().over(view, start + nft.NFGENMSG, end);
  while (attributes.next()) {
    if (attributes.type === nft.NFTA_FLOWTABLE_TABLE) table = attributes.text();
    else if (attributes.type === nft.NFTA_FLOWTABLE_NAME) name = attributes.text();
    else if (attributes.type === nft.NFTA_FLOWTABLE_HOOK) {
      const hook = new AttributeCursor().over(view, attributes.start, attributes.end);
      while (hook.next()) {
        if (hook.type === nft.NFTA_FLOWTABLE_HOOK_PRIORITY) priority = hook.addressWord(0) | 0;
        else if (hook.type === nft.NFTA_FLOWTABLE_HOOK_DEVS) devices.push(...namesIn(view, hook));
      }
    }
  }
  return { table, name, priority, devices };
}

function namesIn(view: DataView, { start, end }: AttributeCursor): readonly string[] {
  const names: string[] = [];
  const device = new AttributeCursor().over(view, start, end);
  while (device.next()) if (device.type === nft.NFTA_DEVICE_NAME) names.push(device.text());
  return names;
}
