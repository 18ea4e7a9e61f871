/** From two OPENs to what both sides agreed on, or the NOTIFICATION owed. RFC 4271 section 6.2 and the capabilities' RFCs. */

import { formatIpv4 } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import { Asn, AS_TRANS } from '../asn.js';
import type { AfiSafi, Capability } from '../capabilities.js';
import { FAMILIES, FAMILY_INDICES, afiOf, familyOf, type FamilyIndex, type PerFamily } from '../families.js';
import type { OpenMessage } from '../messages.js';
import type { Negotiated, PeerGracefulRestart } from '../negotiated.js';
import { NotificationError } from '../notification.js';
import { BGP_VERSION, ErrorCode, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, OpenError } from '../wire/iana.js';
import { unsupportedCapability } from '../wire/open.js';
import type { SessionConfig } from './sessionTypes.js';

const AFI_IPV6 = 2;

/**
 * What the session will be like.
 * @param config the peer as configured   @param ours the OPEN we sent, or are about to   @param theirs the peer's
 * @returns the error of RFC 4271 section 6.2 (code 2) when this peer cannot be accepted
 */
export function negotiate(
  config: SessionConfig,
  ours: OpenMessage,
  theirs: OpenMessage,
): Result<Negotiated, NotificationError> {
  if (theirs.version !== BGP_VERSION)
    return err(openError(OpenError.unsupportedVersion, `version ${theirs.version}`, [0, 4]));
  const remoteAsn = agreedAsn(config, theirs);
  if (!remoteAsn.ok) return remoteAsn;
  const ibgp = remoteAsn.value === config.localAsn;
  const wrongId = checkIdentifier(config, theirs, ibgp);
  if (wrongId !== undefined) return err(wrongId);
  if (theirs.holdTime === 1 || theirs.holdTime === 2) {
    return err(openError(OpenError.unacceptableHoldTime, `hold time of ${theirs.holdTime} s`));
  }
  const families = both(familiesOf(ours), familiesOf(theirs));
  if (!families.includes(true)) return err(noCommonFamily(config, theirs));
  const holdTime = Math.min(ours.holdTime, theirs.holdTime);
  const gracefulRestart = peerRestart(ours, theirs, families);
  const remoteHostname = hostnameOf(theirs);
  return ok({
    kind: ibgp ? 'ibgp' : 'ebgp',
    localAsn: config.localAsn,
    remoteAsn: remoteAsn.value,
    localId: ours.routerId,
    remoteId: theirs.routerId,
    holdTime,
    keepaliveTime: keepaliveTime(holdTime, config.keepaliveTime),
    fourOctetAs: has(ours, theirs, 'fourOctetAs'),
    families,
    ...addPath(ours, theirs, families),
    extendedNextHop: [families[0] && hasExtendedNextHop(ours) && hasExtendedNextHop(theirs), false],
    maxMessage: has(ours, theirs, 'extendedMessages') ? MAX_EXTENDED_MESSAGE : MAX_MESSAGE,
    routeRefresh: theirs.capabilities.some(c => c.kind === 'routeRefresh' && !c.prestandard),
    enhancedRouteRefresh: has(ours, theirs, 'enhancedRouteRefresh'),
    ...(gracefulRestart === undefined ? {} : { gracefulRestart }),
    ...(remoteHostname === undefined ? {} : { remoteHostname }),
  });
}

/** A third of the hold time unless configured shorter; 0 when there are no keepalives. */
function keepaliveTime(holdTime: number, configured: number | undefined): number {
  if (holdTime === 0) return 0;
  const third = Math.max(1, Math.floor(holdTime / 3));
  return configured === undefined ? third : Math.max(1, Math.min(configured, third));
}

/** The capability's number wins over the two-octet field (RFC 6793 section 4.1), where AS_TRANS is nobody. */
function agreedAsn(config: SessionConfig, theirs: OpenMessage): Result<Asn, NotificationError> {
  const asn = find(theirs, 'fourOctetAs')?.asn ?? theirs.asn;
  const wanted = config.remoteAsn;
  if (asn === 0) return err(openError(OpenError.badPeerAs, 'bad peer AS: 0 is no AS number'));
  if (wanted === undefined ? asn === AS_TRANS : asn !== wanted) {
    const expected = wanted === undefined ? '' : ` instead of ${wanted}`;
    return err(openError(OpenError.badPeerAs, `bad peer AS: ${asn}${expected}`));
  }
  return ok(Asn(asn));
}

/** RFC 6286 section 2.2: not zero, and inside one AS not ours. */
function checkIdentifier(config: SessionConfig, theirs: OpenMessage, ibgp: boolean): NotificationError | undefined {
  if (theirs.routerId === 0) return openError(OpenError.badIdentifier, 'bad BGP identifier: 0.0.0.0');
  if (!ibgp || theirs.routerId !== config.localId) return undefined;
  return openError(OpenError.badIdentifier, `bad BGP identifier: ${formatIpv4(theirs.routerId)} is our own`);
}

/** RFC 4760 section 8: a speaker that announces no family speaks IPv4 unicast. */
function familiesOf(open: OpenMessage): PerFamily<boolean> {
  const announced = open.capabilities.filter(c => c.kind === 'multiprotocol');
  if (announced.length === 0) return [true, false];
  return perFamily(f => announced.some(c => isFamily(c, f)));
}

/** There would be nothing to talk about (RFC 5492 section 3): names the families that would have to be there. */
function noCommonFamily(config: SessionConfig, theirs: OpenMessage): NotificationError {
  const wanted = FAMILY_INDICES.filter(f => config.families[f]);
  const offered = familiesOf(theirs);
  const names = FAMILY_INDICES.filter(f => offered[f]).map(f => FAMILIES[f]);
  const text = `no address family in common: we want ${wanted.map(f => FAMILIES[f]).join(', ')}, the peer offers ${names.join(', ') || 'others only'}`;
  return unsupportedCapability(
    wanted.map(f => ({ kind: 'multiprotocol', afi: afiOf(f), safi: 1 })),
    text,
  );
}

/** RFC 7911 section 4: one direction needs a sender here and a receiver there. */
function addPath(
  ours: OpenMessage,
  theirs: OpenMessage,
  families: PerFamily<boolean>,
): Pick<Negotiated, 'addPathReceive' | 'addPathSend'> {
  const can = (open: OpenMessage, f: FamilyIndex, what: 'send' | 'receive'): boolean =>
    all(open, 'addPath').some(({ families }) => families.some(entry => isFamily(entry, f) && entry[what]));
  return {
    addPathReceive: perFamily(f => families[f] && can(ours, f, 'receive') && can(theirs, f, 'send')),
    addPathSend: perFamily(f => families[f] && can(ours, f, 'send') && can(theirs, f, 'receive')),
  };
}

/** RFC 8950 section 4: IPv4 unicast with next hops of IPv6. */
function hasExtendedNextHop(open: OpenMessage): boolean {
  const entries = all(open, 'extendedNextHop').flatMap(({ families }) => families);
  return entries.some(entry => isFamily(entry, 0) && entry.nextHopAfi === AFI_IPV6);
}

/** Only when both sides announced it: a speaker that does not take part keeps nothing and is kept nothing for. */
function peerRestart(
  ours: OpenMessage,
  theirs: OpenMessage,
  families: PerFamily<boolean>,
): PeerGracefulRestart | undefined {
  const own = find(ours, 'gracefulRestart');
  // RFC 4724 section 3: of several the last.
  const peer = all(theirs, 'gracefulRestart').at(-1);
  if (own === undefined || peer === undefined) return undefined;
  const entry = (f: FamilyIndex): { readonly forwarding: boolean } | undefined =>
    families[f] ? peer.families.find(e => isFamily(e, f)) : undefined;
  return {
    restarting: peer.restarting,
    notification: own.notification && peer.notification,
    restartTime: peer.restartTime,
    families: perFamily(f => entry(f) !== undefined),
    forwarding: perFamily(f => entry(f)?.forwarding === true),
  };
}

function hostnameOf(open: OpenMessage): string | undefined {
  const fqdn = find(open, 'fqdn');
  if (fqdn === undefined || fqdn.hostname === '') return undefined;
  return fqdn.domain === '' ? fqdn.hostname : `${fqdn.hostname}.${fqdn.domain}`;
}

function find<K extends Capability['kind']>(open: OpenMessage, kind: K): Extract<Capability, { kind: K }> | undefined {
  return open.capabilities.find((c): c is Extract<Capability, { kind: K }> => c.kind === kind);
}

/** Every instance: a capability of several families may come in pieces. */
function all<K extends Capability['kind']>(open: OpenMessage, kind: K): Extract<Capability, { kind: K }>[] {
  return open.capabilities.filter((c): c is Extract<Capability, { kind: K }> => c.kind === kind);
}

function has(ours: OpenMessage, theirs: OpenMessage, kind: Capability['kind']): boolean {
  return find(ours, kind) !== undefined && find(theirs, kind) !== undefined;
}

function isFamily(entry: AfiSafi, family: FamilyIndex): boolean {
  return familyOf(entry.afi, entry.safi) === family;
}

function both(a: PerFamily<boolean>, b: PerFamily<boolean>): PerFamily<boolean> {
  return perFamily(f => a[f] && b[f]);
}

function perFamily(of: (family: FamilyIndex) => boolean): PerFamily<boolean> {
  return [of(0), of(1)];
}

function openError(subcode: number, text: string, data: readonly number[] = []): NotificationError {
  return new NotificationError(ErrorCode.openMessage, subcode, text, Uint8Array.from(data));
}
