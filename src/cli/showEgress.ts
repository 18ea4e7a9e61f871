/** `peerage show egress`: a line for each address that a namespace asks for. */

import type { EgressAddressView } from '../api/egressView.js';
import type { Column } from './output.js';

export const EGRESS_COLUMNS: readonly Column<EgressAddressView>[] = [
  { head: 'NAMESPACE', usual: 20, value: ({ namespace }) => namespace },
  { head: 'ADDRESS', usual: 18, value: ({ address }) => address ?? '-' },
  { head: 'HELD BY', usual: 20, value: ({ node, isHere }) => (node === null ? '-' : isHere ? `${node} (here)` : node) },
  { head: 'PODS HERE', align: 'right', value: ({ localPods }) => String(localPods) },
  { head: 'STATE', value: ({ problem, node }) => problem ?? (node === null ? 'nobody holds it' : 'ok') },
];
