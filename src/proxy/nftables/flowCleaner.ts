/** Deletes stale UDP flows after the rules have changed: one run at a time, for the frontends that changed. Impure: netlink. */

import { setTimeout } from 'node:timers/promises';
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

/**
 * Milliseconds before further tries: a client whose flow is forgotten here sends to nobody for as long as it sends, and what
 * keeps the kernel from answering is over soon or not at all.
 */
const PAUSES = [100, 400, 1600];

export function createFlowCleaner(
  channel: NetlinkChannel,
  family: Family,
  onEvent: (event: ProxyEvent) => void,
  pauses: readonly number[] = PAUSES,
): FlowCleaner {
  let wanted: UdpExpectations | undefined;
  let running: Promise<void> | undefined;

  /** What was asked for later goes before. */
  const want = ({ servers, nodeAddresses }: UdpExpectations, later: UdpExpectations | undefined): void => {
    wanted = {
      servers: new Map([...servers, ...(later?.servers ?? [])]),
      nodeAddresses: later?.nodeAddresses ?? nodeAddresses,
    };
  };

  async function attempt(expectations: UdpExpectations): Promise<void> {
    const start = performance.now();
    const stale = staleFlows(await listUdpFlows(channel, family), expectations);
    const deleted = await deleteUdpFlows(channel, family, stale);
    onEvent({ kind: 'conntrack', seconds: (performance.now() - start) / 1000, deleted });
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (wanted !== undefined) {
      const expectations = wanted;
      wanted = undefined;
      try {
        await attempt(expectations);
        failures = 0;
      } catch (error) {
        const pause = pauses[failures++];
        if (pause === undefined) {
          const text = error instanceof Error ? error.message : String(error);
          onEvent({ kind: 'error', text: `stale UDP flows: ${text}` });
          continue;
        }
        await setTimeout(pause);
        want(expectations, wanted);
      }
    }
    running = undefined;
  }

  return {
    clean: expectations => {
      if (wanted === undefined) wanted = expectations;
      else want(wanted, expectations);
      running ??= run();
    },
    idle: () => running ?? Promise.resolve(),
  };
}
