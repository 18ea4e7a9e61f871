/** Takes away what direct server return left: tunnels inside this node's pods, then the node's own rules and routes. Impure. */

import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { ContainerRuntime } from './containerRuntime.js';
import { createDsrRouteTarget, isRule } from './dsrRoutes.js';
import type { OpenRuntime } from './lazyRuntime.js';
import { removeFromPod } from './podTunnel.js';

export interface DsrRemoval {
  readonly removed: readonly string[];
  /** What had to be left, and why. */
  readonly left: readonly string[];
}

/**
 * Where the node has no rules of direct server return, nobody is asked about pods. As long as a pod could not be looked into,
 * the rules stay, leading to an empty table, so that whoever cleans up again asks again.
 */
export async function removeDirectReturn(channel: NetlinkChannel, openRuntime: OpenRuntime): Promise<DsrRemoval> {
  const target = createDsrRouteTarget(channel);
  const found = await target.read();
  if (found.size === 0) return { removed: [], left: [] };
  const pods = await removeFromPods(openRuntime);
  const isOver = pods.left.length === 0;
  const going = new Map([...found].filter(([key]) => isOver || !isRule(key)));
  const refused = await target.commit({ set: new Map(), removed: going });
  return {
    removed: [
      ...pods.removed,
      ...(going.size > refused.size ? [`${going.size - refused.size} rules and routes of direct server return`] : []),
    ],
    left: [...pods.left, ...[...refused].map(([key, text]) => `direct server return, ${key}: ${text}`)],
  };
}

async function removeFromPods(openRuntime: OpenRuntime): Promise<DsrRemoval> {
  const runtime = await openRuntime();
  if (typeof runtime === 'string') return { removed: [], left: [`tunnels in pods: ${runtime}`] };
  try {
    return await removeFromSandboxes(runtime);
  } catch (error) {
    return { removed: [], left: [`tunnels in pods: ${textOf(error)}`] };
  } finally {
    runtime.close();
  }
}

async function removeFromSandboxes(runtime: ContainerRuntime): Promise<DsrRemoval> {
  const left: string[] = [];
  let tunnels = 0;
  for (const id of await runtime.list()) {
    const sandbox = await runtime.sandbox(id);
    // Without namespaces it is on the node's own network, which has no tunnel of this kind.
    if (sandbox === undefined || sandbox.namespaces.length === 0) continue;
    try {
      tunnels += await removeFromPod(sandbox.namespaces);
    } catch (error) {
      left.push(`tunnels in pod ${sandbox.addresses[0] ?? id}: ${textOf(error)}`);
    }
  }
  return { removed: tunnels === 0 ? [] : [`${tunnels} tunnels of direct server return in pods`], left };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
