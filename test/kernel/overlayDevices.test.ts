/** Tunnel devices, neighbours and forwarding entries against the real kernel: what ip(8) and bridge(8) see is what counts. Needs root. */

import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  decodeVxlanForwarding,
  writeForwardingDump,
  writeNeighbour,
  writeVxlanForwarding,
} from '../../src/kernel/neighbours.js';
import { dumpAll, openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { NetlinkWriter } from '../../src/kernel/netlink/writer.js';
import { writeLinkDump } from '../../src/kernel/links.js';
import {
  decodeTunnelDevice,
  writeLinkDelete,
  writeNewTunnel,
  writeTunnelLink,
  writeTunnelParameters,
  type FoundTunnelDevice,
  writeNoAutomaticAddresses,
  type WantedTunnelDevice,
} from '../../src/kernel/tunnels.js';
import { address } from '../unit/fib/routeText.js';
import { makeNamespace, type Namespace } from './namespace.js';

let ns: Namespace;
let channel: NetlinkChannel;
beforeEach(() => {
  ns = makeNamespace('pkoverlaydev');
  channel = ns.inside(openRouteChannel);
});
afterEach(() => {
  channel.close();
  ns.remove();
});

async function send(write: (writer: NetlinkWriter) => void): Promise<readonly (number | string)[]> {
  const writer = new NetlinkWriter();
  write(writer);
  const { errnos, texts } = await channel.transact(writer);
  return [...errnos].map((errno, i) => (errno === 0 ? 0 : `${errno} ${texts.get(i) ?? ''}`));
}

async function devices(): Promise<readonly FoundTunnelDevice[]> {
  const request = new NetlinkWriter();
  writeLinkDump(request);
  return (await dumpAll(channel, request, decodeTunnelDevice)).filter(({ tunnel }) => tunnel !== undefined);
}

function make(writer: NetlinkWriter, device: WantedTunnelDevice): void {
  writeNewTunnel(writer, device);
  writeNoAutomaticAddresses(writer, device.name);
  writeTunnelLink(writer, device);
}

const VXLAN4: WantedTunnelDevice = {
  name: 'pgx4-test',
  alias: 'peerage overlay: test',
  mtu: 1450,
  up: true,
  tunnel: { kind: 'vxlan', vni: 186, port: 4789, local: address('10.0.0.1'), lladdr: '02:50:0a:00:00:01' },
};
const VXLAN6: typeof VXLAN4 = {
  ...VXLAN4,
  name: 'pgx6-test',
  mtu: 1430,
  tunnel: { kind: 'vxlan', vni: 186, port: 4789, local: address('2001:db8::1'), lladdr: '06:50:0a:00:00:01' },
};

describe('VXLAN devices', () => {
  test('are made as asked for, read back as made, and deleted', async () => {
    expect(await send(writer => [VXLAN4, VXLAN6].forEach(device => make(writer, device)))).toEqual([0, 0, 0, 0, 0, 0]);
    const text = ns.ip('-d link show pgx4-test');
    expect(text).toMatch(/UP.*mtu 1450/);
    expect(text).toMatch(/link\/ether 02:50:0a:00:00:01/);
    expect(text).toMatch(
      /vxlan id 186 local 10\.0\.0\.1 srcport 0 0 dstport 4789 nolearning ttl auto (?!df).*addrgenmode none/,
    );
    expect(text).toMatch(/alias peerage overlay: test/);
    expect(ns.ip('-d link show pgx6-test')).toMatch(/vxlan id 186 local 2001:db8::1 .*dstport 4789 nolearning/);
    expect(ns.ip('-6 addr show dev pgx4-test')).toBe('');
    const found = await devices();
    expect(found).toEqual([VXLAN4, VXLAN6].map((device, i) => ({ ...device, ifindex: found[i]?.ifindex })));
    expect(await send(writer => ['pgx4-test', 'pgx6-test'].forEach(name => writeLinkDelete(writer, name)))).toEqual([
      0, 0,
    ]);
    expect(await devices()).toEqual([]);
  });

  test('change address and MTU in place', async () => {
    await send(writer => make(writer, VXLAN4));
    const [before] = await devices();
    const changed: typeof VXLAN4 = {
      ...VXLAN4,
      mtu: 1350,
      tunnel: { kind: 'vxlan', vni: 186, port: 4789, local: address('10.0.0.9'), lladdr: '02:50:0a:00:00:09' },
    };
    const change = (writer: NetlinkWriter): void => {
      writeTunnelParameters(writer, changed);
      writeTunnelLink(writer, changed);
    };
    expect(await send(change)).toEqual([0, 0]);
    expect(await devices()).toEqual([{ ifindex: before?.ifindex, ...changed }]);
  });

  test('a second device for the same packets is refused in words', async () => {
    await send(writer => make(writer, VXLAN4));
    const [answer] = await send(writer => writeNewTunnel(writer, { ...VXLAN4, name: 'other' }));
    expect(answer).toMatch(/^17 A VXLAN device with the specified VNI already exists/);
  });
});

describe('what stands on them', () => {
  const REMOTE = { lladdr: '02:50:0a:00:01:02', remote: address('10.0.1.2') };

  test('neighbours and forwarding entries are set, replaced, read back and taken out', async () => {
    await send(writer => make(writer, VXLAN4));
    const ifindex = (await devices())[0]!.ifindex;
    const neighbour = { ifindex, address: address('10.0.1.2'), lladdr: REMOTE.lladdr };
    const link = { ifindex, address: address('fe80::1'), lladdr: REMOTE.lladdr };
    const entry = { ifindex, ...REMOTE };
    const set = (writer: NetlinkWriter): void => {
      writeNeighbour(writer, 'set', neighbour);
      writeNeighbour(writer, 'set', link);
      writeVxlanForwarding(writer, 'set', entry);
    };
    expect(await send(set)).toEqual([0, 0, 0]);
    expect(await send(set)).toEqual([0, 0, 0]);
    expect(ns.ip('neigh show dev pgx4-test')).toMatch(/10\.0\.1\.2 lladdr 02:50:0a:00:01:02 PERMANENT/);
    expect(ns.ip('-6 neigh show dev pgx4-test')).toMatch(/fe80::1 lladdr 02:50:0a:00:01:02 PERMANENT/);
    const fdb = (): string =>
      execFileSync('bridge', ['-n', ns.name, 'fdb', 'show', 'dev', 'pgx4-test'], { encoding: 'utf8' });
    expect(fdb()).toBe('02:50:0a:00:01:02 dst 10.0.1.2 self permanent\n');
    expect(
      await send(writer => writeVxlanForwarding(writer, 'set', { ...entry, remote: address('10.0.1.3') })),
    ).toEqual([0]);
    const request = new NetlinkWriter();
    writeForwardingDump(request);
    expect(await dumpAll(channel, request, decodeVxlanForwarding)).toEqual([{ ...entry, remote: address('10.0.1.3') }]);
    expect(
      await send(writer => {
        writeVxlanForwarding(writer, 'delete', { ...entry, remote: address('10.0.1.3') });
        writeNeighbour(writer, 'delete', neighbour);
        writeNeighbour(writer, 'delete', link);
      }),
    ).toEqual([0, 0, 0]);
    expect(fdb()).toBe('');
    expect(ns.ip('neigh show dev pgx4-test')).toBe('');
  });
});
