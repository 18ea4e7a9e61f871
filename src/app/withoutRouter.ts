/** The agent's configuration where other parts run without the router: what routing does to a node is somebody else's. Pure. */

import type { AgentConfig } from './kubeConfig.js';

/** Switches off what belongs to routing, if `run.router` is off; what the file says of it stands for another time. */
export function withoutRouter(settings: AgentConfig): AgentConfig {
  const { fib, kubernetes } = settings;
  if (kubernetes.run.router) return settings;
  return {
    ...settings,
    fib: { ...fib, install: false },
    kubernetes: {
      ...kubernetes,
      overlay: { ...kubernetes.overlay, enabled: false },
      cni: { ...kubernetes.cni, enabled: false, forward: 'off' },
      egress: { ...kubernetes.egress, enabled: false },
      sourceDestCheck: { ...kubernetes.sourceDestCheck, disable: false },
    },
  };
}
