/** Numbers of rtnetlink (linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h, fib_rules.h). */

export const AF_UNSPEC = 0;
export const AF_INET = 2;
/** Forwarding entries of bridges and VXLAN devices. */
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
/** Address families that rtnetlink speaks of here. */
export type AddressFamily = typeof AF_INET | typeof AF_INET6;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

/** Multicast groups. */
export const RTNLGRP_LINK = 1;
export const RTNLGRP_NEIGH = 3;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV4_ROUTE = 7;
export const RTNLGRP_IPV4_RULE = 8;
export const RTNLGRP_IPV6_IFADDR = 9;
export const RTNLGRP_IPV6_ROUTE = 11;
export const RTNLGRP_IPV6_RULE = 19;

/** Octets of the fixed structures that open each kind of message. */
export const RTMSG = 12;
export const IFINFOMSG = 16;
export const IFADDRMSG = 8;
export const NDMSG = 12;
export const FIB_RULE_HDR = 12;

export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;
export const RTA_PREFSRC = 7;
export const RTA_METRICS = 8;
export const RTA_MULTIPATH = 9;
export const RTA_TABLE = 15;
export const RTA_VIA = 18;
export const RTA_ENCAP = 22;
export const RTA_NH_ID = 30;

/** rtm_type. */
export const RTN_UNSPEC = 0;
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;

/** rtm_scope. */
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RT_SCOPE_NOWHERE = 255;

/** rtm_table. */
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;

/** rtm_protocol. */
export const RTPROT_UNSPEC = 0;
export const RTPROT_BGP = 186;
/** Our own, which nobody else uses (FRR has 186 to 198): routes that let this machine itself reach addresses of services. */
export const RTPROT_SERVICES = 206;

/** rtm_flags and rtnh_flags. */
export const RTNH_F_ONLINK = 4;
/** A cached exception (path MTU, redirect), not a route of the table. */
export const RTM_F_CLONED = 0x200;
/** In a question: which route of the table answers, not what was made of it. */
export const RTM_F_FIB_MATCH = 0x2000;

/** Keys of RTA_METRICS: which of them (as bits) the kernel shall not adapt, and the most octets a packet may have. */
export const RTAX_LOCK = 1;
export const RTAX_MTU = 2;

export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
/** The link at the other end, by its number in the namespace that IFLA_LINK_NETNSID names. */
export const IFLA_LINK = 5;
export const IFLA_MASTER = 10;
export const IFLA_OPERSTATE = 16;
export const IFLA_LINKINFO = 18;
export const IFLA_IFALIAS = 20;
export const IFLA_AF_SPEC = 26;
export const IFLA_LINK_NETNSID = 37;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
/** In IFLA_AF_SPEC: IPv6 addresses the kernel gives a link by itself; 1: none. */
export const IFLA_INET6_ADDR_GEN_MODE = 8;

/** Parameters of a VXLAN device, in IFLA_INFO_DATA. */
export const IFLA_VXLAN_ID = 1;
export const IFLA_VXLAN_LOCAL = 4;
export const IFLA_VXLAN_LEARNING = 7;
export const IFLA_VXLAN_PORT = 15;
export const IFLA_VXLAN_LOCAL6 = 17;

/** Parameters of IPIP and ip6tnl devices, in IFLA_INFO_DATA (linux/if_tunnel.h). */
export const IFLA_IPTUN_LOCAL = 2;
export const IFLA_IPTUN_REMOTE = 3;
export const IFLA_IPTUN_TTL = 4;
export const IFLA_IPTUN_FLAGS = 8;
export const IFLA_IPTUN_PROTO = 9;
export const IFLA_IPTUN_PMTUDISC = 10;
export const IFLA_IPTUN_ENCAP_TYPE = 15;
export const IFLA_IPTUN_ENCAP_FLAGS = 16;
export const IFLA_IPTUN_ENCAP_SPORT = 17;
export const IFLA_IPTUN_ENCAP_DPORT = 18;
export const TUNNEL_ENCAP_NONE = 0;
export const TUNNEL_ENCAP_GUE = 2;
export const TUNNEL_ENCAP_FLAG_CSUM6 = 2;
/** IFLA_IPTUN_FLAGS of ip6tnl: no Tunnel Encapsulation Limit option (RFC 2473), which would cost eight octets. */
export const IP6_TNL_F_IGN_ENCAP_LIMIT = 1;

export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_RUNNING = 0x40;
export const IFF_NOARP = 0x80;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_FLAGS = 8;
/** In a request: of another network namespace, by our number for it. */
export const IFA_TARGET_NETNSID = 10;
/** ifa_flags: whether others have it too is not known yet, or known to be so. */
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;

export const NDA_DST = 1;
export const NDA_LLADDR = 2;
/** Of a bridge's forwarding entry: the bridge, where ndm_ifindex is the port. */
export const NDA_MASTER = 9;
/** ndm_state. */
export const NUD_PERMANENT = 0x80;
/** ndm_flags: an entry of the device itself, not of a bridge it belongs to. */
export const NTF_SELF = 0x02;

export const FRA_DST = 1;
export const FRA_SRC = 2;
export const FRA_IIFNAME = 3;
export const FRA_PRIORITY = 6;
export const FRA_FWMARK = 10;
export const FRA_TABLE = 15;
export const FRA_FWMASK = 16;
export const FRA_OIFNAME = 17;
export const FRA_PROTOCOL = 21;
export const FR_ACT_TO_TBL = 1;
