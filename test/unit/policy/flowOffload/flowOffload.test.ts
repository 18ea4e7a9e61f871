/** When the short way is written, made anew and taken away, against a kernel that refuses on demand. */

import { beforeEach, expect, test } from '@jest/globals';
import { MessageCursor } from '../../../../src/kernel/netlink/reader.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';
import { decodeFlowtable } from '../../../../src/kernel/nftables/flowtables.js';
import * as nft from '../../../../src/kernel/nftables/numbers.js';
import type { HostLink } from '../../../../src/kernel/podLinks.js';
import {
  createFlowOffload,
  type FlowOffload,
  type FlowOffloadEvent,
} from '../../../../src/policy/flowOffload/flowOffload.js';
import { offloadLinks } from '../../../../src/policy/flowOffload/offloadLinks.js';
import { offloadShape } from '../../../../src/policy/flowOffload/offloadTable.js';
import { VirtualClock } from '../../core/virtualClock.js';

const SETTINGS = { ipv4: true, ipv6: true, cutBit: 27 };

let nextIndex = 1;
function link(name: string, kind: string, master: number | null = null): HostLink {
  return { index: nextIndex++, name, mtu: 1500, up: true, kind, master, peer: null };
}

let clock: VirtualClock;
let links: HostLink[];
let events: FlowOffloadEvent[];
let transactions: number;
/** Devices of the flowtable, if there is one. */
let devices: string[] | undefined;
/** As before Linux 5.8: what is to be added to a flowtable that there is, is acknowledged only. */
let isOld: boolean;
let removals: number;
let refusal: string | undefined;
let onRefusal: () => void;
let offload: FlowOffload;

beforeEach(() => {
  nextIndex = 1;
  clock = new VirtualClock();
  links = [link('lo', ''), link('eth0', ''), link('veth1', 'veth')];
  [events, transactions, removals, refusal] = [[], 0, 0, undefined];
  [devices, isOld] = [undefined, false];
  onRefusal = () => undefined;
  offload = createFlowOffload({
    transactions: {
      run: compose => {
        const writer = new NetlinkWriter(256);
        compose(writer);
        transactions += 1;
        const refused = refusal;
        if (refused !== undefined) onRefusal();
        else take(writer);
        return refused === undefined ? Promise.resolve() : Promise.reject(new Error(refused));
      },
    },
    links: () => Promise.resolve([...links]),
    flowtables: () =>
      Promise.resolve(devices === undefined ? [] : [{ name: 'established', priority: 0, devices: [...devices] }]),
    remove: () => {
      removals += 1;
      devices = undefined;
      return Promise.resolve(true);
    },
    clock,
    onEvent: event => events.push(event),
  });
});

/** What the kernel makes of it. */
function take(writer: NetlinkWriter): void {
  const octets = writer.finished();
  const message = new MessageCursor(octets).over(octets.length);
  while (message.next()) {
    if (message.type === nft.NFT_MSG_DELTABLE) devices = undefined;
    if (message.type === nft.NFT_MSG_DELFLOWTABLE) {
      const gone = decodeFlowtable(message).devices;
      devices = devices?.filter(name => !gone.includes(name));
    }
    if (message.type === nft.NFT_MSG_NEWFLOWTABLE && !(isOld && devices !== undefined))
      devices = [...(devices ?? []), ...decodeFlowtable(message).devices];
  }
}

async function advance(milliseconds: number): Promise<void> {
  clock.advance(milliseconds);
  await offload.idle();
}

test('at the start it is written whatever there is, and again only when something is another', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  expect(events).toEqual([{ kind: 'written', links: 2 }]);
  offload.configure({ ...SETTINGS });
  offload.linksChanged();
  await advance(1000);
  expect(transactions).toBe(1);
  links.push(link('veth2', 'veth'));
  offload.linksChanged();
  offload.linksChanged();
  await advance(1000);
  expect(events.slice(1)).toEqual([{ kind: 'adapted', links: 3 }]);
  offload.configure({ ...SETTINGS, cutBit: 5 });
  await offload.idle();
  expect(events.slice(2)).toEqual([{ kind: 'written', links: 3 }]);
  expect(transactions).toBe(3);
});

test('made anew though nothing is another, also while the kernel is at work', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  offload.renew();
  offload.renew();
  await offload.idle();
  expect(transactions).toBe(2);
  offload.renew();
  // The transaction is under way by now: its flows may have been put in before what was cut.
  await Promise.resolve();
  await Promise.resolve();
  offload.renew();
  await offload.idle();
  expect(transactions).toBe(4);
});

test('what others change is written again, a flood of changes once', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  for (let i = 0; i < 10; i++) offload.tableChanged();
  await advance(1000);
  expect(transactions).toBe(2);
});

test('a refusal is tried again at once, then told and tried again, with longer pauses', async () => {
  refusal = 'message 9: ENOENT';
  offload.configure(SETTINGS);
  await offload.idle();
  expect(transactions).toBe(2);
  expect(events).toEqual([{ kind: 'error', text: refusal }]);
  await advance(1000);
  await advance(1000);
  expect(transactions).toBe(3);
  await advance(1000);
  expect(transactions).toBe(4);
  refusal = undefined;
  await advance(60_000);
  expect(events.at(-1)).toEqual({ kind: 'written', links: 2 });
  offload.linksChanged();
  await advance(60_000);
  expect(transactions).toBe(5);
});

test('a link that goes while it is written costs nothing', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  links.push(link('veth2', 'veth'));
  refusal = 'message 9: ENOENT';
  const isGone = (): void => {
    links.pop();
    refusal = undefined;
  };
  onRefusal = isGone;
  offload.renew();
  await offload.idle();
  expect(events.map(({ kind }) => kind)).toEqual(['written', 'written']);
});

test('a change that was missed because of a refusal is not forgotten', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  refusal = 'busy';
  offload.renew();
  await offload.idle();
  refusal = undefined;
  await advance(60_000);
  expect(events.map(({ kind }) => kind)).toEqual(['written', 'error', 'written']);
});

test('what a former life left is taken away when nobody wants it, and nothing is written', async () => {
  offload.configure(undefined);
  await offload.idle();
  offload.renew();
  offload.linksChanged();
  await advance(60_000);
  expect([removals, transactions]).toEqual([1, 0]);
  offload.configure(SETTINGS);
  await offload.idle();
  offload.configure(undefined);
  await offload.idle();
  expect(events.map(({ kind }) => kind)).toEqual(['removed', 'written', 'removed']);
});

test('nothing is written after the end', async () => {
  offload.configure(SETTINGS);
  await offload.stop();
  const before = transactions;
  offload.renew();
  offload.linksChanged();
  await advance(60_000);
  expect(transactions).toBe(before);
});

test('tunnels, ports of bridges and loopback are no links of it; bridges are on their own', () => {
  const bridge = link('kube-bridge', 'bridge');
  const all = [
    ...links,
    bridge,
    link('veth9', 'veth', bridge.index),
    link('tun-1', 'ipip'),
    link('vx', 'vxlan'),
    link('wg0', 'wireguard'),
    link('bond0', 'bond'),
  ];
  const found = offloadLinks(all);
  expect(found.routed.map(({ name }) => name)).toEqual(['eth0', 'bond0', 'veth1']);
  expect(found.bridges.map(({ name }) => name)).toEqual(['kube-bridge']);
});

test('of more links than a flowtable takes, pods go without', () => {
  const many = [
    ...Array.from({ length: 300 }, (_, i) => link(`veth${i}`, 'veth')),
    link('eth1', ''),
    link('br', 'bridge'),
  ];
  const found = offloadLinks(many);
  expect(found.routed).toHaveLength(254);
  expect(found.routed[0]?.name).toBe('eth1');
  expect(found.bridges).toHaveLength(1);
});

test('without links or families there is nothing to write', () => {
  expect(offloadShape(SETTINGS, { routed: [], bridges: [{ name: 'br', index: 3 }] })).toBeUndefined();
  const some = offloadLinks(links);
  expect(offloadShape({ ...SETTINGS, ipv4: false, ipv6: false }, some)).toBeUndefined();
  const rules = (settings: typeof SETTINGS | { ipv4: boolean; ipv6: boolean; cutBit: undefined }): number =>
    offloadShape(settings, some)?.chain.rules.length ?? 0;
  expect(rules({ ...SETTINGS, ipv6: false })).toBe(rules(SETTINGS) + 1);
  expect(rules({ ...SETTINGS, cutBit: undefined })).toBe(rules(SETTINGS) - 1);
});

test('links that come and go leave the others where they are', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  links.push(link('veth2', 'veth'));
  offload.linksChanged();
  await advance(1000);
  // The kernel forgets it with the link.
  devices = devices?.filter(name => name !== 'veth1');
  links = links.filter(({ name }) => name !== 'veth1');
  offload.linksChanged();
  await advance(1000);
  expect(events.slice(1)).toEqual([
    { kind: 'adapted', links: 3 },
    { kind: 'adapted', links: 2 },
  ]);
  expect(devices).toEqual(['eth0', 'veth2']);
});

test('a kernel that cannot change devices gets the whole', async () => {
  isOld = true;
  offload.configure(SETTINGS);
  await offload.idle();
  links.push(link('veth2', 'veth'));
  offload.linksChanged();
  await advance(1000);
  expect(events.slice(1)).toEqual([{ kind: 'written', links: 3 }]);
  expect(devices).toEqual(['eth0', 'veth1', 'veth2']);
});

test.each(['it is refused', 'the flowtable is gone'])('when %s, the whole is written', async fault => {
  offload.configure(SETTINGS);
  await offload.idle();
  links.push(link('veth2', 'veth'));
  if (fault === 'it is refused') {
    refusal = 'message 1: EBUSY';
    onRefusal = () => (refusal = undefined);
  } else devices = undefined;
  offload.linksChanged();
  await advance(1000);
  expect(events.slice(1)).toEqual([{ kind: 'written', links: 3 }]);
  expect(devices).toEqual(['eth0', 'veth1', 'veth2']);
});

test('made anew when that is asked for while links are changed', async () => {
  offload.configure(SETTINGS);
  await offload.idle();
  links.push(link('veth2', 'veth'));
  offload.linksChanged();
  clock.advance(1000);
  await Promise.resolve();
  offload.renew();
  await offload.idle();
  expect(events.at(-1)).toEqual({ kind: 'written', links: 3 });
});
