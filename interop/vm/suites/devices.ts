/** Tunnel devices of the kinds that many kernels lack, written and read back; and what the kernel makes of them. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { Delta } from '../../../src/core/deltaTable.js';
import { parseAddress, type IpAddress } from '../../../src/core/ip.js';
import { objectKey } from '../../../src/fib/overlay/nodePlan.js';
import { ip6TunnelName, IPIP_NAME, overlayAlias } from '../../../src/fib/overlay/overlayNames.js';
import { createOverlayTarget, type OverlayTarget } from '../../../src/fib/overlay/overlayTarget.js';
import type { ObjectKey, OverlayObject } from '../../../src/fib/overlay/overlayTypes.js';
import { openFouPorts } from '../../../src/kernel/fou.js';
import { openRouteChannel } from '../../../src/kernel/netlink/channel.js';
import type { GuePort, Tunnel } from '../../../src/kernel/tunnels.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { vmSuite } from '../suite.js';

const NAME = 'pgvmdev';
const PORT = 5555;
const REMOTE = address('2001:db8:2::20');

let ns: Namespace | undefined;
let target: OverlayTarget | undefined;

function namespace(): Namespace {
  if (ns === undefined) throw new Error('there is no namespace');
  return ns;
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function device(version: 4 | 6, gue: GuePort, mtu: number): OverlayObject {
  const tunnel: Tunnel =
    version === 4
      ? { kind: 'ipip', local: address('10.1.0.10'), gue }
      : { kind: 'ip6tnl', local: address('2001:db8:1::10'), remote: REMOTE, gue };
  const name = version === 4 ? IPIP_NAME : ip6TunnelName(REMOTE);
  return { kind: 'device', device: { name, alias: overlayAlias('all nodes'), mtu, up: true, tunnel } };
}

function gue(version: 4 | 6): OverlayObject {
  return { kind: 'fou', version, port: PORT };
}

function keyed(objects: readonly OverlayObject[]): ReadonlyMap<ObjectKey, OverlayObject> {
  return new Map(objects.map(object => [objectKey(object), object]));
}

async function commit(delta: Partial<Delta<ObjectKey, OverlayObject>>): Promise<void> {
  const failures = await target?.commit({ set: new Map(), removed: new Map(), ...delta });
  assert.deepEqual(failures, new Map());
}

/** Writes them over whatever is there under their names. */
async function write(objects: readonly OverlayObject[]): Promise<void> {
  const before = (await target?.read()) ?? new Map<ObjectKey, OverlayObject>();
  const set = [...keyed(objects)].map(([key, value]) => [key, { value, before: before.get(key) }] as const);
  await commit({ set: new Map(set) });
}

async function areThere(...objects: readonly OverlayObject[]): Promise<void> {
  assert.deepEqual(await target?.read(), keyed(objects));
}

/** What IPv6 takes for the MTU of the device, which may differ from what the device has. */
function mtuOfIpv6(): number {
  const name = ip6TunnelName(REMOTE);
  const file = `/proc/sys/net/ipv6/conf/${name}/mtu`;
  return Number(execFileSync('ip', ['netns', 'exec', NAME, 'cat', file], { encoding: 'utf8' }));
}

export const devices = vmSuite('devices', 400, ({ prepare, check, cleanup }) => {
  prepare('a namespace with a dummy link', () => {
    ns = makeNamespace(NAME);
    for (const command of [
      'link add eth0 mtu 1500 type dummy',
      'link set eth0 up',
      'addr add 10.1.0.10/24 dev eth0',
      '-6 addr add 2001:db8:1::10/64 dev eth0 nodad',
      'route add default via 10.1.0.1',
      '-6 route add default via 2001:db8:1::1',
    ])
      ns.ip(command);
    const channel = ns.inside(openRouteChannel);
    const fou = ns.inside(() => openFouPorts());
    target = createOverlayTarget({ channel, fou, protocol: 186 });
  });

  const plain = [device(4, null, 1480), device(6, null, 1460)];
  const inGue = [device(4, PORT, 1468), device(6, PORT, 1448)];
  const ports = [gue(4), gue(6)];

  check('IPIP and ip6tnl are made, and read back as made', async () => {
    await write(plain);
    await areThere(...plain);
  });
  check('the kernel gives them no addresses', () => {
    assert.equal(namespace().ip(`-6 addr show dev ${IPIP_NAME}`), '');
    assert.equal(namespace().ip(`-6 addr show dev ${ip6TunnelName(REMOTE)}`), '');
  });
  check('they are put in GUE, the modules of which are loaded', async () => {
    await write([...ports, ...inGue]);
    await areThere(...ports, ...inGue);
    const text = namespace().ip(`-d link show ${ip6TunnelName(REMOTE)}`);
    assert.match(text, new RegExp(`encap gue .*encap-dport ${PORT} .*encap-csum6`));
  });
  check('and IPv6 knows the smaller MTU', () => assert.equal(mtuOfIpv6(), 1448));
  check('they are taken out of GUE again', async () => {
    await write(plain);
    await commit({ removed: keyed(ports) });
    await areThere(...plain);
  });
  check('and IPv6 knows the larger MTU', () => assert.equal(mtuOfIpv6(), 1460));
  check('an MTU of their own is kept through a change', async () => {
    await write([...ports, device(4, PORT, 1400), device(6, PORT, 1280)]);
    await areThere(...ports, device(4, PORT, 1400), device(6, PORT, 1280));
    assert.equal(mtuOfIpv6(), 1280);
  });
  check('they go, and the ports with them', async () => {
    await commit({ removed: (await target?.read()) ?? new Map() });
    await areThere();
    assert.doesNotMatch(namespace().ip('-d link show'), /pgi[46]/);
  });
  cleanup('end of the namespace', () => ns?.remove());
});
