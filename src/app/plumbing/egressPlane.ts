/** Keeps the egress table in the kernel as the plan has it. Impure. */

import type { Clock } from '../../core/clock.js';
import { createReconciler, type ReconcilerEvent, type Target } from '../../core/reconciler.js';
import type { Nft } from '../../kernel/nft.js';
import { nftTableTarget } from '../../kernel/nftTable.js';
import { createEgressPlan, EGRESS_STRUCTURE, EGRESS_TABLE, NO_PART, type EgressPart } from './egress.js';
import type { NodePlumbingOptions } from './plumbingOptions.js';

export interface EgressPlane {
  configure(options: NodePlumbingOptions): void;
  /** A node contributes something else than before. */
  changed(parts: ReadonlyMap<string, EgressPart>): void;
  /** Options and all nodes have been told once: what a former life left is judged from now on. */
  begin(): void;
  idle(): Promise<void>;
  /** The table stays. */
  stop(): Promise<void>;
}

export interface EgressPlaneDeps {
  readonly nft: Nft;
  readonly clock: Clock;
  onEvent(event: ReconcilerEvent<string>): void;
  /** The table cannot be kept (a sentence), or can be again. */
  onProblem(text: string | undefined): void;
}

/** Milliseconds between two readings. */
const READ_BACK = 60_000;

export function createEgressPlane(deps: EgressPlaneDeps): EgressPlane {
  const plan = createEgressPlan();
  const parts = new Map<string, EgressPart>();
  let options: NodePlumbingOptions | undefined;
  const isOn = (): boolean => options?.egress.enabled === true;
  const reconciler = createReconciler<string, string>({
    target: watched(nftTableTarget(deps.nft, EGRESS_TABLE), () => deps.onProblem(undefined)),
    clock: deps.clock,
    equal: (a, b) => a === b,
    readBackInterval: READ_BACK,
    onEvent: event => {
      deps.onEvent(event);
      // Where nobody wants the table, it does not matter that there is no nft(8) to look for it.
      if (event.kind === 'error' && isOn()) deps.onProblem(event.text);
    },
  });

  const inFamilies = (part: EgressPart): EgressPart => ({
    ...part,
    local: part.local.filter(({ address }) => (address.version === 4 ? options?.ipv4 : options?.ipv6) ?? true),
  });
  return {
    configure: next => {
      options = next;
      plan.set(' configuration', { ...NO_PART, excluded: next.egress.excluded });
      for (const [name, part] of parts) plan.set(name, inFamilies(part));
      const wanted = isOn() ? new Map([EGRESS_STRUCTURE, ...plan.elements()]) : new Map<string, string>();
      reconciler.replaceAll(wanted);
    },
    changed: news => {
      for (const [name, part] of news) {
        parts.set(name, part);
        const changes = plan.set(name, inFamilies(part));
        if (isOn() && changes.size > 0) reconciler.apply(changes);
      }
    },
    begin: () => reconciler.begin(),
    idle: () => reconciler.idle(),
    stop: () => reconciler.stop(),
  };
}

/** Tells when the target answers at all. */
function watched<K, V>(target: Target<K, V>, onAnswer: () => void): Target<K, V> {
  return {
    read: async () => {
      const values = await target.read();
      onAnswer();
      return values;
    },
    commit: async delta => {
      const failed = await target.commit(delta);
      onAnswer();
      return failed;
    },
  };
}
