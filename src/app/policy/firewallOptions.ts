/** From the agent's checked configuration, and what this node is, to what the firewall is told. Pure. */

import type { IpPrefix } from '../../core/ip.js';
import type { Node } from '../../kube/objectTypes.js';
import type { FirewallSettings } from '../../policy/policyFirewall.js';
import { nodeFacts } from '../../routing/nodeFacts.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';

/**
 * @param own the Node object of this machine; undefined: not known yet
 * @param formerCidrs its pods' networks until then
 */
export function firewallSettings(
  { ipv4, ipv6, firewall }: Kubernetes,
  own: Node | undefined,
  formerCidrs: readonly IpPrefix[],
): FirewallSettings {
  const { defaultDeny, cutConnections, cutBit, log } = firewall;
  return {
    ipv4,
    ipv6,
    defaultDeny,
    podCidrs: own === undefined ? formerCidrs : nodeFacts(own).podCidrs,
    cutBit: cutConnections ? cutBit : undefined,
    log: log.enabled ? { group: log.group, perSecond: log.perSecond, burst: log.burst } : undefined,
  };
}
