/** What of the agent's configuration takes effect at its start alone. */

import { isDeepStrictEqual } from 'node:util';
import { hasEgressAddresses } from './egressAddresses/openPodAddresses.js';
import type { AgentConfig } from './kubeConfig.js';

/** Parts of the configuration that are read once. */
const LATE: readonly { readonly name: string; readonly of: (settings: AgentConfig) => unknown }[] = [
  { name: 'fib', of: settings => settings.fib },
  { name: 'rib', of: settings => settings.rib },
  { name: 'log', of: settings => settings.log },
  { name: 'control', of: settings => settings.control },
  { name: 'kubernetes.nodeName', of: settings => settings.kubernetes.nodeName },
  { name: 'kubernetes.kubeconfig', of: settings => settings.kubernetes.kubeconfig },
  { name: 'kubernetes.apiServer', of: settings => settings.kubernetes.apiServer },
  { name: 'kubernetes.cacheSyncTimeout', of: settings => settings.kubernetes.cacheSyncTimeout },
  { name: 'kubernetes.services.settleTime', of: settings => settings.kubernetes.services.settleTime },
  { name: 'kubernetes.edge.ask', of: settings => settings.kubernetes.edge.ask },
  { name: 'kubernetes.run.router', of: settings => settings.kubernetes.run.router },
  { name: 'kubernetes.run.serviceProxy', of: settings => settings.kubernetes.run.serviceProxy },
  { name: 'kubernetes.run.bandwidth', of: settings => settings.kubernetes.run.bandwidth },
  { name: 'kubernetes.run.firewall', of: settings => settings.kubernetes.run.firewall },
  { name: 'kubernetes.firewall.flowOffload', of: settings => settings.kubernetes.firewall.flowOffload },
  { name: 'kubernetes.egressAddresses', of: settings => hasEgressAddresses(settings.kubernetes) },
  { name: 'kubernetes.tenancy', of: settings => settings.kubernetes.tenancy },
  { name: 'kubernetes.tenants.lease', of: settings => settings.kubernetes.tenants.lease },
  { name: 'kubernetes.proxy.mode', of: settings => settings.kubernetes.proxy.mode },
  { name: 'kubernetes.proxy.healthPort', of: settings => settings.kubernetes.proxy.healthPort },
  { name: 'kubernetes.proxy.healthAddress', of: settings => settings.kubernetes.proxy.healthAddress },
  { name: 'kubernetes.proxy.ipvs.runtimeEndpoint', of: settings => settings.kubernetes.proxy.ipvs.runtimeEndpoint },
  { name: 'kubernetes.proxy.conntrack', of: settings => settings.kubernetes.proxy.conntrack },
  { name: 'kubernetes.health', of: settings => settings.kubernetes.health },
  { name: 'kubernetes.metrics', of: settings => settings.kubernetes.metrics },
];

/** @param first what the agent began with @returns names of settings that are others now and wait for a restart */
export function lateChanges(first: AgentConfig, next: AgentConfig): readonly string[] {
  return LATE.filter(({ of }) => !isDeepStrictEqual(of(first), of(next))).map(({ name }) => name);
}
