/** The proxy's cases on IPVS, in a guest that has it; and, since it has SCTP too, what is of SCTP on nftables. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { CASES } from '../../../test/proxyRows/cases.js';
import type { RowCase } from '../../../test/proxyRows/world.js';
import { openWorlds, type Worlds } from '../../../test/proxyRows/worlds.js';
import { whileInNamespace } from '../../../test/kernel/tcpNamespaces.js';
import type { OpenBackend } from '../../../test/kernel/proxyRig.js';
import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import type { ProxyBackend } from '../../../src/proxy/proxyBackend.js';
import { vmSuite, type SuiteBuilder } from '../suite.js';

let worlds: Worlds | undefined;

/** What the agent sees to, and the backend alone does not. */
const SYSCTLS = ['conntrack=1', 'conn_reuse_mode=0', 'expire_nodest_conn=1', 'expire_quiescent_template=1'];

export const openIpvs: OpenBackend = async (node, onEvent) => {
  const opened: ProxyBackend[] = [];
  await whileInNamespace(node.name, async () => {
    const proxy = await openIpvsProxy(onEvent);
    if (typeof proxy === 'string') throw new Error(proxy);
    opened.push(proxy);
  });
  for (const sysctl of SYSCTLS)
    execFileSync('ip', ['netns', 'exec', node.name, 'sysctl', '-qw', `net.ipv4.vs.${sysctl}`]);
  return opened[0]!;
};

async function open(prefix: string, openBackend?: OpenBackend): Promise<void> {
  worlds = await openWorlds(prefix, openBackend);
  assert.ok(worlds.of(4).hasSctp, 'the guest has no SCTP');
}

function checks(check: SuiteBuilder['check'], kind: ProxyBackend['kind'], cases: readonly RowCase[]): void {
  for (const family of [4, 6] as const)
    for (const one of cases)
      check(`${kind}, IPv${family}: ${one.name}`, () => {
        if (worlds === undefined) throw new Error('the rig does not stand');
        return one.run(worlds.of(family));
      });
}

export const proxyRows = vmSuite('proxyRows', 2400, ({ check, prepare, cleanup }) => {
  prepare('the rig with IPVS', () => {
    execFileSync('modprobe', ['sctp']);
    return open('rows', openIpvs);
  });
  checks(check, 'ipvs', CASES);
  cleanup('take the rig down', () => worlds?.close());
  prepare('the rig with nftables', () => open('rown'));
  checks(
    check,
    'nftables',
    CASES.filter(({ name }) => name.startsWith('SCTP')),
  );
  cleanup('take the second rig down', () => worlds?.close());
});
