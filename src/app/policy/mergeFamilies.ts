/** Most rules know no address families: what is true for both is said once. */

import { isDeepStrictEqual } from 'node:util';

/** @returns the views in order, those that differ in nothing but their families as one */
export function mergeFamilies<T extends { readonly families: readonly (4 | 6)[] }>(views: readonly T[]): readonly T[] {
  const merged: T[] = [];
  for (const view of views) {
    const at = merged.findIndex(other => isDeepStrictEqual({ ...other, families: [] }, { ...view, families: [] }));
    const other = merged[at];
    if (other === undefined) merged.push(view);
    else merged[at] = { ...other, families: [...other.families, ...view.families] };
  }
  return merged;
}
