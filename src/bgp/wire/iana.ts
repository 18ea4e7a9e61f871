/** Every number of BGP's wire format, with the RFC that assigned it. Registries: IANA "BGP Parameters", "Capability Codes". */

/** Octets in the header: marker, length, type (RFC 4271 section 4.1). */
export const HEADER_LENGTH = 19;
export const MARKER_LENGTH = 16;
/** Largest message without RFC 8654; and the largest OPEN or KEEPALIVE ever (RFC 8654 section 4). */
export const MAX_MESSAGE = 4096;
/** Largest message with RFC 8654. */
export const MAX_EXTENDED_MESSAGE = 65535;
/** RFC 4271 section 4.2. */
export const BGP_VERSION = 4;

export const MessageType = {
  open: 1, // RFC 4271
  update: 2, // RFC 4271
  notification: 3, // RFC 4271
  keepalive: 4, // RFC 4271
  routeRefresh: 5, // RFC 2918
} as const;

/** RFC 7313 section 3.2, "BGP Route Refresh Subcodes". */
export const RefreshCode = { request: 0, begin: 1, end: 2 } as const;

export const OptionalParameter = {
  capabilities: 2, // RFC 5492
  extendedLength: 255, // RFC 9072
} as const;

export const CapabilityCode = {
  multiprotocol: 1, // RFC 2858, RFC 4760
  routeRefresh: 2, // RFC 2918
  extendedNextHop: 5, // RFC 8950
  extendedMessages: 6, // RFC 8654
  gracefulRestart: 64, // RFC 4724
  fourOctetAs: 65, // RFC 6793
  addPath: 69, // RFC 7911
  enhancedRouteRefresh: 70, // RFC 7313
  fqdn: 73, // draft-walton-bgp-hostname-capability
  prestandardRouteRefresh: 128, // RFC 8810: in use before RFC 2918
} as const;

/** Bits of the Attribute Flags octet (RFC 4271 section 4.3). */
export const Flag = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const;

export const AttributeCode = {
  origin: 1, // RFC 4271
  asPath: 2, // RFC 4271
  nextHop: 3, // RFC 4271
  med: 4, // RFC 4271
  localPref: 5, // RFC 4271
  atomicAggregate: 6, // RFC 4271
  aggregator: 7, // RFC 4271
  communities: 8, // RFC 1997
  originatorId: 9, // RFC 4456
  clusterList: 10, // RFC 4456
  mpReach: 14, // RFC 4760
  mpUnreach: 15, // RFC 4760
  extendedCommunities: 16, // RFC 4360
  as4Path: 17, // RFC 6793
  as4Aggregator: 18, // RFC 6793
  ipv6ExtendedCommunities: 25, // RFC 5701
  aigp: 26, // RFC 7311
  largeCommunities: 32, // RFC 8092
  otc: 35, // RFC 9234
} as const;

/** AS_PATH segment types: RFC 4271 section 4.3, RFC 5065 section 3. */
export const Segment = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;

export const ErrorCode = {
  messageHeader: 1, // RFC 4271
  openMessage: 2, // RFC 4271
  updateMessage: 3, // RFC 4271
  holdTimerExpired: 4, // RFC 4271
  finiteStateMachine: 5, // RFC 4271
  cease: 6, // RFC 4271
  routeRefresh: 7, // RFC 7313
  sendHoldTimerExpired: 8, // RFC 9687
} as const;

/** RFC 4271 section 6.1. */
export const HeaderError = { notSynchronized: 1, badLength: 2, badType: 3 } as const;

export const OpenError = {
  unspecific: 0, // RFC 4271 section 6.2
  unsupportedVersion: 1, // RFC 4271
  badPeerAs: 2, // RFC 4271
  badIdentifier: 3, // RFC 4271, RFC 6286
  unsupportedParameter: 4, // RFC 4271
  unacceptableHoldTime: 6, // RFC 4271
  unsupportedCapability: 7, // RFC 5492
  roleMismatch: 11, // RFC 9234
} as const;

/** RFC 4271 section 6.3. */
export const UpdateError = {
  malformedAttributeList: 1,
  unrecognizedWellKnown: 2,
  missingWellKnown: 3,
  attributeFlags: 4,
  attributeLength: 5,
  invalidOrigin: 6,
  invalidNextHop: 8,
  optionalAttribute: 9,
  invalidNetworkField: 10,
  malformedAsPath: 11,
} as const;

/** RFC 6608. */
export const FsmError = { unspecified: 0, inOpenSent: 1, inOpenConfirm: 2, inEstablished: 3 } as const;

export const CeaseCode = {
  maximumPrefixes: 1, // RFC 4486
  administrativeShutdown: 2, // RFC 4486, RFC 9003
  peerDeconfigured: 3, // RFC 4486
  administrativeReset: 4, // RFC 4486, RFC 9003
  connectionRejected: 5, // RFC 4486
  otherConfigurationChange: 6, // RFC 4486
  collisionResolution: 7, // RFC 4486
  outOfResources: 8, // RFC 4486
  hardReset: 9, // RFC 8538
  bfdDown: 10, // RFC 9384
} as const;

/** RFC 7313 section 5. */
export const RefreshError = { invalidLength: 1 } as const;

/** Well-known communities (RFC 1997, RFC 8326, RFC 9494 and others), as unsigned words. */
export const WellKnownCommunity = {
  gracefulShutdown: 0xffff0000, // RFC 8326
  acceptOwn: 0xffff0001, // RFC 7611
  llgrStale: 0xffff0006, // RFC 9494
  noLlgr: 0xffff0007, // RFC 9494
  blackhole: 0xffff029a, // RFC 7999
  noExport: 0xffffff01, // RFC 1997
  noAdvertise: 0xffffff02, // RFC 1997
  noExportSubconfed: 0xffffff03, // RFC 1997
  noPeer: 0xffffff04, // RFC 3765
} as const;

/** Type of the one AIGP TLV, and its length with type and length fields (RFC 7311 section 3). */
export const AIGP_TLV_TYPE = 1;
export const AIGP_TLV_LENGTH = 11;
