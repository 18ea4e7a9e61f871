/** The table of the nftables backend: it balances, translates and guards. */

import type { Family } from '../proxyTypes.js';
import { elementKey, keyOctets, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import { identityOfElement } from './frontendElement.js';
import { kernelFrontend } from './kernelFrontend.js';
import { layoutOf, SETS } from './layout.js';
import type { ElementLookup } from './lookUp.js';
import { describeIdentity, IDENTITY_SIZE } from './serviceIdentity.js';
import { servicePortElements } from './servicePortElements.js';
import type { TableKind } from './tableKind.js';

export const PROXY_TABLE: TableKind = {
  table: 'peerage-proxy',
  layoutOf,
  elementsOf: servicePortElements,
  groupOf,
  describe,
  dependsOnNode: ({ sourceRanges }) => sourceRanges !== undefined,
  frontendSets: [SETS.frontends, SETS.unavailable],
  read: kernelFrontend,
  countsTraffic: true,
  deletesFlows: true,
};

function hasIdentity(set: string): boolean {
  return set === SETS.members || set === SETS.localMembers || set.startsWith(SETS.backends);
}

/** A service port is its identity, which a frontend's element has; without one its frontends stand alone. */
function groupOf(key: ElementKey, present: ElementLookup): string | undefined {
  const set = setOf(key);
  if (hasIdentity(set)) return key.slice(-IDENTITY_SIZE);
  if (set === SETS.policies || set === SETS.fans || set === SETS.clusterIps || set === SETS.hairpins) return undefined;
  const endpoint = endpointOf(key);
  const element = present.get(elementKey(SETS.frontends, endpoint));
  return element === undefined ? endpoint : identityOfElement(element);
}

/** Keys of ranges go on after the endpoint, with two addresses. */
function endpointOf(key: ElementKey): string {
  const octets = keyOctets(key);
  if (setOf(key) !== SETS.ranges) return octets;
  // endpoint . address . address is 20 octets, or 56.
  return octets.slice(0, octets.length === 20 ? 12 : 24);
}

function describe(key: ElementKey, family: Family): string | undefined {
  if (hasIdentity(setOf(key))) return describeIdentity(key.slice(-IDENTITY_SIZE), family);
  const octets = keyOctets(key);
  if (setOf(key) === SETS.fans || setOf(key) === SETS.policies) return Buffer.from(octets, 'latin1').toString('hex');
  return undefined;
}
