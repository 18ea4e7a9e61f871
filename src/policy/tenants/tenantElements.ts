/** Addresses of tenants, and networks of pods, as elements of the table's sets. Pure. */

import { addressBits, formatAddress, formatPrefix, maskAddress, type IpPrefix } from '../../core/ip.js';
import { addressOfText, elementKey, rangeOctets, slotOctets, type ElementKey } from '../../kernel/nftables/elements.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { TenantAddress } from './tenantModel.js';
import { CLOSED, GLOBAL } from './tenantNumber.js';
import { SETS } from './tenantTable.js';

const ZERO = '\0\0\0\0';

/** What an address comes to in the table of its family. */
export function addressElements(address: IpText, { number, isLocal }: TenantAddress): ReadonlyMap<ElementKey, string> {
  const octets = addressOfText(address);
  const elements = new Map([[elementKey(SETS.tenants, octets), ZERO + slotOctets(number)]]);
  if (!isLocal) return elements;
  elements.set(elementKey(SETS.deniedTo, octets), '');
  elements.set(elementKey(SETS.deniedFrom, octets), '');
  // Who is global is asked for by number; who is closed has no equals.
  if (number !== GLOBAL && number !== CLOSED) elements.set(elementKey(SETS.members, slotOctets(number) + octets), '');
  return elements;
}

/** @param networks of all nodes' pods, of one family */
export function networkElements(networks: readonly IpPrefix[]): ReadonlyMap<ElementKey, string> {
  return new Map(
    outermost(networks).map(network => {
      const [first, last] = rangeOctets(network);
      return [elementKey(SETS.podNetworks, ZERO + behindGateway(network, first), last), ''];
    }),
  );
}

/** The first address is the network's own, and the second that of the node's bridge, by which it speaks to its pods: neither is a pod's. */
function behindGateway({ address, length }: IpPrefix, first: string): string {
  if (addressBits(address) - length < 2) return first;
  return first.slice(0, -1) + String.fromCharCode(first.charCodeAt(first.length - 1) + 2);
}

/** Networks do not overlap but for those inside others, which say nothing new. */
function outermost(networks: readonly IpPrefix[]): readonly IpPrefix[] {
  const byText = new Map<string, IpPrefix>();
  const lengths = new Set<number>();
  for (const network of networks) {
    byText.set(formatPrefix(network), network);
    lengths.add(network.length);
  }
  return [...byText.values()].filter(({ address, length }) =>
    [...lengths].every(
      shorter => shorter >= length || !byText.has(`${formatAddress(maskAddress(address, shorter))}/${shorter}`),
    ),
  );
}
