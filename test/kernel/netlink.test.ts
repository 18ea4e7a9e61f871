/** The netlink channel and monitor against the real kernel, in a namespace of their own. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeInterfaceAddress, writeAddressDump } from '../../src/kernel/addresses.js';
import { decodeLink, writeLinkDump } from '../../src/kernel/links.js';
import { openMonitor, type KernelEvent } from '../../src/kernel/monitor.js';
import { decodeNeighbour, writeNeighbourDump } from '../../src/kernel/neighbours.js';
import {
  describeErrno,
  dumpAll,
  LOST,
  openRouteChannel,
  type NetlinkChannel,
} from '../../src/kernel/netlink/channel.js';
import { NetlinkWriter } from '../../src/kernel/netlink/writer.js';
import { RouteScan } from '../../src/kernel/routeScan.js';
import { writeRoute, writeRouteDump, type Route } from '../../src/kernel/routes.js';
import { AF_INET } from '../../src/kernel/rtnetlink.js';
import { decodeRule, writeRule, writeRuleDump, type Rule } from '../../src/kernel/rules.js';
import { ipv4 } from '../../src/core/ip.js';
import { address, prefix } from '../unit/fib/routeText.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { until } from './tcpNamespaces.js';

let ns: Namespace;
let channel: NetlinkChannel;
let ifindex: number;
beforeEach(async () => {
  ns = makeNamespace('pknl');
  ns.ip('link add v0 type veth peer name v1');
  ns.ip('link set v1 up');
  ns.ip('link set v0 up');
  ns.ip('addr add 192.168.0.1/24 dev v0');
  channel = ns.inside(openRouteChannel);
  const links = await dumpAll(channel, request(writeLinkDump), decodeLink);
  ifindex = links.find(({ name }) => name === 'v0')!.index;
});
afterEach(() => {
  channel.close();
  ns.remove();
});

function request(write: (writer: NetlinkWriter) => void): NetlinkWriter {
  const writer = new NetlinkWriter();
  write(writer);
  return writer;
}
const via = (destination: string, gateway: string): Route => ({
  destination: prefix(destination),
  table: 254,
  protocol: 186,
  type: 'unicast',
  metric: 20,
  scope: 0,
  hops: [{ gateway: address(gateway), ifindex, onlink: false, weight: 1 }],
});

describe('batches', () => {
  test('every error belongs to its message and has the words of the kernel; the others are done', async () => {
    const batch = request(writer => {
      writeRoute(writer, 'create', via('10.0.0.0/8', '192.168.0.2'));
      writeRoute(writer, 'create', via('11.0.0.0/8', '172.16.0.1'));
      writeRoute(writer, 'create', via('10.0.0.0/8', '192.168.0.3'));
      writeRoute(writer, 'replace', via('12.0.0.0/8', '192.168.0.3'));
      writeRoute(writer, 'delete', via('13.0.0.0/8', '192.168.0.3'));
      writeRoute(writer, 'create', via('14.0.0.0/8', '192.168.0.2'));
    });
    const { errnos, texts, failures } = await channel.transact(batch);
    expect([...errnos].map(errno => describeErrno(errno, undefined))).toEqual([
      'errno 0',
      'ENETUNREACH',
      'EEXIST',
      'ENOENT',
      'ESRCH',
      'errno 0',
    ]);
    expect(failures).toBe(4);
    expect(texts.get(1)).toBe('Nexthop has invalid gateway');
    expect(ns.ip('route show proto bgp').trim().split('\n')).toHaveLength(2);
  });

  test('two batches at once do not mix their answers', async () => {
    const [good, bad] = ['192.168.0.2', '172.16.0.1'].map(gateway =>
      request(writer => {
        for (let i = 0; i < 1000; i++) writeRoute(writer, 'create', via(`10.${i >> 8}.${i & 255}.0/24`, gateway));
      }),
    );
    const [first, second] = await Promise.all([channel.transact(good!), channel.transact(bad!)]);
    expect([first.failures, second.failures]).toEqual([0, 1000]);
  });

  test('answers that did not fit into the socket are known to be lost, and none counts as done', async () => {
    const batch = request(writer => {
      for (let i = 0; i < 40_000; i++) writeRoute(writer, 'delete', via(`10.${i >> 8}.${i & 255}.0/24`, '192.168.0.2'));
    });
    const { errnos, failures } = await channel.transact(batch);
    expect(failures).toBe(40_000);
    expect(errnos).toContain(LOST);
    expect(errnos).not.toContain(0);
    // The channel is fit for use afterwards.
    const after = await channel.transact(
      request(writer => writeRoute(writer, 'create', via('10.0.0.0/8', '192.168.0.2'))),
    );
    expect([...after.errnos]).toEqual([0]);
  });
});

describe('dumps', () => {
  test('a large table comes whole, in many pieces', async () => {
    const count = 30_000;
    for (let from = 0; from < count; from += 1000) {
      const batch = request(writer => {
        for (let i = from; i < from + 1000; i++)
          writeRoute(writer, 'create', via(`10.${i >> 8}.${i & 255}.0/24`, '192.168.0.2'));
      });
      expect((await channel.transact(batch)).failures).toBe(0);
    }
    const scan = new RouteScan();
    const found = new Set<number>();
    const outcome = await channel.dump(
      request(writer => writeRouteDump(writer, AF_INET, 254)),
      message => {
        if (scan.read(message) && scan.protocol === 186) found.add(scan.destination[0]!);
      },
    );
    expect(outcome).toBe('complete');
    expect(found.size).toBe(count);
  });

  test('a request the kernel refuses is an error with its name', async () => {
    const dump = channel.dump(
      request(writer => writeRouteDump(writer, AF_INET, 4242)),
      () => undefined,
    );
    await expect(dump).rejects.toThrow('dump request: ENOENT');
  });

  test('links, addresses, neighbours, rules', async () => {
    ns.ip('neigh add 192.168.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent');
    const rule: Rule = {
      version: 4,
      priority: 500,
      table: 1000,
      protocol: 186,
      source: prefix('10.0.0.0/8'),
      mark: { value: 16, mask: 255 },
      inputDevice: 'v0',
    };
    const written = await channel.transact(request(writer => writeRule(writer, 'create', rule)));
    expect([...written.errnos]).toEqual([0]);
    expect(ns.ip('rule show priority 500')).toContain('from 10.0.0.0/8 fwmark 0x10/0xff iif v0 lookup 1000 proto bgp');
    const rules = await dumpAll(
      channel,
      request(writer => writeRuleDump(writer, 4)),
      decodeRule,
    );
    expect(rules).toContainEqual(rule);
    expect([...(await channel.transact(request(writer => writeRule(writer, 'delete', rule)))).errnos]).toEqual([0]);
    const addresses = await dumpAll(channel, request(writeAddressDump), decodeInterfaceAddress);
    expect(addresses).toContainEqual(expect.objectContaining({ ifindex, address: ipv4(0xc0a80001), length: 24 }));
    const neighbours = await dumpAll(channel, request(writeNeighbourDump), decodeNeighbour);
    expect(neighbours).toContainEqual({
      ifindex,
      address: address('192.168.0.9'),
      lladdr: '02:00:00:00:00:09',
      state: 0x80,
    });
  });
});

describe('monitor', () => {
  const watch = (): { readonly events: KernelEvent[]; close(): void } => {
    const monitor = ns.inside(() =>
      openMonitor({ topics: ['link', 'address', 'route', 'neighbour', 'rule'], ignoreCausedBy: channel.portId }),
    );
    const events: KernelEvent[] = [];
    monitor.subscribe(batch => void events.push(...batch));
    return { events, close: () => monitor.close() };
  };

  test('tells of everything, but not of what our own channel does', async () => {
    const { events, close } = watch();
    try {
      await channel.transact(request(writer => writeRoute(writer, 'create', via('10.0.0.0/8', '192.168.0.2'))));
      ns.ip('route add 11.0.0.0/8 via 192.168.0.2 proto static');
      ns.ip('addr add 192.168.0.8/32 dev v0');
      ns.ip('neigh add 192.168.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent');
      ns.ip('rule add priority 77 lookup 1000');
      ns.ip('link set v0 mtu 1400');
      ns.ip('route del 11.0.0.0/8');
      await until('the last event', () =>
        events.some(({ kind, ...event }) => kind === 'route' && 'change' in event && event.change === 'gone'),
      );
      const seen = (kind: KernelEvent['kind']): readonly KernelEvent[] => events.filter(event => event.kind === kind);
      expect(seen('route').filter(event => event.kind === 'route' && event.route.protocol === 186)).toEqual([]);
      const { hops, ...theirs } = { ...via('11.0.0.0/8', '192.168.0.2'), protocol: 4, metric: 0 };
      expect(seen('route')).toContainEqual({ kind: 'route', change: 'set', route: { ...theirs, hops } });
      expect(seen('address')).toContainEqual(
        expect.objectContaining({ change: 'set', address: expect.objectContaining({ length: 32 }) }),
      );
      expect(seen('link')).toContainEqual(expect.objectContaining({ link: expect.objectContaining({ mtu: 1400 }) }));
      expect(seen('neighbour')).not.toEqual([]);
      expect(seen('rule')).toContainEqual(expect.objectContaining({ rule: expect.objectContaining({ priority: 77 }) }));
    } finally {
      close();
    }
  });

  test('more than fits while nobody reads is an overrun, and afterwards it goes on', async () => {
    const { events, close } = watch();
    const file = join(tmpdir(), `pknl-${process.pid}.batch`);
    try {
      const lines = Array.from({ length: 40_000 }, (_, i) => `route add 10.${i >> 8}.${i & 255}.0/24 via 192.168.0.2`);
      writeFileSync(file, lines.join('\n'));
      // The event loop stands still meanwhile.
      execFileSync('ip', ['-n', 'pknl', '-batch', file]);
      await until('an overrun', () => events.some(({ kind }) => kind === 'overrun'));
      // What comes while the rest of the burst is still in the buffer may be lost as well, and is another overrun then.
      let tries = 0;
      await until('an address', () => {
        ns.ip(`addr ${tries++ % 2 === 0 ? 'add' : 'del'} 192.168.0.8/32 dev v0`);
        return events.some(({ kind }) => kind === 'address');
      });
    } finally {
      rmSync(file, { force: true });
      close();
    }
  });
});
