/**
 * A change that the kernel refused as a whole, tried in parts, so that what cannot be written costs only the pods that need
 * it. These are closed: nothing is let through to them or from them until what governs them has been accepted.
 */

import type { Present } from '../../core/deltaTable.js';
import { elementKey, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import { TransactionError } from '../../kernel/nftables/transaction.js';
import type { PodName } from '../policyTypes.js';
import { CLOSED_POD, SETS } from './layout.js';
import { CHAINS, NAMED_SETS, type Needs } from './plan.js';
import { STRUCTURE, type PolicyDifference } from './policyTarget.js';

export interface ApartOptions {
  readonly delta: PolicyDifference;
  /** Why it was refused as a whole. */
  readonly text: string;
  /** @returns rejects with TransactionError when it is refused */
  readonly write: (part: PolicyDifference) => Promise<void>;
  readonly pods: Iterable<PodName>;
  readonly addressesOf: (pod: PodName) => readonly string[];
  readonly needs: (pod: PodName) => Needs;
  /** What is believed to be in the kernel. */
  readonly present: Pick<Present<ElementKey, string>, 'get'>;
}

export interface Outcome {
  /** Keys of the change that are not as they shall be. */
  readonly failures: ReadonlyMap<ElementKey, string>;
  /** Pods that are closed, with the reason. */
  readonly closed: ReadonlyMap<PodName, string>;
}

/** A pod that leads to something new, with all that it needs; or what sets get that pods look up already. */
interface Unit {
  readonly keys: ReadonlySet<ElementKey>;
  readonly pods: readonly PodName[];
}

export async function writeApart(options: ApartOptions): Promise<Outcome> {
  const apart = new Apart(options);
  await apart.run();
  return apart;
}

const STRUCTURE_SET = setOf(STRUCTURE);

class Apart implements Outcome {
  readonly failures = new Map<ElementKey, string>();
  readonly closed = new Map<PodName, string>();
  private readonly written = new Set<ElementKey>();
  /** Keys of the change in each set. */
  private readonly bySet = new Map<string, ElementKey[]>();
  /** Pods that look each set up. */
  private readonly users = new Map<string, PodName[]>();

  constructor(private readonly options: ApartOptions) {
    const { set, removed } = options.delta;
    for (const key of [...set.keys(), ...removed.keys()]) {
      const known = this.bySet.get(setOf(key));
      if (known === undefined) this.bySet.set(setOf(key), [key]);
      else known.push(key);
    }
    for (const pod of options.pods)
      for (const set of options.needs(pod).sets) this.users.set(set, [...(this.users.get(set) ?? []), pod]);
  }

  async run(): Promise<void> {
    const { set, removed } = this.options.delta;
    const last = [...removed.keys()].filter(key => this.isReferredTo(key));
    const pods = [...this.options.pods].flatMap(pod => this.podUnit(pod) ?? []);
    const ofPods = new Set([...pods.flatMap(({ keys }) => [...keys]), ...last]);
    const rest = [...set.keys(), ...removed.keys()].filter(key => !ofPods.has(key));
    await this.halve(this.setUnits(rest));
    await this.halve(pods);
    await this.halve([{ keys: new Set(last), pods: [] }]);
  }

  /** Chains, sets and what leads to them go when nobody needs them any more. */
  private isReferredTo(key: ElementKey): boolean {
    const set = setOf(key);
    return set === CHAINS || set === NAMED_SETS || set === SETS.senders || set === SETS.receivers || this.isGone(set);
  }

  private isGone(set: string): boolean {
    return this.options.delta.removed.has(elementKey(NAMED_SETS, set));
  }

  private podUnit(pod: PodName): Unit | undefined {
    const { delta, addressesOf, needs } = this.options;
    const own = addressesOf(pod).flatMap(address => [
      elementKey(SETS.pods, address),
      elementKey(SETS.loops, `${address}${address}`),
    ]);
    const changed = own.filter(key => delta.set.has(key));
    if (changed.length === 0) return undefined;
    const { keys, sets } = needs(pod);
    const needed = [
      ...keys,
      ...[...sets].flatMap(set => [elementKey(NAMED_SETS, set), ...(this.bySet.get(set) ?? [])]),
    ];
    const inDelta = needed.filter(key => delta.set.has(key) || delta.removed.has(key));
    return { keys: new Set([...changed, ...inDelta]), pods: [pod] };
  }

  /** One for each set: if it is refused, the pods that look the set up are closed. */
  private setUnits(keys: readonly ElementKey[]): readonly Unit[] {
    const bySet = new Map<string, Set<ElementKey>>();
    for (const key of keys) bySet.set(setOf(key), (bySet.get(setOf(key)) ?? new Set()).add(key));
    // Nothing can be written without the structure.
    const sorted = [...bySet].sort(([a], [b]) => Number(b === STRUCTURE_SET) - Number(a === STRUCTURE_SET));
    return sorted.map(([set, members]) => ({ keys: members, pods: this.users.get(set) ?? [] }));
  }

  private async halve(units: readonly Unit[]): Promise<void> {
    const keys = new Set(units.flatMap(unit => [...unit.keys]).filter(key => !this.written.has(key)));
    if (keys.size === 0) return;
    try {
      await this.options.write(partOf(this.options.delta, keys));
      for (const key of keys) {
        this.written.add(key);
        // Another pod, which was refused, may have needed it too.
        this.failures.delete(key);
      }
    } catch (error) {
      if (!(error instanceof TransactionError)) throw error;
      const [only, ...others] = units;
      if (only !== undefined && others.length === 0) {
        for (const key of keys) this.failures.set(key, error.message);
        for (const pod of only.pods) await this.close(pod, error.message);
        return;
      }
      const half = units.length >> 1;
      await this.halve(units.slice(0, half));
      await this.halve(units.slice(half));
    }
  }

  private async close(pod: PodName, text: string): Promise<void> {
    if (this.closed.has(pod)) return;
    this.closed.set(pod, text);
    const { delta, present, write } = this.options;
    const entries = this.options.addressesOf(pod).map(address => {
      const key = elementKey(SETS.pods, address);
      const before = this.written.has(key) ? delta.set.get(key)?.value : present.get(key);
      return [key, { value: CLOSED_POD, before }] as const;
    });
    await write({ set: new Map(entries), removed: new Map() });
    // It is not as it shall be, and is tried again with what it waits for, not before.
    for (const [key] of entries) this.failures.set(key, text);
  }
}

export interface WaitingOptions extends Pick<ApartOptions, 'delta' | 'pods' | 'addressesOf' | 'needs'> {
  /** What was refused before, with the reason. */
  readonly refused: ReadonlyMap<ElementKey, string>;
}

export interface Waiting extends Outcome {
  /** The change in which these pods are closed from the first. */
  readonly delta: PolicyDifference;
}

/** Pods of a change that need what was refused earlier and is not tried again with it: they are closed until it is there. */
export function closeWaiting({ delta, refused, pods, addressesOf, needs }: WaitingOptions): Waiting {
  const missing = new Map([...refused].filter(([key]) => !delta.set.has(key)));
  if (missing.size === 0) return { delta, failures: new Map(), closed: new Map() };
  const ofSets = new Map([...missing].map(([key, text]) => [setOf(key), text]));
  const set = new Map(delta.set);
  const failures = new Map<ElementKey, string>();
  const closed = new Map<PodName, string>();
  for (const pod of pods) {
    const own = addressesOf(pod).map(address => elementKey(SETS.pods, address));
    const changed = own.filter(key => delta.set.has(key));
    const text = changed.length === 0 ? undefined : reasonOf(needs(pod), missing, ofSets);
    if (text === undefined) continue;
    closed.set(pod, text);
    for (const key of changed) {
      set.set(key, { value: CLOSED_POD, before: delta.set.get(key)?.before });
      failures.set(key, text);
    }
  }
  return { delta: { set, removed: delta.removed }, failures, closed };
}

function reasonOf(
  { keys, sets }: Needs,
  missing: ReadonlyMap<ElementKey, string>,
  ofSets: ReadonlyMap<string, string>,
): string | undefined {
  for (const set of sets) {
    const text = ofSets.get(set) ?? missing.get(elementKey(NAMED_SETS, set));
    if (text !== undefined) return text;
  }
  for (const key of keys) {
    const text = missing.get(key);
    if (text !== undefined) return text;
  }
  return undefined;
}

function partOf(delta: PolicyDifference, keys: ReadonlySet<ElementKey>): PolicyDifference {
  return {
    set: new Map([...delta.set].filter(([key]) => keys.has(key))),
    removed: new Map([...delta.removed].filter(([key]) => keys.has(key))),
  };
}
