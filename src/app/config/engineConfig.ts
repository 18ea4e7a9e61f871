/** From the checked configuration to what the engine runs on: inheritance, defaults, and the checks beyond shape. */

import { hostname } from 'node:os';
import { Asn } from '../../bgp/asn.js';
import type { PerFamily } from '../../bgp/families.js';
import type { HopLimit } from '../../bgp/session/sessionTypes.js';
import { parseCommunity, parseLargeCommunity } from '../../bgp/wire/communityText.js';
import {
  Ipv4,
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  type IpAddress,
  type IpPrefix,
} from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import type {
  EngineConfig,
  EngineDynamicRange,
  EngineNetwork,
  EnginePeer,
  GracefulRestartOptions,
  PeerRouting,
} from '../../engine/engineTypes.js';
import { closest } from '../../core/closest.js';
import { ConfigError, type Complain } from './configError.js';
import { complainOfDoubles } from './doubles.js';
import { maxPrefixesOf, policyNames, toPolicySet } from './policies.js';
import { readPassword } from './secrets.js';
import type { PeerConfig, PeerGroupConfig, SpeakerConfig } from './schema.js';

/** What may be said of a peer at any level. */
export type PeerValues = Omit<PeerGroupConfig, 'asn'>;

const DEFAULTS = { holdTime: 90, connectRetryTime: 5, idleHoldTime: { min: 1, max: 60 }, port: 179 } as const;
/** First ten bits of fe80::/10 (RFC 4291). */
const LINK_LOCAL = 0xfe80 >>> 6;
const RESTART_DEFAULTS = { restartTime: 90, staleTime: 180, deferralTime: 120 } as const;

/**
 * @param restarted whether routes of a former process are in the kernel (Restart State and Forwarding State bits)
 * @returns all mistakes beyond shape; keys are read from their files here, and never stand in an error
 */
export function toEngineConfig(config: SpeakerConfig, restarted: boolean): Result<EngineConfig, ConfigError[]> {
  const errors: ConfigError[] = [];
  // A mistake in a group is found with each of its members, and told once.
  const complain: Complain = (path, reason) => {
    if (!errors.some(error => error.path === path && error.reason === reason))
      errors.push(new ConfigError(path, reason));
  };
  const listen = config.router.listen.map(endpoint);
  const known = routerIdOf(config, listen);
  if (known === undefined) complain('router.id', 'is missing, and router.listen names no IPv4 address to take it from');
  // Whatever stands in its place: with an error, nothing of this leaves the function, and the rest is checked too.
  const routerId = known ?? Ipv4(0);
  const gracefulRestart = restartOptions(config.router.gracefulRestart, restarted);
  const policies = toPolicySet(config, complain);
  const base = { config, routerId, gracefulRestart, complain };
  const peers = config.peers.map((peer, i) => enginePeer(base, peer, `peers[${i}]`));
  const dynamicRanges = config.dynamicPeers.map((range, i) => dynamicRange(base, range, `dynamicPeers[${i}]`));
  const networks = config.networks.map(engineNetwork);
  complainOfDoubles({ peers, ranges: dynamicRanges, networks }, complain);
  for (const [i, { prefix, nextHop }] of networks.entries())
    if (nextHop !== undefined && nextHop.version !== prefix.address.version)
      complain(`networks[${i}].nextHop`, 'is of the other IP version than the prefix');
  if (errors.length > 0) return err(errors);
  const { decision, clusterId, addresses } = config.router;
  const maximumPaths = decision.maximumPaths;
  return ok({
    asn: Asn(config.router.asn),
    routerId,
    ...(clusterId === undefined ? {} : { clusterId: ipv4Of(clusterId) }),
    listen,
    decision: {
      ...decision,
      maximumPaths: typeof maximumPaths === 'number' ? { ebgp: maximumPaths, ibgp: maximumPaths } : maximumPaths,
    },
    ...(gracefulRestart === undefined ? {} : { gracefulRestart }),
    peers: peers.filter(peer => peer !== undefined),
    dynamicRanges,
    networks,
    policies,
    nextHopAddresses: {
      ...(addresses.ipv4 === undefined ? {} : { v4: addressOf(addresses.ipv4) }),
      ...(addresses.ipv6 === undefined ? {} : { v6: addressOf(addresses.ipv6) }),
    },
  });
}

interface Base {
  readonly config: SpeakerConfig;
  readonly routerId: Ipv4;
  readonly gracefulRestart: GracefulRestartOptions | undefined;
  readonly complain: Complain;
}

/** @returns undefined when it cannot even be said who the peer is */
function enginePeer(base: Base, peer: PeerConfig, path: string): EnginePeer | undefined {
  const group = groupOf(base, peer.group, path);
  const values = merged(group, peer);
  const asn = peer.asn ?? group.asn;
  if (asn === undefined) {
    base.complain(`${path}.asn`, 'is missing, and no group gives it');
    return undefined;
  }
  const where = origin(path, peer, peer.group);
  const routing = peerRouting(base, values, where);
  const session = sessionOf(base, values, asn, where);
  if (routing.routeReflectorClient && session.remoteAsn !== session.localAsn)
    base.complain(where('routeReflectorClient'), 'only an iBGP peer can be a route reflector client (RFC 4456)');
  complainOfAddresses(addressOf(peer.address), session.local, path, where, base.complain);
  return {
    name: peer.name,
    session: {
      ...session,
      remote: addressOf(peer.address),
      remotePort: values.port ?? DEFAULTS.port,
      passive: values.passive ?? false,
    },
    routing,
  };
}

/** What the peer says goes before what its group says; ttlSecurity and multihop displace each other. */
function merged(group: PeerGroupConfig, peer: PeerConfig): PeerValues {
  const { ttlSecurity, multihop, ...rest } = group;
  const hops =
    peer.ttlSecurity !== undefined || peer.multihop !== undefined ? {} : definedOf({ ttlSecurity, multihop });
  return { ...rest, ...hops, ...definedOf(peer) };
}

function dynamicRange(base: Base, range: SpeakerConfig['dynamicPeers'][number], path: string): EngineDynamicRange {
  const group = groupOf(base, range.group, path);
  const prefix = prefixOf(range.prefix);
  const where = origin(path, {}, range.group);
  const session = sessionOf(base, group, group.asn, where);
  if (group.routeReflectorClient === true && session.remoteAsn !== undefined && session.remoteAsn !== session.localAsn)
    base.complain(where('routeReflectorClient'), 'only iBGP peers can be route reflector clients (RFC 4456)');
  if (session.local !== undefined && session.local.version !== prefix.address.version)
    base.complain(where('localAddress'), `is of the other IP version than ${formatPrefix(prefix)}`);
  return { group: range.group, prefix, limit: range.limit, session, routing: peerRouting(base, group, where) };
}

/** The path of the place where a value was said: the peer's own, or its group's. */
type Where = (key: keyof PeerValues) => string;

function origin(path: string, own: Partial<PeerValues>, group: string | undefined): Where {
  return key => (own[key] !== undefined || group === undefined ? `${path}.${key}` : `peerGroups.${group}.${key}`);
}

function complainOfAddresses(
  remote: IpAddress,
  local: IpAddress | undefined,
  path: string,
  where: Where,
  complain: Complain,
): void {
  if (local !== undefined && local.version !== remote.version)
    complain(where('localAddress'), `is of the other IP version than the peer's address, ${formatAddress(remote)}`);
  if (remote.version === 6 && remote.words[0] >>> 22 === LINK_LOCAL && remote.zone === undefined)
    complain(`${path}.address`, `is link-local: say on which link, as in ${formatAddress(remote)}%eth0`);
}

/** The session as far as it does not depend on which peer it is. */
function sessionOf(
  { config, routerId, gracefulRestart, complain }: Base,
  values: PeerValues,
  asn: number | undefined,
  where: Where,
): EngineDynamicRange['session'] {
  const password = values.password === undefined ? undefined : readPassword(values.password);
  if (password?.ok === false) complain(where('password'), password.error);
  if (values.ttlSecurity !== undefined && values.multihop !== undefined)
    complain(where('multihop'), 'cannot be combined with ttlSecurity: say with ttlSecurity.hops how far the peer is');
  const holdTime = values.holdTime ?? config.router.holdTime ?? DEFAULTS.holdTime;
  if (values.keepaliveTime !== undefined && holdTime > 0 && values.keepaliveTime >= holdTime)
    complain(where('keepaliveTime'), `must be less than the hold time, ${holdTime} s`);
  const used = (wanted: boolean | undefined): PerFamily<boolean> => [
    wanted === true && (values.families ?? ['ipv4-unicast', 'ipv6-unicast']).includes('ipv4-unicast'),
    wanted === true && (values.families ?? ['ipv4-unicast', 'ipv6-unicast']).includes('ipv6-unicast'),
  ];
  return {
    localAsn: Asn(values.localAsn ?? config.router.asn),
    localId: routerId,
    ...(asn === undefined ? {} : { remoteAsn: Asn(asn) }),
    ...(values.localAddress === undefined ? {} : { local: addressOf(values.localAddress) }),
    ...(password?.ok === true ? { password: password.value } : {}),
    hops: hopLimit(values),
    families: used(true),
    holdTime,
    ...(values.keepaliveTime === undefined ? {} : { keepaliveTime: values.keepaliveTime }),
    connectRetryTime: values.connectRetryTime ?? DEFAULTS.connectRetryTime,
    ...(values.delayOpenTime === undefined ? {} : { delayOpenTime: values.delayOpenTime }),
    idleHoldTime: values.idleHoldTime ?? DEFAULTS.idleHoldTime,
    extendedMessages: values.extendedMessages ?? true,
    extendedNextHop: values.extendedNextHop ?? false,
    addPath: { receive: used(values.addPathReceive), send: [false, false] },
    ...(gracefulRestart === undefined || values.gracefulRestart === false
      ? {}
      : { gracefulRestart: { restartTime: gracefulRestart.restartTime } }),
    hostname: config.router.hostname ?? hostname(),
  };
}

function peerRouting({ config, complain }: Base, values: PeerValues, where: Where): PeerRouting {
  const importPolicy = policyNames(values.import, config, 'import', where('import'), complain);
  const exportPolicy = policyNames(values.export, config, 'export', where('export'), complain);
  const maxPrefixes = maxPrefixesOf(values.maxPrefixes);
  return {
    routeReflectorClient: values.routeReflectorClient ?? false,
    nextHopSelf: values.nextHopSelf ?? 'auto',
    announce: values.announce ?? 'all',
    allowOwnAs: values.allowOwnAs ?? 0,
    enforceFirstAs: values.enforceFirstAs ?? true,
    requirePolicy: values.requirePolicy ?? config.router.requirePolicy,
    honorGracefulShutdown: values.honorGracefulShutdown ?? true,
    ...(importPolicy === undefined ? {} : { importPolicy }),
    ...(exportPolicy === undefined ? {} : { exportPolicy }),
    ...(maxPrefixes === undefined ? {} : { maxPrefixes }),
  };
}

function hopLimit({ ttlSecurity, multihop }: PeerValues): HopLimit {
  if (ttlSecurity !== undefined) return { kind: 'gtsm', hops: ttlSecurity.hops };
  return multihop === undefined ? { kind: 'direct' } : { kind: 'multihop', ttl: multihop };
}

function groupOf({ config, complain }: Base, name: string | undefined, path: string): PeerGroupConfig {
  if (name === undefined) return {};
  const group = Object.hasOwn(config.peerGroups, name) ? config.peerGroups[name] : undefined;
  if (group !== undefined) return definedOf(group);
  const near = closest(name, Object.keys(config.peerGroups));
  complain(`${path}.group`, `there is no peer group "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`);
  return {};
}

function restartOptions(
  value: SpeakerConfig['router']['gracefulRestart'],
  restarted: boolean,
): GracefulRestartOptions | undefined {
  if (value === false) return undefined;
  return { ...RESTART_DEFAULTS, ...(value === true ? {} : value), restarted };
}

function routerIdOf(config: SpeakerConfig, listen: EngineConfig['listen']): Ipv4 | undefined {
  if (config.router.id !== undefined) return ipv4Of(config.router.id);
  const first = listen.find(({ address }) => address.version === 4 && address.value !== 0)?.address;
  return first?.version === 4 ? first.value : undefined;
}

function engineNetwork(network: SpeakerConfig['networks'][number]): EngineNetwork {
  if (typeof network === 'string') return { prefix: prefixOf(network) };
  const { prefix, nextHop, med, localPref, communities, largeCommunities, tag, aggregate, keepSpecific } = network;
  return {
    prefix: prefixOf(prefix),
    ...(nextHop === undefined ? {} : { nextHop: addressOf(nextHop) }),
    ...(med === undefined ? {} : { med }),
    ...(tag === undefined ? {} : { tag }),
    ...(aggregate === undefined ? {} : { aggregate: { summaryOnly: aggregate === 'summaryOnly' } }),
    ...(keepSpecific === undefined ? {} : { keepSpecific }),
    ...(localPref === undefined ? {} : { localPref }),
    ...(communities === undefined ? {} : { communities: communities.map(text => valueOf(parseCommunity(text))) }),
    ...(largeCommunities === undefined
      ? {}
      : { largeCommunities: largeCommunities.map(text => valueOf(parseLargeCommunity(text))) }),
  };
}

function endpoint(text: string): EngineConfig['listen'][number] {
  const colon = text.lastIndexOf(':');
  return { address: addressOf(text.slice(0, colon).replace(/^\[|\]$/g, '')), port: Number(text.slice(colon + 1)) };
}

/** Keys that are set; an absent one must not hide the group's. */
function definedOf<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function addressOf(text: string): IpAddress {
  return valueOf(parseAddress(text));
}

function prefixOf(text: string): IpPrefix {
  return valueOf(parsePrefix(text));
}

function ipv4Of(text: string): Ipv4 {
  const address = addressOf(text);
  if (address.version !== 4) throw new Error(`${text} passed the schema as an IPv4 address`);
  return address.value;
}

/** The schema has checked it: anything else is a bug. */
function valueOf<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
