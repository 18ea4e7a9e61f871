/** A policy model and the firewall that follows it, in a node's namespace: objects in, rules in the kernel. Impure. */

import { parsePrefix, type IpPrefix } from '../../src/core/ip.js';
import { openNftablesFirewall } from '../../src/policy/nftables/nftablesFirewall.js';
import type { FirewallEvent, FirewallSettings } from '../../src/policy/policyFirewall.js';
import { createPolicyModel } from '../../src/policy/policyModel.js';
import type { Namespace } from '../../test/kernel/namespace.js';
import { batchBetween } from '../../test/unit/policy/modelCluster.js';
import { NODE_NAME } from './cluster.js';
import { PLAIN_SETTINGS } from './settings.js';

export interface Enforcer {
  /** Makes these objects of the API all there are. @throws when the firewall says that it could not write all */
  enforce(objects: readonly unknown[]): Promise<void>;
  stop(): Promise<void>;
}

/** Of the one node that has all pods. */
const POD_NETWORKS = ['10.244.0.0/16', '10.0.0.0/16', 'fd44::/16'];

export interface EnforcerOptions {
  /** Of the node, as the API knows it. */
  readonly name?: string;
  /** Addresses in them are pods of this node, and closed if unknown. */
  readonly podNetworks?: readonly string[];
  readonly log?: FirewallSettings['log'];
  /** Hears everything, faults too. */
  readonly onEvent?: (event: FirewallEvent) => void;
}

export function openEnforcer(node: Namespace, options: EnforcerOptions = {}): Enforcer {
  const { name = NODE_NAME, podNetworks = POD_NETWORKS, log, onEvent } = options;
  const faults: FirewallEvent[] = [];
  const note = (event: FirewallEvent): void => {
    onEvent?.(event);
    if (['failed', 'error', 'drift'].includes(event.kind)) faults.push(event);
  };
  const firewall = node.inside(() => openNftablesFirewall(note));
  const model = createPolicyModel(name);
  let before: readonly unknown[] = [];
  let hasBegun = false;
  firewall.configure({ ...PLAIN_SETTINGS, log, podCidrs: podNetworks.map(prefixOf) });
  return {
    async enforce(objects) {
      firewall.apply(model.apply(batchBetween(before, objects)));
      before = objects;
      if (!hasBegun) {
        await firewall.hold();
        firewall.begin();
      }
      hasBegun = true;
      await firewall.idle();
      if (faults.length > 0) throw new Error(`the firewall says ${faults.map(faultText).join('; ')}`);
      if (!firewall.isSettled) throw new Error('the firewall is idle and not settled');
    },
    stop: () => firewall.stop(),
  };
}

function faultText(event: FirewallEvent): string {
  if (event.kind === 'failed') return `failed: ${[...event.failures].join(', ')}`;
  return event.kind === 'error' ? event.text : event.kind === 'drift' ? `drift: ${event.what.join(', ')}` : event.kind;
}

function prefixOf(text: string): IpPrefix {
  const prefix = parsePrefix(text);
  if (!prefix.ok) throw new Error(prefix.error);
  return prefix.value;
}
