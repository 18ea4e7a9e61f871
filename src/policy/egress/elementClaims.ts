/** Elements that several may want at once, such as an address that one pod leaves and another takes: the last word counts. */

/** Elements by key. */
export type Elements = ReadonlyMap<string, string>;

export class ElementClaims {
  private readonly byClaimant = new Map<string, Elements>();
  private readonly byKey = new Map<string, Map<string, string>>();
  private readonly told = new Map<string, string>();
  private readonly touched = new Set<string>();

  /** Takes one claimant's elements in place of what it wanted before. */
  set(claimant: string, elements: Elements): void {
    for (const key of this.byClaimant.get(claimant)?.keys() ?? []) {
      if (elements.has(key)) continue;
      const claims = this.byKey.get(key);
      claims?.delete(claimant);
      if (claims?.size === 0) this.byKey.delete(key);
      this.touched.add(key);
    }
    for (const [key, value] of elements) {
      const claims = this.byKey.get(key) ?? new Map<string, string>();
      if (claims.get(claimant) === value) continue;
      claims.delete(claimant);
      claims.set(claimant, value);
      this.byKey.set(key, claims);
      this.touched.add(key);
    }
    if (elements.size === 0) this.byClaimant.delete(claimant);
    else this.byClaimant.set(claimant, elements);
  }

  /** @returns what is another since the last time; undefined: nobody wants it any more */
  settle(): ReadonlyMap<string, string | undefined> {
    const changes = new Map<string, string | undefined>();
    for (const key of this.touched) {
      const value = [...(this.byKey.get(key)?.values() ?? [])].at(-1);
      if (value === this.told.get(key)) continue;
      if (value === undefined) this.told.delete(key);
      else this.told.set(key, value);
      changes.set(key, value);
    }
    this.touched.clear();
    return changes;
  }

  /** As of the last settling. */
  all(): Elements {
    return this.told;
  }
}
