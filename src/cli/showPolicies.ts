/** `peerage show policies`: what governs pods of this node, and what the kernel has of it. */

import type { PolicyView } from '../api/policyView.js';
import type { Column } from './output.js';

export const POLICY_COLUMNS: readonly Column<PolicyView>[] = [
  { head: 'POLICY', usual: 30, value: ({ policy }) => policy },
  { head: 'TIER', usual: 9, value: ({ tier }) => tier },
  { head: 'PRIORITY', align: 'right', value: ({ priority }) => (priority === null ? '-' : String(priority)) },
  { head: 'PODS', align: 'right', value: ({ pods }) => String(pods) },
  { head: 'INGRESS', usual: 8, value: ({ ingress }) => rulesText(ingress) },
  { head: 'EGRESS', usual: 8, value: ({ egress }) => rulesText(egress) },
  { head: 'KERNEL', value: ({ state, error }) => (error === null ? state : `failed: ${error}`) },
];

function rulesText(rules: number | null): string {
  if (rules === null) return '-';
  return rules === 1 ? '1 rule' : `${rules} rules`;
}
