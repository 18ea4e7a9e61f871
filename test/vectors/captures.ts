/**
 * What real speakers sent, octet by octet, without the sixteen octets of marker.
 *
 * Captured on 2026-11-21 over loopback inside a network namespace: a client bound to 127.0.0.2 (AS 65002) or 127.0.0.3
 * (AS 65003, without the four-octet AS capability) connected to each daemon, answered its OPEN with a KEEPALIVE and
 * wrote down every message it was sent. Daemons, from Debian 12:
 *
 * - BIRD 2.0.12, `bird -f -c bird.conf`: AS 4200000100, graceful restart, extended messages, add-path, extended next
 *   hop, three static IPv4 and two static IPv6 routes with communities of all kinds; for AS 65003 local AS 65001 and
 *   `enable as4 off`. The shutdown message is `birdc disable p "maintenance, back soon"`.
 * - GoBGP 3.10.0, `gobgpd -t toml -f gobgp.toml`: AS 65010, graceful restart with notification;
 *   `gobgp global rib add 192.0.2.0/24 med 9 community 65010:1,no-export large-community 65010:1:2 aigp metric 5`.
 * - FRR 8.4.4, `bgpd -n -Z -f frr.conf`: AS 65020, graceful restart, extended next hop, add-path, an aggregate.
 */

export const BIRD_OPEN =
  '005301045ba000f00a000001360234010400010001010400020001020005060001000100020600400a007800010100000201004104fa56ea6445040001010346004700';
export const BIRD_TWO_OCTET_OPEN = '002f0104fde900f00a00000112021001040001000102004002007846004700';
export const GOBGP_OPEN =
  '00490104fdf2005a0a00000a2c022a0200490402766d0001040001000101040002000141040000fdf240064078000101000506000100010002';
export const FRR_OPEN =
  '00890104fdfc00b40a0000146c02060104000100010206010400020001020280000202020002024600020641040000fdfc02020600020a4508000101030002010302164914076672722d6f6e650b6578616d706c652e6e6574020c400ac07800010100000201000210470e0001018000000000020180000000';

/** BIRD, IPv4 in MP_REACH_NLRI with path identifiers; all three kinds of communities. */
export const BIRD_ADD_PATH_UPDATE =
  '005e0200000047900e0011000101047f000001000000000218c00002400101004002060201fa56ea64c00808fde90001ffffff01c010080002fde900000007c0200c0000fde90000000100000002';
/** BIRD, two IPv6 prefixes with a global next hop. */
export const BIRD_IPV6_UPDATE =
  '004d0200000036900e00250002011020010db8000000000000000000000001003020010db800014020010db800020000400101004002060201fa56ea64';
/** BIRD, classic IPv4 with a wide AS, and its withdrawals of all three prefixes. */
export const BIRD_IPV4_UPDATE =
  '00540200000039400101004002060201fa56ea644003047f000001c00808fde90001ffffff01c010080002fde900000007c0200c0000fde9000000010000000218c00002';
export const BIRD_WITHDRAW = '002402000d18c0000219c633648018cb00710000';
export const BIRD_IPV6_WITHDRAW = '002e0200000017900f00130002013020010db800014020010db800020000';
/** BIRD to a two-octet speaker: AS_TRANS in AS_PATH, the real number in AS4_PATH. */
export const BIRD_AS4_PATH_UPDATE =
  '00410200000021400101004002060202fde95ba04003047f000001c0110a02020000fde9fa56ea0119c633648018cb0071';
/** End-of-RIB of IPv4 and of IPv6: the same from BIRD, GoBGP and FRR. */
export const END_OF_RIB_IPV4 = '00170200000000';
export const END_OF_RIB_IPV6 = '001d0200000006800f03000201';
/** BIRD, administrative shutdown with a message. */
export const BIRD_SHUTDOWN = '002c030602166d61696e74656e616e63652c206261636b20736f6f6e';
/** BIRD, `birdc restart p`. */
export const BIRD_RESET = '0015030604';

/** GoBGP, with AIGP (which is not for external peers). */
export const GOBGP_UPDATE =
  '005e02000000434001010240020602010000fdf24003047f00000a80040400000009c00808fdf20001ffffff01801a0b01000b0000000000000005c0200c0000fdf2000000010000000218c00002';
/** GoBGP, IPv6; MP_REACH_NLRI comes last. */
export const GOBGP_IPV6_UPDATE =
  '0043020000002c4001010240020602010000fdf2800e1c0002011020010db8000000000000000000000001003020010db80010';

/** FRR, an aggregate with path identifier 2: AS_PATH has an extended length although it is short. */
export const FRR_AGGREGATE_UPDATE =
  '0047020000002a400101005002000602010000fdfc4003047f00001480040400000000400600c007080000fdfc0a0000140000000208c6';
/** FRR, IPv6 whose next hop is an IPv4-mapped address. */
export const FRR_IPV6_UPDATE =
  '004c0200000035900e001c0002011000000000000000000000ffff7f000014003020010db80020400101005002000602010000fdfc80040400000000';

export const KEEPALIVE = '001304';
