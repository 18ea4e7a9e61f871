/** The links of pods as the kernel tells of them: ports of a bridge, routed links, silent pods. Needs root. */

import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import { openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { readPodLinks } from '../../src/kernel/podLinkReading.js';
import { makeNamespace, type Namespace } from './namespace.js';

let node: Namespace;
let pods: readonly Namespace[];
let channel: NetlinkChannel;

beforeAll(() => {
  node = makeNamespace('pkbwpln');
  pods = ['a', 'b', 'c'].map(name => makeNamespace(`pkbwpl${name}`));
  channel = node.inside(openRouteChannel);
  node.ip('link add kube-bridge type bridge');
  node.ip('link set kube-bridge up');
  pods.forEach((pod, i) => {
    node.ip(`link add veth${i} type veth peer name eth0 netns ${pod.name}`);
    node.ip(`link set veth${i} up`);
    pod.ip('link set eth0 up');
  });
});
afterAll(() => {
  channel.close();
  for (const ns of [node, ...pods]) ns.remove();
});

async function names(...addresses: readonly string[]): Promise<Record<string, string>> {
  const links = await readPodLinks(channel, addresses);
  return Object.fromEntries([...links].map(([address, { name, by }]) => [address, `${name} ${by}`]));
}

test('a port of the bridge, a routed link, and addresses of both families, none of which has ever spoken', async () => {
  node.ip('link set veth0 master kube-bridge');
  pods[0]!.ip('addr add 10.244.1.5/24 dev eth0');
  pods[0]!.ip('addr add fd00:10:244:1::5/64 dev eth0 nodad');
  pods[1]!.ip('addr add 10.244.1.6/32 dev eth0');
  expect(await names('10.244.1.5', 'fd00:10:244:1::5', '10.244.1.6', '10.244.1.99')).toEqual({
    '10.244.1.5': 'veth0 namespace',
    'fd00:10:244:1::5': 'veth0 namespace',
    '10.244.1.6': 'veth1 namespace',
  });
  expect((await readPodLinks(channel, ['10.244.1.5'])).get('10.244.1.5')).toMatchObject({ mtu: 1500, by: 'namespace' });
});

test('an address that is in no namespace behind a link is found by its route, or by what the bridge has seen', async () => {
  node.ip('route add 10.244.1.7/32 dev veth2');
  node.ip('-6 route add fd00:10:244:1::7/128 dev veth2');
  node.ip('route add 10.244.2.0/24 dev veth2');
  node.ip('addr add 10.244.1.1/24 dev kube-bridge');
  node.ip('neigh add 10.244.1.8 lladdr 02:00:00:00:00:08 dev kube-bridge nud permanent');
  node.ip('link set veth2 up');
  expect(await names('10.244.1.7', 'fd00:10:244:1::7', '10.244.2.9', '10.244.1.8')).toEqual({
    '10.244.1.7': 'veth2 route',
    'fd00:10:244:1::7': 'veth2 route',
  });
  const mac = /link\/ether (\S+)/.exec(pods[0]!.ip('link show eth0'))![1]!;
  node.ip(`neigh replace 10.244.1.8 lladdr ${mac} dev kube-bridge nud permanent`);
  pods[0]!.ip('addr flush dev eth0');
  pods[0]!.ip('addr add 10.244.1.50/24 dev eth0');
  // One frame, and the bridge knows the port.
  pods[0]!.ip('neigh add 10.244.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent');
  const seen = await waitFor('a frame that the bridge sees', 60_000, async () => {
    execFileSync('ip', ['netns', 'exec', pods[0]!.name, 'bash', '-c', 'echo x > /dev/udp/10.244.1.1/9']);
    return (await names('10.244.1.8'))['10.244.1.8'];
  });
  expect(seen).toBe('veth0 neighbour');
});
