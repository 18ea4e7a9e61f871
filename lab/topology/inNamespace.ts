/** Entering a network namespace that ip(8) has made, for the moment in which a socket is made. Impure. */

import { enterNamespace, insideNamespace } from '../../src/kernel/namespaces.js';

/** Runs in another network namespace: sockets made meanwhile belong to it for good. @param name as `ip netns` knows it */
export function inNamespace<T>(name: string, act: () => T): T {
  return insideNamespace(`/var/run/netns/${name}`, act);
}

/** Makes a namespace, given as an open file, this thread's own. */
export const enter = enterNamespace;
