/** What several owners say of one key: the first owner by name is heard, on every machine the same one. */

import { isDeepStrictEqual } from 'node:util';

export class ClaimTable<V> {
  private readonly claims = new Map<string, Map<string, V>>();

  put(owner: string, key: string, value: V): void {
    const values = this.claims.get(key);
    if (values === undefined) this.claims.set(key, new Map([[owner, value]]));
    else values.set(owner, value);
  }

  remove(owner: string, key: string): void {
    const values = this.claims.get(key);
    values?.delete(owner);
    if (values?.size === 0) this.claims.delete(key);
  }

  /** Who is heard, and what is said. */
  winner(key: string): { readonly owner: string; readonly value: V } | undefined {
    let best: { readonly owner: string; readonly value: V } | undefined;
    for (const [owner, value] of this.claims.get(key) ?? [])
      if (best === undefined || owner < best.owner) best = { owner, value };
    return best;
  }

  /** The owner whose word goes before that of this one and is another; undefined when there is none. */
  rivalOf(owner: string, key: string): string | undefined {
    const winner = this.winner(key);
    const own = this.claims.get(key)?.get(owner);
    return winner === undefined || isDeepStrictEqual(winner.value, own) ? undefined : winner.owner;
  }
}
