/** Valid messages to start from: captures of real speakers, and UPDATEs that hold every attribute there is. */

import type { PathAttribute } from '../../src/bgp/attributes.js';
import type { ScanContext } from '../../src/bgp/scanContext.js';
import { encodeAttributes } from '../../src/bgp/wire/attributeCodec.js';
import { encodeKeepalive, encodeMessage } from '../../src/bgp/wire/frame.js';
import { encodeNotification, encodeShutdownData } from '../../src/bgp/wire/notificationMessage.js';
import { encodeRouteRefresh } from '../../src/bgp/wire/routeRefresh.js';
import { Ipv4 } from '../../src/core/ip.js';
import * as captures from '../vectors/captures.js';
import { hex, message, octets } from '../vectors/hex.js';
import { body, EBGP, IBGP } from '../vectors/updates.js';

const UPDATE = 2;

/** One of each kind, as an internal speaker with wide AS numbers would send them. */
export const EVERY_ATTRIBUTE: readonly PathAttribute[] = [
  { kind: 'origin', origin: 'igp' },
  {
    kind: 'asPath',
    segments: [
      { type: 'sequence', asns: [65001, 4200000001, 65000] },
      { type: 'set', asns: [7, 8] },
    ],
  },
  { kind: 'nextHop', address: Ipv4(0x0a000001) },
  { kind: 'med', med: 100 },
  { kind: 'localPref', localPref: 200 },
  { kind: 'atomicAggregate' },
  { kind: 'aggregator', asn: 4200000001, routerId: Ipv4(0x0a000001) },
  { kind: 'communities', communities: [0xfde90001, 0xffffff01, 0xffff0006] },
  { kind: 'originatorId', routerId: Ipv4(0x0a000002) },
  { kind: 'clusterList', clusters: [Ipv4(0x0a000003), Ipv4(0x0a000004)] },
  {
    kind: 'mpReach',
    afi: 2,
    safi: 1,
    nextHop: octets('20010db8000000000000000000000001'),
    nlri: octets('3020010db80001'),
  },
  { kind: 'mpUnreach', afi: 2, safi: 1, nlri: octets('3020010db80002') },
  { kind: 'extendedCommunities', communities: [0x0002fde900000007n] },
  { kind: 'as4Path', segments: [{ type: 'sequence', asns: [4200000001, 65000] }] },
  { kind: 'as4Aggregator', asn: 4200000001, routerId: Ipv4(0x0a000001) },
  { kind: 'ipv6ExtendedCommunities', communities: [new Uint8Array(20)] },
  { kind: 'aigp', metric: 5n },
  {
    kind: 'largeCommunities',
    communities: [
      [65001, 1, 2],
      [65001, 1, 3],
    ],
  },
  { kind: 'otc', asn: 65001 },
  { kind: 'unknown', code: 40, flags: 0xe0, value: octets('010203') },
  { kind: 'unknown', code: 254, flags: 0xc0, value: new Uint8Array(300) },
];

function generated(fourOctetAs: boolean): Uint8Array {
  const attributes = hex(encodeAttributes(EVERY_ATTRIBUTE, { fourOctetAs }));
  return encodeMessage(UPDATE, body(attributes, '100a01180a02032000000000', '180a0909'));
}

export const CORPUS: readonly Uint8Array[] = [
  ...Object.values(captures).map(message),
  generated(true),
  generated(false),
  encodeKeepalive(),
  encodeNotification(6, 2, encodeShutdownData('see you')),
  encodeNotification(3, 9, octets('800f020002')),
  encodeRouteRefresh(0, 'request'),
  encodeRouteRefresh(1, 'begin'),
];

/** Sessions that differ in everything the scanner's answer depends on. */
export const CONTEXTS: readonly ScanContext[] = [
  IBGP,
  EBGP,
  { ...EBGP, enforceFirstAs: false },
  { ...EBGP, fourOctetAs: false },
  { ...IBGP, fourOctetAs: false },
  { ...EBGP, enforceFirstAs: false, addPathReceive: [true, true] },
  { ...IBGP, extendedNextHop: [true, false] },
  { ...IBGP, families: [true, false], loopbackNextHops: true },
  { ...EBGP, families: [false, true] },
  { ...EBGP, enforceFirstAs: false, fourOctetAs: false, addPathReceive: [true, false], extendedNextHop: [true, false] },
];
