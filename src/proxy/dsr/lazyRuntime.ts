/** The container runtime's client, loaded when it is first needed: few nodes have services that need it, and gRPC takes memory. */

import type { ContainerRuntime } from './containerRuntime.js';

/** @returns the runtime, or why there is none to ask */
export type OpenRuntime = () => Promise<ContainerRuntime | string>;

/** @param endpoint socket of the container runtime; undefined: one of the usual places */
export function runtimeAt(endpoint: string | undefined): OpenRuntime {
  return async () => {
    const { openContainerRuntime } = await import('./containerRuntime.js');
    return openContainerRuntime(endpoint);
  };
}
