/** `peerage show denials`: who was denied of late, and why. */

import type { DenialView } from '../api/policyView.js';
import { age } from './columns.js';
import type { Column } from './output.js';

export const DENIAL_COLUMNS: readonly Column<DenialView>[] = [
  { head: 'AGO', usual: 6, align: 'right', value: ({ last }) => age(last) },
  { head: 'FROM', usual: 28, value: ({ from, fromAddress }) => endText(from, fromAddress) },
  { head: 'TO', usual: 28, value: ({ to, toAddress }) => endText(to, toAddress) },
  { head: 'PORT', usual: 9, value: ({ port }) => port },
  { head: 'PACKETS', align: 'right', value: ({ packets }) => String(packets) },
  { head: 'AT', usual: 7, value: ({ direction }) => direction },
  { head: 'WHY', value: ({ reason }) => reason },
];

function endText(name: string, address: string): string {
  return name === address ? address : `${name} (${address})`;
}
