/** Deletes stale UDP flows after the rules have changed: one run at a time, for the frontends that changed. Impure: netlink. */

import { deleteUdpFlows, listUdpFlows } from '../../kernel/conntrack.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { ProxyEvent } from '../proxyBackend.js';
import type { Family } from '../proxyTypes.js';
import { staleFlows, type UdpExpectations } from './staleFlows.js';

export interface FlowCleaner {
  /** Looks at the flows to these frontends. What is asked for meanwhile is asked of the kernel together. */
  clean(expectations: UdpExpectations): void;
  /** @returns resolves when nothing is under way */
  idle(): Promise<void>;
}

export function createFlowCleaner(
  channel: NetlinkChannel,
  family: Family,
  onEvent: (event: ProxyEvent) => void,
): FlowCleaner {
  let wanted: UdpExpectations | undefined;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (wanted !== undefined) {
      const expectations = wanted;
      wanted = undefined;
      try {
        const start = performance.now();
        const stale = staleFlows(await listUdpFlows(channel, family), expectations);
        const deleted = await deleteUdpFlows(channel, family, stale);
        onEvent({ kind: 'conntrack', seconds: (performance.now() - start) / 1000, deleted });
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        onEvent({ kind: 'error', text: `stale UDP flows: ${text}` });
      }
    }
    running = undefined;
  }

  return {
    clean: ({ servers, nodeAddresses }) => {
      wanted = { servers: new Map([...(wanted?.servers ?? []), ...servers]), nodeAddresses };
      running ??= run();
    },
    idle: () => running ?? Promise.resolve(),
  };
}
