/** Queueing disciplines, filters and IFB devices as this kernel takes and tells them; tc(8) reads them too. Needs root. */

import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { writeIfbUp, writeNewIfb } from '../../src/kernel/ifb.js';
import { dumpAll, openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { NetlinkWriter } from '../../src/kernel/netlink/writer.js';
import { readHostLinks } from '../../src/kernel/podLinkReading.js';
import * as tc from '../../src/kernel/tc.js';
import {
  decodeIngressFilter,
  writeFilterDelete,
  writeIngressFilterDump,
  writeRedirect,
  type IngressFilter,
} from '../../src/kernel/tcFilter.js';
import { makeNamespace, type Namespace } from './namespace.js';

const HANDLE = 0x7065_0000;
const MEGABIT = 125_000;
let ns: Namespace;
let channel: NetlinkChannel;
let veth: number;

beforeEach(async () => {
  ns = makeNamespace('pkbwtc');
  channel = ns.inside(openRouteChannel);
  ns.ip('link add veth0 type veth peer name veth1');
  ns.ip('link set veth0 up');
  veth = await indexOf('veth0');
});
afterEach(() => {
  channel.close();
  ns.remove();
});

async function indexOf(name: string): Promise<number> {
  return (await readHostLinks(channel)).find(link => link.name === name)!.index;
}

async function send(write: (writer: NetlinkWriter) => void): Promise<readonly number[]> {
  const writer = new NetlinkWriter();
  write(writer);
  return [...(await channel.transact(writer)).errnos];
}

async function rootOf(ifindex: number): Promise<tc.Qdisc | undefined> {
  const request = new NetlinkWriter();
  tc.writeQdiscDump(request);
  const all = await dumpAll(channel, request, tc.decodeQdisc);
  return all.find(qdisc => qdisc.ifindex === ifindex && qdisc.parent === tc.TC_H_ROOT);
}

function filters(ifindex: number): Promise<readonly IngressFilter[]> {
  const request = new NetlinkWriter();
  writeIngressFilterDump(request, ifindex);
  return dumpAll(channel, request, decodeIngressFilter);
}

function show(args: string): string {
  return execFileSync('tc', ['-n', ns.name, ...args.split(' ')], { encoding: 'utf8' });
}

describe('a token bucket', () => {
  test('is made, changed in place, read back as asked for, and taken out by its handle', async () => {
    const bucket = { rate: 20 * MEGABIT, burst: 50_000, queue: 200_000 };
    expect(await send(writer => tc.writeTokenBucket(writer, 'create', veth, HANDLE, bucket))).toEqual([0]);
    expect(show('qdisc show dev veth0')).toMatch(/tbf 7065: root refcnt \d+ rate 20Mbit burst /);
    const found = await rootOf(veth);
    expect(found).toMatchObject({ handle: HANDLE, kind: 'tbf', counters: { packets: 0, dropped: 0, waiting: 0 } });
    expect(tc.sameBucket(found!.bucket!, bucket)).toBe(true);
    const faster = { rate: 30 * MEGABIT, burst: 90_000, queue: 300_000 };
    expect(await send(writer => tc.writeTokenBucket(writer, 'change', veth, HANDLE, faster))).toEqual([0]);
    const changed = (await rootOf(veth))!.bucket!;
    expect(tc.sameBucket(changed, faster)).toBe(true);
    expect(tc.sameBucket(changed, bucket)).toBe(false);
    expect(await send(writer => tc.writeRootDelete(writer, veth, HANDLE + 0x1_0000))).toEqual([22]);
    expect(await send(writer => tc.writeRootDelete(writer, veth, HANDLE))).toEqual([0]);
    expect((await rootOf(veth))?.kind ?? 'none').not.toBe('tbf');
  });

  test.each([
    ['1 kbit/s', { rate: 125, burst: 6000, queue: 71_536 }],
    ['40 Gbit/s, more than 32 bits of octets', { rate: 5e9, burst: 50_000_000, queue: 60_000_000 }],
    ['1 Pbit/s', { rate: 1.25e14, burst: 67_108_864, queue: 134_217_728 }],
  ])('of %s comes back as it went in', async (_name, bucket) => {
    expect(await send(writer => tc.writeTokenBucket(writer, 'create', veth, HANDLE, bucket))).toEqual([0]);
    const found = (await rootOf(veth))!.bucket!;
    expect(found.rate).toBe(bucket.rate);
    expect([found, tc.sameBucket(found, bucket)]).toEqual([found, true]);
  });

  test('is not put in the place of what somebody else put there', async () => {
    show('qdisc add dev veth0 root handle 1: tbf rate 1mbit burst 10k latency 25ms');
    const bucket = { rate: MEGABIT, burst: 50_000, queue: 200_000 };
    expect(await send(writer => tc.writeTokenBucket(writer, 'create', veth, HANDLE, bucket))).toEqual([17]);
    expect(await rootOf(veth)).toMatchObject({ handle: 0x1_0000, kind: 'tbf', bucket: { rate: MEGABIT } });
  });
});

describe('a redirection', () => {
  test('to an IFB device is made, read back and taken out', async () => {
    const made = await send(writer => {
      writeNewIfb(writer, 'pgb7');
      writeIfbUp(writer, 'pgb7', 'test');
      tc.writeNewIngress(writer, veth);
    });
    expect(made).toEqual([0, 0, 0]);
    expect(ns.ip('-d link show pgb7')).toMatch(/UP[\s\S]*ifb[\s\S]*alias test/);
    const ifb = await indexOf('pgb7');
    expect(await filters(veth)).toEqual([]);
    expect(await send(writer => writeRedirect(writer, 'u32', veth, 28_773, ifb))).toEqual([0]);
    const found = await filters(veth);
    expect(found.filter(({ redirectsTo }) => redirectsTo !== undefined)).toEqual([
      { ifindex: veth, priority: 28_773, kind: 'u32', redirectsTo: ifb },
    ]);
    expect(new Set(found.map(({ priority }) => priority))).toEqual(new Set([28_773]));
    expect(show('filter show dev veth0 ingress')).toMatch(/mirred \(Egress Redirect to device pgb7\) stolen/);
    expect(await send(writer => writeRedirect(writer, 'u32', veth, 28_773, ifb))).toEqual([28]);
    const removed = await send(writer => {
      writeFilterDelete(writer, veth, 28_773);
      tc.writeIngressDelete(writer, veth);
    });
    expect(removed).toEqual([0, 0]);
    expect(show('qdisc show dev veth0')).not.toMatch(/ingress/);
  });

  test('of somebody else is told from ours by its priority; another action is none', async () => {
    show('qdisc add dev veth0 clsact');
    show('filter add dev veth0 ingress protocol ip pref 5 u32 match u32 0 0 action mirred egress redirect dev veth1');
    show('filter add dev veth0 ingress protocol all pref 6 u32 match u32 0 0 action mirred egress mirror dev veth1');
    const other = await indexOf('veth1');
    const found = (await filters(veth)).map(({ priority, redirectsTo }) => `${priority} ${redirectsTo ?? '-'}`);
    expect(found).toContain(`5 ${other}`);
    expect(found.filter(text => text.startsWith('6'))).toEqual(['6 -', '6 -', '6 -']);
    expect(await send(writer => tc.writeNewIngress(writer, veth))).toEqual([17]);
  });
});
