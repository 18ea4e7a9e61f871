/**
 * Network policies together with services by IPVS, in a guest that has it: what IPVS sends is judged at the endpoint, by the
 * address that the client has before masquerading, and a connection through IPVS that a change forbids is cut.
 */

import assert from 'node:assert/strict';
import { systemClock } from '../../../src/core/clock.js';
import { openChannel, openRouteChannel } from '../../../src/kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../../src/kernel/nftables/numbers.js';
import { createFlowCutter, type FlowCutter } from '../../../src/policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../../src/policy/flows/nodeAddresses.js';
import { openNftablesFirewall } from '../../../src/policy/nftables/nftablesFirewall.js';
import type { PolicyFirewall } from '../../../src/policy/policyFirewall.js';
import { createPolicyModel } from '../../../src/policy/policyModel.js';
import type { Namespace } from '../../../test/kernel/namespace.js';
import { networkPolicy, PODS, SETTINGS as FIREWALL_SETTINGS } from '../../../test/kernel/policyRig.js';
import type { Question } from '../../../test/kernel/proxyActor.js';
import { backendOn, deltaOf, openProxyRig, SETTINGS, type ProxyRig } from '../../../test/kernel/proxyRig.js';
import { batchBetween } from '../../../test/unit/policy/modelCluster.js';
import { vmSuite } from '../suite.js';
import { openIpvs } from './proxyRows.js';

const SERVICES = { 4: '10.96.0.10', 6: 'fd96::10' } as const;
/** Milliseconds: what is denied never comes; what is allowed takes seconds where nobody else is at work. */
const [NEVER, PATIENCE] = [3000, 120_000];
const ONLY_C = networkPolicy('only-c', {
  podSelector: { matchLabels: { pod: 'a' } },
  policyTypes: ['Ingress'],
  ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { pod: 'c' } } }] }],
});

interface World {
  readonly rig: ProxyRig;
  readonly firewall: PolicyFirewall;
  readonly become: (objects: readonly unknown[]) => Promise<void>;
  close(): Promise<void>;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the rig does not stand');
  return opened;
}

async function build(): Promise<World> {
  const rig = await openProxyRig('pvm', openIpvs);
  rig.proxy.configure(SETTINGS);
  const services = ([4, 6] as const).map(family => ({
    family,
    name: 'web',
    cluster: [backendOn(family, 'a')],
    frontends: [{ address: SERVICES[family] }],
  }));
  rig.proxy.apply(deltaOf(services));
  rig.proxy.begin();
  await rig.proxy.idle();
  return { rig, ...openPolicies(rig.node), close: () => rig.close() };
}

/** The firewall, and what cuts connections, told of objects. */
function openPolicies(node: Namespace): Pick<World, 'firewall' | 'become'> {
  const [flows, routes] = node.inside(() => [openChannel(NETLINK_NETFILTER), openRouteChannel()]);
  const cutter: FlowCutter = createFlowCutter({
    channel: flows,
    nodeAddresses: () => readNodeAddresses(routes),
    clock: systemClock,
    onEvent: event => assert.notEqual(event.kind, 'error'),
  });
  const firewall = node.inside(() =>
    openNftablesFirewall(event => {
      if (event.kind === 'committed') cutter.committed();
    }),
  );
  firewall.configure(FIREWALL_SETTINGS);
  cutter.configure({ ipv4: true, ipv6: true, bit: FIREWALL_SETTINGS.cutBit });
  const model = createPolicyModel('n1');
  let known: readonly unknown[] = [];
  const become = async (objects: readonly unknown[]): Promise<void> => {
    const delta = model.apply(batchBetween(known, objects));
    known = objects;
    cutter.note(delta, model);
    firewall.apply(delta);
    firewall.begin();
    await firewall.idle();
    await cutter.idle();
  };
  return { firewall, become };
}

export const policyIpvs = vmSuite('policyIpvs', 900, ({ check, prepare, cleanup }) => {
  prepare('the rig with IPVS and the firewall', async () => {
    opened = await build();
  });
  for (const family of [4, 6] as const)
    check(`a policy that comes cuts and denies what IPVS sends, IPv${family}`, async () => {
      const { rig, firewall, become } = world();
      const { client, c, node } = rig.actors;
      const question: Question = { protocol: 'tcp', address: SERVICES[family], port: 80, patience: PATIENCE };
      await become(PODS);
      const keep = `kept-${family}`;
      assert.match(await client.ask({ ...question, keep }), /^a /);
      assert.match(await c.ask({ ...question, keep }), /^a /);
      await become([...PODS, ONLY_C]);
      assert.equal(await client.askKept(keep, NEVER), 'silence');
      assert.match(await c.askKept(keep, PATIENCE), /^a /);
      assert.equal(await client.ask({ ...question, patience: NEVER }), 'silence');
      assert.match(await c.ask(question), /^a /);
      assert.match(await node.ask(question), /^a /);
      const denials = await firewall.denials();
      assert.ok(
        denials.some(({ pod, direction, packets }) => pod === 'x/a' && direction === 'ingress' && packets > 0n),
        'the denial was not counted',
      );
      await become(PODS);
      assert.match(await client.askKept(keep, PATIENCE), /^a /);
    });
  cleanup('take the rig down', async () => {
    await opened?.firewall.stop();
    await opened?.close();
  });
});
