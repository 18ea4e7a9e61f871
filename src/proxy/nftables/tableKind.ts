/** What one table of elements differs in from another: the proxy's own, and the firewall beside IPVS. */

import type { IpAddress } from '../../core/ip.js';
import type { KernelFrontend } from '../proxyBackend.js';
import type { BackendLists, Family, Frontend } from '../proxyTypes.js';
import type { ElementKey } from '../../kernel/nftables/elements.js';
import type { Layout, LayoutSettings } from './layout.js';
import type { ElementLookup } from './lookUp.js';

export interface ServicePortElements {
  /** Of this service port alone: element → value, a verdict in words or octets. */
  readonly own: ReadonlyMap<ElementKey, string>;
  /** Elements that other service ports may need too. */
  readonly shared: ReadonlySet<ElementKey>;
  /** Names of fan chains. */
  readonly fans: ReadonlySet<string>;
}

export interface TableKind {
  /** Name of the table, in both families. */
  readonly table: string;
  /** Everything that depends on no service. */
  layoutOf(family: Family, settings: LayoutSettings): Layout;
  /** Pure. @param nodeAddresses of the family */
  elementsOf(
    frontends: readonly Frontend[],
    lists: BackendLists | undefined,
    nodeAddresses: readonly IpAddress[],
  ): ServicePortElements;
  /**
   * What elements of a service port that nobody wants any more have in common, in octets. Absent: the endpoint that their
   * keys begin with. @param present what the kernel has  @returns undefined for elements that several may need
   */
  readonly groupOf?: (key: ElementKey, present: ElementLookup) => string | undefined;
  /** An element in words. Absent: by the endpoint that its key begins with. */
  readonly describe?: (key: ElementKey, family: Family) => string | undefined;
  /** Whether other addresses of the node are other elements for a service port with this frontend. */
  dependsOnNode(frontend: Frontend): boolean;
  /** Sets with `address . protocol . port` as key; a frontend is in one of them for as long as the kernel knows of it. */
  readonly frontendSets: readonly string[];
  /** Pure. @param present elements and their values @returns undefined when the table does not have it */
  read(frontend: Frontend, family: Family, present: ElementLookup): KernelFrontend | undefined;
  /** Its layout has the counted sets of `traffic.ts`. */
  readonly countsTraffic: boolean;
  /** UDP flows to endpoints that went are this table's to delete. */
  readonly deletesFlows: boolean;
}
