/** The elements that one service port needs in the firewall's sets: a pure function of its frontends and backends. */

import { formatAddress, type IpAddress } from '../../core/ip.js';
import { addressOfText, elementKey, portOctets, type ElementKey } from '../../kernel/nftables/elements.js';
import type { ElementLookup } from '../nftables/lookUp.js';
import { frontendOctets, sourceRangeElements } from '../nftables/servicePortElements.js';
import type { ServicePortElements } from '../nftables/tableKind.js';
import type { KernelFrontend } from '../proxyBackend.js';
import type { Backend, BackendLists, Frontend } from '../proxyTypes.js';
import { SETS } from './firewallLayout.js';

/** @param hostAddresses every address of this machine that is not on the services' link */
export function firewallElements(
  frontends: readonly Frontend[],
  lists: BackendLists | undefined,
  hostAddresses: readonly IpAddress[],
): ServicePortElements {
  const own = new Map<ElementKey, string>();
  const shared = new Set<ElementKey>();
  const host = new Set(hostAddresses.map(formatAddress));
  const clusterIp = frontends.find(({ kind }) => kind === 'clusterIp');
  for (const frontend of frontends) {
    const key = frontendOctets(frontend);
    if (frontend.address !== undefined && !host.has(frontend.address))
      shared.add(elementKey(SETS.addresses, addressOfText(frontend.address)));
    for (const element of sourceRangeElements(frontend, key, hostAddresses)) own.set(element, '');
    const closed = closedSet(frontend, lists);
    if (closed !== undefined) own.set(elementKey(closed, key), '');
    const goal = clusterIp === undefined ? undefined : shortcutOf(frontend, clusterIp, lists);
    if (goal !== undefined) own.set(elementKey(SETS.shortcuts, key), goal);
    const masquerade = masqueradeSet(frontend);
    if (closed === undefined && masquerade !== undefined) own.set(elementKey(masquerade, key), '');
  }
  for (const { address, isLocal } of [...(lists?.cluster ?? []), ...(lists?.local ?? [])]) {
    const octets = addressOfText(address);
    // Elsewhere the packet does not come back here with the pod's own address.
    if (isLocal) shared.add(elementKey(SETS.hairpins, `${octets}${octets}`));
  }
  return { own, shared, fans: new Set() };
}

/** What the firewall knows of a frontend: that it is closed. @returns undefined when it is IPVS that serves it */
export function closedFrontend(
  frontend: Frontend,
  _family: number,
  present: ElementLookup,
): KernelFrontend | undefined {
  const octets = frontendOctets(frontend);
  const closed = [SETS.refused, SETS.dropped].find(set => present.has(elementKey(set, octets)));
  if (closed === undefined) return undefined;
  const verdict = closed === SETS.dropped ? 'drop' : 'reject';
  return { key: frontend.key, backends: [], verdict, counters: undefined };
}

/** Whether other addresses of the machine are other elements. */
export function dependsOnHost({ address, kind, sourceRanges }: Frontend): boolean {
  return sourceRanges !== undefined || (address !== undefined && kind !== 'clusterIp');
}

/** Undefined: a virtual server serves it. */
function closedSet({ policy }: Frontend, lists: BackendLists | undefined): string | undefined {
  if (takes(lists?.[policy])) return undefined;
  return policy === 'local' && lists !== undefined && lists.serving.length > 0 ? SETS.dropped : SETS.refused;
}

function takes(backends: readonly Backend[] | undefined): boolean {
  return backends?.some(({ weight }) => weight > 0) === true;
}

function shortcutOf(frontend: Frontend, clusterIp: Frontend, lists: BackendLists | undefined): string | undefined {
  if (frontend.policy !== 'local' || !frontend.shortCircuit || !takes(lists?.cluster)) return undefined;
  return `${addressOfText(clusterIp.address ?? '')}${portOctets(clusterIp.port)}`;
}

/** A backend that answers by itself must see who asked. */
function masqueradeSet({ masquerade, dsr }: Frontend): string | undefined {
  if (dsr || masquerade === 'never') return undefined;
  return masquerade === 'always' ? SETS.masquerade : SETS.offCluster;
}

/** Sets in which a frontend is, if the firewall has anything to say of it. */
export const FRONTEND_SETS: readonly string[] = [
  SETS.masquerade,
  SETS.offCluster,
  SETS.shortcuts,
  SETS.refused,
  SETS.dropped,
  SETS.restricted,
];
