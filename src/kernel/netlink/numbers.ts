/** Numbers of the netlink transport itself (linux/netlink.h); those of rtnetlink are in ../rtnetlink.ts. */

export const NETLINK_ROUTE = 0;
export const NETLINK_GENERIC = 16;

/** Octets of `struct nlmsghdr` and `struct nlattr`; everything in a message is padded to 4 octets. */
export const MESSAGE_HEADER = 16;
export const ATTRIBUTE_HEADER = 4;

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
/** In a dump: the kernel's table changed while it was read, so the answer may be inconsistent. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
/** On NLMSG_ERROR: the original payload is left out, and extended-ack attributes follow. */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

/** The two top bits of an attribute's type are flags (nested, network byte order). */
export const NLA_TYPE_MASK = 0x3fff;
export const NLA_F_NESTED = 0x8000;

/** Extended acknowledgement: a sentence of the kernel about what it did not like. */
export const NLMSGERR_ATTR_MSG = 1;

/** Integers of netlink are in host order. */
export const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
