/** Generic netlink: families of messages have numbers that the kernel gives out as they come (linux/genetlink.h). */

import { NetlinkError, type NetlinkChannel } from './channel.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_REQUEST } from './numbers.js';
import { AttributeCursor, type MessageCursor } from './reader.js';
import { NetlinkWriter } from './writer.js';

/** Octets of `struct genlmsghdr`. */
export const GENERIC_HEADER = 4;

const CONTROLLER = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const ENOENT = 2;

/** @param channel of protocol NETLINK_GENERIC; @returns undefined when the kernel has no such family */
export async function familyIdOf(channel: NetlinkChannel, name: string): Promise<number | undefined> {
  const request = new NetlinkWriter(64);
  writeFamilyRequest(request, name);
  let id: number | undefined;
  try {
    await channel.dump(request, message => {
      id = decodeFamilyId(message) ?? id;
    });
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === ENOENT)) throw error;
  }
  return id;
}

/** Asks for the number of a family; ENOENT when the kernel has it not. */
export function writeFamilyRequest(writer: NetlinkWriter, name: string): void {
  writer.begin(CONTROLLER, NLM_F_REQUEST);
  writer.u8x4(CTRL_CMD_GETFAMILY, 1, 0, 0);
  writer.attributeText(CTRL_ATTR_FAMILY_NAME, name);
  writer.end();
}

export function decodeFamilyId({ view, start, end }: MessageCursor): number | undefined {
  const attributes = new AttributeCursor().over(view, start + GENERIC_HEADER, end);
  while (attributes.next())
    if (attributes.type === CTRL_ATTR_FAMILY_ID && attributes.size >= 2)
      return view.getUint16(attributes.start, HOST_IS_LITTLE_ENDIAN);
  return undefined;
}
