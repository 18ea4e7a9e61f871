/** A firewall without a kernel: notes what it is told, and says what a test has it say. */

import type {
  Denial,
  FirewallEvent,
  FirewallSettings,
  LoggedDecision,
  PolicyFirewall,
} from '../../../../src/policy/policyFirewall.js';
import type { PolicyDelta } from '../../../../src/policy/policyTypes.js';

export interface FakeFirewall extends PolicyFirewall {
  readonly calls: readonly string[];
  readonly settings: FirewallSettings | undefined;
  readonly deltas: readonly PolicyDelta[];
  isSettled: boolean;
  dropped: readonly Denial[];
  readonly decisions: Map<string, LoggedDecision>;
  tell(event: FirewallEvent): void;
}

export function createFakeFirewall(tell: (event: FirewallEvent) => void): FakeFirewall {
  const calls: string[] = [];
  const deltas: PolicyDelta[] = [];
  let settings: FirewallSettings | undefined;
  const fake: FakeFirewall = {
    calls,
    deltas,
    get settings() {
      return settings;
    },
    isSettled: true,
    dropped: [],
    decisions: new Map(),
    tell,
    configure: next => {
      calls.push('configure');
      settings = next;
    },
    apply: delta => {
      calls.push('apply');
      deltas.push(delta);
    },
    hold: () => {
      calls.push('hold');
      return Promise.resolve();
    },
    begin: () => calls.push('begin'),
    denials: () => Promise.resolve(fake.dropped),
    decisionOf: prefix => fake.decisions.get(prefix),
    idle: () => Promise.resolve(),
    stop: () => {
      calls.push('stop');
      return Promise.resolve();
    },
  };
  return fake;
}
