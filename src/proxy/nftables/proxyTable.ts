/** The table of the nftables backend: it balances, translates and guards. */

import { kernelFrontend } from './kernelFrontend.js';
import { layoutOf, SETS } from './layout.js';
import { servicePortElements } from './servicePortElements.js';
import type { TableKind } from './tableKind.js';

export const PROXY_TABLE: TableKind = {
  table: 'peerage-proxy',
  layoutOf,
  elementsOf: servicePortElements,
  dependsOnNode: ({ sourceRanges }) => sourceRanges !== undefined,
  frontendSets: [SETS.services, SETS.unavailable],
  read: kernelFrontend,
  deletesFlows: true,
};
