/** Most rules know no address families: what is true for both is said once. */

/** @param views plain data @returns the views in order, those that differ in nothing but their families as one */
export function mergeFamilies<T extends { readonly families: readonly (4 | 6)[] }>(views: readonly T[]): readonly T[] {
  const merged = new Map<string, T>();
  for (const view of views) {
    const likeness = JSON.stringify({ ...view, families: [] });
    const other = merged.get(likeness);
    merged.set(likeness, other === undefined ? view : { ...other, families: [...other.families, ...view.families] });
  }
  return [...merged.values()];
}
