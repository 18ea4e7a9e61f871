/** Our OPEN: what we announce to a peer. RFC 4271 section 4.2, RFC 5492. */

import { FAMILY_INDICES, afiOf, type FamilyIndex } from '../families.js';
import type { AfiSafi, Capability } from '../capabilities.js';
import type { OpenMessage } from '../messages.js';
import { AS_TRANS } from '../asn.js';
import { BGP_VERSION } from '../wire/iana.js';
import type { RestartClaims, SessionConfig } from './sessionTypes.js';

const AFI_IPV6 = 2;

/** The OPEN that this configuration sends now. */
export function makeOffer(config: SessionConfig, claims: RestartClaims): OpenMessage {
  return {
    version: BGP_VERSION,
    asn: config.localAsn > 0xffff ? AS_TRANS : config.localAsn,
    holdTime: config.holdTime,
    routerId: config.localId,
    capabilities: capabilities(config, claims),
  };
}

function capabilities(config: SessionConfig, claims: RestartClaims): Capability[] {
  const families = FAMILY_INDICES.filter(f => config.families[f]);
  const list: Capability[] = families.map(f => ({ kind: 'multiprotocol', ...afiSafi(f) }));
  list.push({ kind: 'routeRefresh', prestandard: false }, { kind: 'fourOctetAs', asn: config.localAsn });
  if (config.extendedNextHop && config.families[0]) {
    list.push({ kind: 'extendedNextHop', families: [{ ...afiSafi(0), nextHopAfi: AFI_IPV6 }] });
  }
  if (config.extendedMessages) list.push({ kind: 'extendedMessages' });
  if (config.gracefulRestart !== undefined) {
    list.push({
      kind: 'gracefulRestart',
      restarting: claims.restarting,
      notification: false,
      restartTime: config.gracefulRestart.restartTime,
      families: families.map(f => ({ ...afiSafi(f), forwarding: claims.forwarding[f] })),
    });
  }
  const addPath = families
    .map(f => ({ ...afiSafi(f), send: config.addPath.send[f], receive: config.addPath.receive[f] }))
    .filter(entry => entry.send || entry.receive);
  if (addPath.length > 0) list.push({ kind: 'addPath', families: addPath });
  list.push({ kind: 'enhancedRouteRefresh' });
  if (config.hostname !== undefined) list.push({ kind: 'fqdn', hostname: config.hostname, domain: '' });
  return list;
}

function afiSafi(family: FamilyIndex): AfiSafi {
  return { afi: afiOf(family), safi: 1 };
}
