/** Opens the rig for the cases, with everything that they ask of it. Impure: namespaces and processes. */

import type { Family } from '../../src/proxy/proxyTypes.js';
import { ADDRESSES, openProxyRig, PORT, SETTINGS, type OpenBackend } from '../kernel/proxyRig.js';
import type { World } from './world.js';

export interface Worlds {
  of(family: Family): World;
  close(): Promise<void>;
}

/** Where the node itself listens: nothing of it must be reached at addresses of services. */
const NODE_LISTENS = 22000;

/** @param prefix of the namespaces' names @param openBackend absent: nftables */
export async function openWorlds(prefix: string, openBackend?: OpenBackend): Promise<Worlds> {
  const rig = await openProxyRig(prefix, openBackend);
  try {
    await rig.actors.node.serve('node', NODE_LISTENS);
    const sctp = rig.actors.c.serveSctp('c', PORT, [ADDRESSES[4].c, ADDRESSES[6].c]);
    const hasSctp = await sctp.then(() => true).catch(() => false);
    rig.proxy.configure(SETTINGS);
    rig.proxy.begin();
    await rig.proxy.idle();
    return { of: family => ({ rig, family, hasSctp }), close: () => rig.close() };
  } catch (error) {
    await rig.close();
    throw error;
  }
}
