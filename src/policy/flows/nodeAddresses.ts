/** All addresses that this node has on any link, as connection tracking shows them. Impure: netlink. */

import { formatAddress } from '../../core/ip.js';
import { decodeInterfaceAddress, writeAddressDump } from '../../kernel/addresses.js';
import { dumpAll, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import type { IpText } from '../../kube/objectTypes.js';

/** @param channel of NETLINK_ROUTE @returns rejects with NetlinkError when the kernel refuses */
export async function readNodeAddresses(channel: NetlinkChannel): Promise<ReadonlySet<IpText>> {
  const request = new NetlinkWriter(64);
  writeAddressDump(request);
  const found = await dumpAll(channel, request, decodeInterfaceAddress);
  return new Set(found.map(({ address }) => formatAddress(address) as IpText));
}
