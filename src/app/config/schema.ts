/** The YAML configuration: the single source of its types, its checks, its JSON Schema and its reference. */

import { z } from 'zod';
import { FAMILIES } from '../../bgp/families.js';
import { parseCommunity, parseLargeCommunity } from '../../bgp/wire/communityText.js';
import { NETWORK_TAGS } from '../../bgp/policyTypes.js';
import { parseAddress } from '../../core/ip.js';
import { policyPeerOptions, policyShape } from './policySchema.js';
import { address, prefix, text } from './textSchema.js';

/** Largest hold time that fits its field (RFC 4271 section 4.2). */
const MAX_HOLD_TIME = 65535;
/** RT_TABLE_LOCAL of linux/rtnetlink.h: the kernel's own addresses. */
const LOCAL_TABLE = 255;
/** More prefixes than routers have memory for. */
const MAX_EXPECTED = 1 << 25;

const ipv4 = text(value => {
  const parsed = parseAddress(value);
  if (!parsed.ok) return parsed;
  return parsed.value.version === 4 ? parsed : { ok: false, error: `"${value}" is not an IPv4 address` };
});
/** `10.0.0.1:179` or `[fd00::1]:179`. */
const endpoint = text(value => {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(value);
  if (match === null)
    return { ok: false, error: `"${value}" is not ADDRESS:PORT, such as 10.0.0.1:179 or [fd00::1]:179` };
  if (Number(match[3]) > 65535) return { ok: false, error: `"${value}": a port is 0 to 65535` };
  return parseAddress(match[1] ?? match[2] ?? '');
});

const routerId = ipv4.refine(value => value !== '0.0.0.0', { message: 'a router id is not 0.0.0.0 (RFC 6286)' });

const asn = z.number().int().min(1).max(0xffff_ffff);
const port = z.number().int().min(1).max(65535);
const seconds = z.number().min(0);
const holdTime = z
  .number()
  .int()
  .min(0)
  .max(MAX_HOLD_TIME)
  .refine(value => value === 0 || value >= 3, { message: 'a hold time is 0 (never expires) or at least 3 seconds' });
const families = z.array(z.enum(FAMILIES)).min(1);

const password = z
  .union([
    z.strictObject({ file: z.string().min(1) }),
    z.strictObject({ env: z.string().min(1) }),
    z.strictObject({ value: z.string().min(1).max(80) }),
  ])
  .describe(
    'TCP-MD5 key (RFC 2385), at most 80 octets, from a file (one final newline is dropped), an environment variable, or the file itself.',
  );

const gracefulRestart = z.union([
  z.boolean(),
  z.strictObject({
    restartTime: z
      .number()
      .int()
      .min(0)
      .max(4095)
      .default(90)
      .describe('Seconds that peers shall keep our routes while we restart.'),
    staleTime: seconds
      .default(180)
      .describe("Seconds to keep a returned peer's old routes while waiting for its End-of-RIB."),
    deferralTime: seconds
      .default(120)
      .describe('Seconds after our own restart to wait for End-of-RIB from peers that have the capability.'),
  }),
]);

/** What can be said of a peer, of a group, and as a default for all. */
export const PeerOptions = z.strictObject({
  port: port.describe('TCP port of the peer. Default 179.'),
  localAddress: address.describe('Address to connect from. Default: the system chooses.'),
  localAsn: asn.describe('Our AS number towards this peer. Default: router.asn.'),
  passive: z.boolean().describe('Only accept connections, never make one. Default false.'),
  holdTime: holdTime.describe('Seconds without a message after which the session is given up. Default 90.'),
  keepaliveTime: z
    .number()
    .int()
    .min(1)
    .describe('Seconds between keepalives. Default: a third of the negotiated hold time.'),
  connectRetryTime: seconds.min(1).describe('Seconds between attempts to connect. Default 5.'),
  delayOpenTime: seconds.describe("Seconds to wait for the peer's OPEN before sending ours. Default: none."),
  idleHoldTime: z
    .strictObject({ min: seconds, max: seconds })
    .refine(({ min, max }) => min <= max, { message: 'min is greater than max' })
    .describe('Seconds to wait after an error: first, and the most it doubles to. Default 1 and 60.'),
  password,
  ttlSecurity: z
    .strictObject({ hops: z.number().int().min(1).max(254) })
    .describe('GTSM (RFC 5082): refuse packets from further away than so many hops.'),
  multihop: z.number().int().min(2).max(255).describe('TTL for an eBGP peer that is not on a shared link.'),
  families: families.describe('Address families to exchange. Default both.'),
  routeReflectorClient: z.boolean().describe('RFC 4456: reflect the routes of this iBGP peer. Default false.'),
  nextHopSelf: z
    .enum(['auto', 'always', 'never'])
    .describe('Put our own address into NEXT_HOP; auto: towards eBGP peers. Default auto.'),
  announce: z
    .enum(['all', 'own'])
    .describe(
      'What the peer is told: all best routes that BGP lets it have, or only networks of our own. Default all; on an agent own.',
    ),
  allowOwnAs: z
    .number()
    .int()
    .min(0)
    .max(10)
    .describe('How often our own AS may stand in a received AS_PATH. Default 0.'),
  enforceFirstAs: z
    .boolean()
    .describe("Refuse eBGP routes that do not begin with the peer's AS. Default true; off towards route servers."),
  extendedMessages: z.boolean().describe('Offer messages up to 65535 octets (RFC 8654). Default true.'),
  extendedNextHop: z.boolean().describe('Offer IPv4 routes with IPv6 next hops (RFC 8950). Default false.'),
  addPathReceive: z.boolean().describe('Offer to receive several paths for each prefix (RFC 7911). Default false.'),
  gracefulRestart: z
    .boolean()
    .describe('Announce graceful restart (RFC 4724) to this peer, if router.gracefulRestart is on. Default true.'),
  ...policyPeerOptions,
});

const peerOptions = PeerOptions.partial().shape;

export const Router = z.strictObject({
  asn: asn.describe('Our AS number.'),
  id: routerId.optional().describe('BGP identifier. Default: the first IPv4 address of listen.'),
  listen: z.array(endpoint).default([]).describe('Addresses and ports to accept connections on.'),
  clusterId: routerId.optional().describe('RFC 4456. Default: the router id.'),
  holdTime: holdTime.optional().describe('Hold time in seconds of peers that, like their group, say none. Default 90.'),
  hostname: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe("Name for peers to show (FQDN capability). Default: the machine's."),
  requirePolicy: z
    .boolean()
    .default(false)
    .describe(
      'RFC 8212, for all peers that, like their group, say nothing: no routes to or from eBGP peers without a policy.',
    ),
  gracefulRestart: gracefulRestart
    .default(false)
    .describe('RFC 4724: peers keep our routes, and we theirs, over a restart.'),
  addresses: z
    .strictObject({ ipv4: ipv4.optional(), ipv6: address.optional() })
    .default({})
    .describe("Our addresses for NEXT_HOP where a session cannot tell. Default: what stands on the session's link."),
  decision: z
    .strictObject({
      alwaysCompareMed: z.boolean().default(false).describe('Compare MED also between different neighbouring ASes.'),
      missingMedWorst: z.boolean().default(false).describe('A missing MED counts as the worst instead of 0.'),
      maximumPaths: z
        .union([
          z.number().int().min(1).max(256),
          z.strictObject({ ebgp: z.number().int().min(1).max(256), ibgp: z.number().int().min(1).max(256) }),
        ])
        .default(8)
        .describe('Equal paths that share the load in the kernel, for both kinds of peers or each.'),
      multipathRelax: z
        .boolean()
        .default(false)
        .describe('Let equally long paths through different neighbouring ASes share the load.'),
    })
    .prefault({})
    .describe(
      'How best paths are chosen. MED is always deterministic: the outcome never depends on the order of arrival.',
    ),
});

export const PeerGroup = z.strictObject({ asn: asn.optional().describe('AS of the members.'), ...peerOptions });

export const Peer = z.strictObject({
  name: z
    .string()
    .regex(/^[\w.:/-]{1,64}$/, { message: 'a name has up to 64 letters, digits and . : / - _ only' })
    .refine(value => value !== 'local', { message: '"local" stands for networks of our own' })
    .describe('Unique; shown everywhere.'),
  address: address.describe('Address of the peer; link-local ones with their link: fe80::1%eth0.'),
  asn: asn.optional().describe("AS of the peer. Default: its group's."),
  group: z.string().optional().describe("Group whose values are this peer's defaults."),
  ...peerOptions,
});

export const DynamicPeers = z.strictObject({
  prefix: prefix.describe('Peers are accepted from anywhere in it.'),
  group: z.string().describe('Group that says how they are treated; without an asn any AS is accepted.'),
  limit: z.number().int().min(1).max(60000).default(100).describe('At most so many at a time.'),
});

export const Network = z.union([
  prefix,
  z.strictObject({
    prefix,
    nextHop: address.optional().describe('Default: our own address, for each peer the right one.'),
    med: z.number().int().min(0).max(0xffff_ffff).optional(),
    localPref: z.number().int().min(0).max(0xffff_ffff).optional(),
    communities: z.array(text(parseCommunity)).optional(),
    largeCommunities: z.array(text(parseLargeCommunity)).optional(),
    tag: z.enum(NETWORK_TAGS).optional().describe('What it is, for export policies. Default static, or aggregate.'),
    aggregate: z
      .enum(['summaryOnly', 'withSpecifics'])
      .optional()
      .describe('Announce it only while a more specific network of our own is; summaryOnly: in place of those.'),
    keepSpecific: z.boolean().optional().describe('Announce it also beside an aggregate that is summaryOnly.'),
  }),
]);

export const Fib = z.strictObject({
  install: z.boolean().default(true).describe('Put best paths into the kernel.'),
  table: z
    .union([
      z.literal('main'),
      z
        .number()
        .int()
        .min(1)
        .max(0xffff_ffff)
        .refine(value => value !== LOCAL_TABLE, { message: `table ${LOCAL_TABLE} belongs to the kernel` }),
    ])
    .default('main')
    .describe('Routing table: main, or a number.'),
  protocol: z
    .number()
    .int()
    .min(5)
    .max(255)
    .default(186)
    .describe('Mark of our routes in the kernel; 186 is RTPROT_BGP.'),
  metric: z.number().int().min(1).max(0xffff_ffff).default(20).describe('Their metric; routes of others keep theirs.'),
  readInterval: z
    .number()
    .positive()
    .max(86_400)
    .default(60)
    .describe("Seconds between two comparisons of the kernel's routes with ours, besides acting on its changes."),
});

const prefixCount = z.number().int().min(0).max(MAX_EXPECTED).default(0);
export const RibOptions = z.strictObject({
  expectedRoutes: z
    .strictObject({ 'ipv4-unicast': prefixCount, 'ipv6-unicast': prefixCount })
    .optional()
    .describe('Prefixes to have room and memory for before the first session. Default: tables grow as routes come.'),
});
export type RibOptions = z.infer<typeof RibOptions>;

export const Log = z.strictObject({
  level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
});

/** Also the first part of a dynamic peer's name, `group@address`. */
const groupName = z
  .string()
  .regex(/^[\w-]{1,32}$/, { message: "a group's name has up to 32 letters, digits and - _ only" });

/** The parts every kind of router has; the agent adds its own. */
export const speakerShape = {
  router: Router,
  peerGroups: z.record(groupName, PeerGroup).default({}).describe('Values shared by peers, by name.'),
  peers: z.array(Peer).default([]),
  dynamicPeers: z.array(DynamicPeers).default([]),
  ...policyShape,
  networks: z.array(Network).default([]).describe('Networks of our own: prefixes, or objects with attributes.'),
  fib: Fib.prefault({}),
  rib: RibOptions.optional().describe('The tables of routes. A change takes effect after a restart.'),
  log: Log.prefault({}),
  control: z.string().optional().describe('Path of the control socket. Default /run/peerage/control.sock.'),
} as const;

export const SpeakerConfig = z.strictObject(speakerShape);
export type SpeakerConfig = z.infer<typeof SpeakerConfig>;
export type PeerConfig = z.infer<typeof Peer>;
export type PeerGroupConfig = z.infer<typeof PeerGroup>;
