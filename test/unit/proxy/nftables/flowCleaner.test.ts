/** What becomes of stale flows when the kernel does not answer. */

import { expect, test } from '@jest/globals';
import type { DumpOutcome, NetlinkChannel } from '../../../../src/kernel/netlink/channel.js';
import { createFlowCleaner } from '../../../../src/proxy/nftables/flowCleaner.js';
import type { ProxyEvent } from '../../../../src/proxy/proxyBackend.js';

const EXPECTATIONS = { servers: new Map(), nodeAddresses: new Set<string>() };

/** A kernel without flows whose first dumps go as told. */
function kernel(...outcomes: readonly (Error | DumpOutcome)[]): NetlinkChannel {
  const left = [...outcomes];
  return {
    portId: 1,
    transact: () => Promise.reject(new Error('there is nothing to delete')),
    dump: () => {
      const outcome = left.shift() ?? 'complete';
      return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
    },
    close: () => undefined,
  };
}

async function cleaned(channel: NetlinkChannel): Promise<readonly string[]> {
  const events: ProxyEvent[] = [];
  const cleaner = createFlowCleaner(channel, 4, event => events.push(event), [0, 0, 0]);
  cleaner.clean(EXPECTATIONS);
  await cleaner.idle();
  return events.map(event => (event.kind === 'error' ? event.text : event.kind));
}

test.each<[title: string, outcomes: readonly (Error | DumpOutcome)[], events: readonly string[]]>([
  ['an answer', [], ['conntrack']],
  ['one refusal', [new Error('ENOBUFS')], ['conntrack']],
  ['an answer of which a part was lost', ['interrupted'], ['conntrack']],
  ['no answer at all', Array.from({ length: 9 }, () => new Error('ENOBUFS')), ['stale UDP flows: ENOBUFS']],
])('%s', async (_, outcomes, events) => {
  expect(await cleaned(kernel(...outcomes))).toEqual(events);
});
