/** `peerage show bandwidth`: a line for each limit. */

import type { PodLimitView } from '../api/bandwidthView.js';
import type { Column } from './output.js';

export const BANDWIDTH_COLUMNS: readonly Column<PodLimitView>[] = [
  { head: 'POD', usual: 30, value: ({ pod }) => pod },
  { head: 'DIRECTION', value: ({ direction }) => direction },
  { head: 'LIMIT', align: 'right', usual: 10, value: ({ limit }) => `${quantityText(limit)}bit/s` },
  { head: 'LINK', usual: 12, value: ({ link }) => link ?? '-' },
  { head: 'OCTETS', align: 'right', usual: 12, value: ({ octets }) => textOf(octets) },
  { head: 'DROPPED', align: 'right', usual: 8, value: ({ dropped }) => textOf(dropped) },
  { head: 'WAITING', align: 'right', usual: 8, wide: true, value: ({ waiting }) => textOf(waiting) },
  { head: 'STATE', value: ({ state, reason }) => (reason === null ? state : `${state}: ${reason}`) },
];

const SUFFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** As annotations are written: `1500k`, in the largest unit that leaves a whole number. */
function quantityText(value: number): string {
  let [rest, unit] = [value, 0];
  while (rest % 1000 === 0 && unit < SUFFIXES.length - 1) [rest, unit] = [rest / 1000, unit + 1];
  return `${rest}${SUFFIXES[unit] ?? ''}`;
}

function textOf(value: number | null): string {
  return value === null ? '-' : String(value);
}
