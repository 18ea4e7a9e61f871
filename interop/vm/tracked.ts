/** What the guest's kernel says of connections through the node of a rig: which take the short way, and what rules still see. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { addressOfText } from '../../src/kernel/nftables/elements.js';
import type { ActorName, Cast } from '../../test/kernel/proxyRig.js';

/** Milliseconds. */
const PATIENCE = 120_000;
const SEEN = 'add table inet seen\nadd chain inet seen c { type filter hook forward priority -50 ; }\n';

export interface Tracked {
  /** Runs a program in the node. @returns its output */
  readonly inNode: (command: string, input?: string) => string;
  /** Whether the kernel's list of tracked connections shows one between these two on the short way. */
  readonly isOffloaded: (protocol: string, source: string, destination: string) => boolean;
  /** Packets that came by the hook `forward`. */
  readonly seen: () => number;
  /** Asks over a kept connection until it takes the short way. */
  readonly untilOffloaded: (from: ActorName, name: string, source: string, destination: string) => Promise<void>;
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not so: ${what}`);
    await delay(200);
  }
}

/**
 * Seconds: on a busy host the guest stands still for longer than a connection may be silent on the short way. Not of UDP: what
 * leaves the short way has that much less to live, and would have less than nothing.
 */
const KEPT = 'net.netfilter.nf_flowtable_tcp_timeout=3600';

/** Counts packets from now on. */
export function openTracked({ actors, node }: Pick<Cast, 'actors' | 'node'>): Tracked {
  const inNode: Tracked['inNode'] = (command, input) =>
    execFileSync('ip', ['netns', 'exec', node.name, ...command.split(' ')], {
      encoding: 'utf8',
      ...(input === undefined ? {} : { input }),
    });
  inNode(`sysctl -qw ${KEPT}`);
  inNode('nft -f -', `${SEEN}add rule inet seen c counter\n`);
  const isOffloaded: Tracked['isOffloaded'] = (protocol, source, destination) => {
    // IPv6 is shown with all its zeros.
    const wanted = [source, destination].map(addressOfText).join();
    return inNode('cat /proc/net/nf_conntrack')
      .split('\n')
      .some(line => {
        const [, from, to] = new RegExp(` ${protocol} .*? src=(\\S+) dst=(\\S+) `).exec(line) ?? [];
        if (from === undefined || to === undefined) return false;
        return line.includes('[OFFLOAD]') && [from, to].map(addressOfText).join() === wanted;
      });
  };
  return {
    inNode,
    isOffloaded,
    seen: () => Number(/packets (\d+)/.exec(inNode('nft list chain inet seen c'))?.[1]),
    // It takes a packet, and another when something ended the short way in between: a route that changed, a link that went.
    untilOffloaded: (from, name, source, destination) =>
      until(`${name} is offloaded`, async () => {
        assert.notEqual(await actors[from].askKept(name, PATIENCE), 'silence');
        return isOffloaded('tcp', source, destination);
      }),
  };
}
