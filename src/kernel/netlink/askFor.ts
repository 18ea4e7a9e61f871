/** Whole tables of the kernel as values, where a kernel that has no such thing has none of it. */

import { dumpAll, NetlinkError, type NetlinkChannel } from './channel.js';
import type { MessageCursor } from './reader.js';
import { NetlinkWriter } from './writer.js';

/**
 * @param absent errnos that mean: there is nothing of the kind
 * @returns rejects with NetlinkError when the kernel refuses for another reason
 */
export async function askFor<T>(
  channel: NetlinkChannel,
  write: (writer: NetlinkWriter) => void,
  decode: (message: MessageCursor) => T | undefined,
  absent: ReadonlySet<number>,
): Promise<readonly T[]> {
  const request = new NetlinkWriter(256);
  write(request);
  try {
    return await dumpAll(channel, request, decode);
  } catch (error) {
    if (error instanceof NetlinkError && absent.has(error.errno)) return [];
    throw error;
  }
}
