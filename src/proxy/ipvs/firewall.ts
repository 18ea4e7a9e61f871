/**
 * The firewall beside IPVS, a table of its own in each family, kept equal to the desired state as the nftables proxy's is:
 * source ranges, what nobody serves, what no service offers at a service's address, masquerading, and short circuits of
 * policy Local. It needs `net.ipv4.vs.conntrack=1`.
 */

import { createFamilyTable, type FamilyTable, type FamilyTableOptions } from '../nftables/familyTable.js';
import type { TableKind } from '../nftables/tableKind.js';
import { closedFrontend, dependsOnHost, firewallElements, FRONTEND_SETS } from './firewallElements.js';
import { firewallLayout } from './firewallLayout.js';

export const FIREWALL_TABLE: TableKind = {
  table: 'peerage-ipvs',
  layoutOf: firewallLayout,
  elementsOf: firewallElements,
  dependsOnNode: dependsOnHost,
  frontendSets: FRONTEND_SETS,
  read: closedFrontend,
  countsTraffic: false,
  deletesFlows: false,
};

/**
 * A frontend is `programmed` when its part of the firewall stands. In `configure`, `nodeAddresses` are to be every address
 * that the machine has on other links than the services': they are its own, and are not guarded.
 */
export function createIpvsFirewall(options: Omit<FamilyTableOptions, 'kind'>): FamilyTable {
  return createFamilyTable({ ...options, kind: FIREWALL_TABLE });
}
