/** The stage of egress addresses: what the cluster and the configuration say, to what this node does and announces. Pure but for its memory. */

import { formatPrefix, parseAddress, type IpAddress, type IpPrefix } from '../../core/ip.js';
import type { ObjectBatch } from '../../kube/objectBatch.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { ProblemReport } from '../../kube/problems.js';
import {
  createEgressModel,
  type EgressChanges,
  type EgressHolder,
  type ShownEgress,
} from '../../policy/egress/egressModel.js';
import type { KeyedDelta, NetworkIntent } from '../../routing/intent.js';
import { createEgressPlan, NO_PART, type EgressPart } from '../plumbing/egress.js';
import { createNodeNetworks } from '../plumbing/nodeNetworks.js';

export interface EgressAddressOptions {
  /** None: nobody has egress addresses. */
  readonly ranges: readonly IpPrefix[];
  /** Destinations besides pods and nodes that count as inside: addresses of services, and what sees pods as they are. */
  readonly inside: readonly IpPrefix[];
}

export type EgressInput =
  | { readonly kind: 'batch'; readonly batch: ObjectBatch }
  | { readonly kind: 'options'; readonly options: EgressAddressOptions }
  /** This node is cut off and holds nothing, whatever the cluster says; or it is not any more. */
  | { readonly kind: 'fence'; readonly isShut: boolean };

export interface EgressUpdate {
  readonly isOn: boolean;
  /** The cluster has told all it had: what is not there is not wanted. */
  readonly isComplete: boolean;
  /** Of the table, since the last update; undefined: to be taken out. */
  readonly changes: ReadonlyMap<string, string | undefined>;
  /** All elements. */
  elements(): ReadonlyMap<string, string>;
  /** All that namespaces ask for, for people. */
  shown(): readonly ShownEgress[];
  readonly holders: ReadonlyMap<string, EgressHolder>;
  /** Addresses of nodes that have the label. */
  readonly candidates: ReadonlyMap<string, readonly IpAddress[]>;
  /** Nodes that are written down as gone. */
  readonly lost: ReadonlySet<string>;
  /** Nodes that hold addresses, or would if there were more. */
  readonly eligible: ReadonlySet<string>;
  /** This node's addresses; undefined until its object has been seen. */
  readonly own: { readonly v4: IpAddress | undefined; readonly v6: IpAddress | undefined } | undefined;
  /** Addresses this node holds now, and no longer, as networks to announce. */
  readonly announced: KeyedDelta<NetworkIntent>;
  readonly problems: ProblemReport;
}

/** Owns the state of the derivation. */
export function createEgressStage(nodeName: string): (input: EgressInput) => EgressUpdate {
  const model = createEgressModel(nodeName);
  const networks = createNodeNetworks(nodeName);
  const plan = createEgressPlan();
  let isOn = false;
  let isComplete = false;
  let own: EgressUpdate['own'];
  let held: ReadonlySet<IpText> = new Set();
  const inside = (parts: Iterable<readonly [string, EgressPart]>): readonly (readonly [string, string | undefined])[] =>
    [...parts].flatMap(([name, part]) => [...plan.set(name, part)]);
  const take = (input: EgressInput): readonly [EgressChanges, readonly (readonly [string, string | undefined])[]] => {
    if (input.kind === 'options') {
      isOn = input.options.ranges.length > 0;
      const excluded = inside([[' configuration', { ...NO_PART, excluded: input.options.inside }]]);
      return [model.configure(input.options.ranges), excluded];
    }
    if (input.kind === 'fence') return [model.fence(input.isShut), []];
    const changed = networks(input.batch);
    if (changed.own !== undefined)
      own = {
        v4: changed.own.addresses.find(({ version }) => version === 4),
        v6: changed.own.addresses.find(({ version }) => version === 6),
      };
    isComplete ||= input.batch.synced;
    return [model.apply(input.batch), inside(changed.parts)];
  };
  return input => {
    const [changes, parts] = take(input);
    const before = held;
    held = changes.held;
    return {
      isOn,
      isComplete,
      changes: new Map([...changes.elements, ...parts]),
      elements: () => new Map([...model.elements(), ...plan.elements()]),
      shown: () => model.shown(),
      holders: changes.holders,
      candidates: isOn ? changes.candidates : new Map(),
      lost: changes.lost,
      eligible: changes.eligible,
      own,
      announced: {
        set: new Map([...held].filter(address => !before.has(address)).map(announcement)),
        removed: new Set([...before].filter(address => !held.has(address)).map(address => announcement(address)[0])),
      },
      problems: new Map([['egress addresses', changes.problems]]),
    };
  };
}

/** Announced at once: nobody sends to it before a pod has sent from it. */
function announcement(text: IpText): readonly [string, NetworkIntent] {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  const prefix = { address: parsed.value, length: parsed.value.version === 4 ? 32 : 128 };
  return [formatPrefix(prefix), { prefix, tag: 'static', keepSpecific: true }];
}
