/**
 * Network policies together with services by IPVS, in a guest that has it: what IPVS sends is judged at the endpoint, by the
 * address that the client has before masquerading, and a connection through IPVS that a change forbids is cut. Where established
 * connections are offloaded, those through IPVS are not.
 */

import assert from 'node:assert/strict';
import { PODS } from '../../../test/kernel/policyRig.js';
import type { Question } from '../../../test/kernel/proxyActor.js';
import { ADDRESSES, backendOn, PORT } from '../../../test/kernel/proxyRig.js';
import { ONLY_C, openPolicyNode, openShortWay, type PolicyNode, type ShortWay } from '../policyNode.js';
import { vmSuite } from '../suite.js';
import { openTracked, type Tracked } from '../tracked.js';
import { openIpvs } from './proxyRows.js';

const SERVICES = { 4: '10.96.0.10', 6: 'fd96::10' } as const;
/** Milliseconds: what is denied never comes; what is allowed takes seconds where nobody else is at work. */
const [NEVER, PATIENCE] = [3000, 120_000];

interface World extends PolicyNode {
  readonly tracked: Tracked;
  /** Once it has been opened. */
  way: ShortWay | undefined;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the rig does not stand');
  return opened;
}

async function build(): Promise<World> {
  const services = ([4, 6] as const).map(family => ({
    family,
    name: 'web',
    cluster: [backendOn(family, 'a')],
    frontends: [{ address: SERVICES[family] }],
  }));
  const node = await openPolicyNode({
    prefix: 'pvm',
    services,
    openBackend: openIpvs,
    onFlows: event => {
      assert.notEqual(event.kind, 'error');
      opened?.way?.onFlows(event);
    },
  });
  return { ...node, tracked: openTracked(node.rig), way: undefined };
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
  prepare('the short way', async () => {
    const way = openShortWay(world().rig.node);
    world().way = way;
    await way.offload.idle();
    assert.deepEqual(
      way.events.map(({ kind }) => kind),
      ['written'],
    );
  });
  for (const family of [4, 6] as const)
    check(`what IPVS sends is not put on the short way, and goes on beside what is, IPv${family}`, async () => {
      const { rig, tracked } = world();
      const { client } = rig.actors;
      const [service, pod, own] = [SERVICES[family], ADDRESSES[family].a, ADDRESSES[family].client];
      const question = { protocol: 'tcp', patience: PATIENCE } as const;
      assert.match(await client.ask({ ...question, address: service, port: 80, keep: `ipvs-${family}` }), /^a /);
      assert.match(await client.ask({ ...question, address: pod, port: PORT, keep: `pod-${family}` }), /^a /);
      await tracked.untilOffloaded('client', `pod-${family}`, own, pod);
      for (let i = 0; i < 5; i++) {
        assert.match(await client.askKept(`ipvs-${family}`, PATIENCE), /^a /);
        assert.ok(!tracked.isOffloaded('tcp', own, service));
      }
      // Of what takes the short way no rule sees anything; of what IPVS sends, the answers come by.
      const before = tracked.seen();
      assert.match(await client.askKept(`pod-${family}`, PATIENCE), /^a /);
      assert.equal(tracked.seen(), before);
      assert.match(await client.askKept(`ipvs-${family}`, PATIENCE), /^a /);
      assert.ok(tracked.seen() > before);
    });
  check('a policy that comes cuts both, and lets both go on when it goes', async () => {
    const { rig, tracked, become } = world();
    await become([...PODS, ONLY_C]);
    for (const name of ['ipvs-4', 'pod-4', 'ipvs-6', 'pod-6'])
      assert.equal(await rig.actors.client.askKept(name, NEVER), 'silence', name);
    assert.ok(!tracked.isOffloaded('tcp', ADDRESSES[4].client, ADDRESSES[4].a));
    await become(PODS);
    for (const name of ['ipvs-4', 'pod-4', 'ipvs-6', 'pod-6'])
      assert.match(await rig.actors.client.askKept(name, PATIENCE), /^a /, name);
  });
  cleanup('take the rig down', async () => {
    await opened?.way?.close();
    await opened?.close();
  });
});
