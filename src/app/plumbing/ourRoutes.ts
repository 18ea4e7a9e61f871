/** Routes that a router of ours has in the kernel, whether it runs or not. Impure: netlink. */

import { isOurs, type Ownership } from '../../fib/ownership.js';
import { createOverlayTarget } from '../../fib/overlay/overlayTarget.js';
import type { FouPorts } from '../../kernel/fou.js';
import { dumpAll, NetlinkError, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRouteDump, type Route } from '../../kernel/routes.js';
import { AF_INET, AF_INET6 } from '../../kernel/rtnetlink.js';

/** ENOENT, EOPNOTSUPP, EAFNOSUPPORT. */
const ABSENT: ReadonlySet<number> = new Set([2, 95, 97]);

/** @returns rejects with NetlinkError when the kernel refuses */
export async function ourRoutes(
  channel: NetlinkChannel,
  family: typeof AF_INET | typeof AF_INET6,
  owner: Ownership,
): Promise<readonly Route[]> {
  const scan = new RouteScan();
  const request = new NetlinkWriter(64);
  writeRouteDump(request, family, owner.table);
  try {
    return await dumpAll(channel, request, message =>
      scan.read(message) && !scan.cloned && isOurs(owner, scan) ? routeOf(scan) : undefined,
    );
  } catch (error) {
    // A table that never had a route does not exist, a kernel without IPv6 has no such family.
    if (error instanceof NetlinkError && ABSENT.has(error.errno)) return [];
    throw error;
  }
}

/**
 * What routing of a former life is in the kernel still, where no router runs any more.
 * @returns a sentence for whoever looks after the node; undefined: nothing
 */
export async function leftOfRouter(
  channel: NetlinkChannel,
  fou: FouPorts,
  owner: Ownership,
): Promise<string | undefined> {
  const routes = [...(await ourRoutes(channel, AF_INET, owner)), ...(await ourRoutes(channel, AF_INET6, owner))];
  const overlay = await createOverlayTarget({ channel, fou, protocol: owner.protocol }).read();
  const tunnels = [...overlay.values()].flatMap(object => (object.kind === 'device' ? [object.device.name] : []));
  const parts = [
    ...(routes.length === 0 ? [] : [`routes (${routes.length}, protocol ${owner.protocol})`]),
    ...(tunnels.length === 0 ? [] : [`tunnels (${tunnels.join(', ')})`]),
  ];
  return parts.length === 0 ? undefined : `${parts.join(' and ')} of a router that ran here are left as they are`;
}
