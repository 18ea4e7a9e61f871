import { expect, test } from '@jest/globals';
import { listFlows, writeMark, type TrackedFlow } from '../../../src/kernel/conntrackFlows.js';
import type { DumpOutcome, NetlinkChannel } from '../../../src/kernel/netlink/channel.js';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { hexOf, messageFrom } from './octets.js';

const A = '\x0a\x01\x00\x02';

/** As the kernel has written them: an IPv4 flow from 10.1.0.2:40000 to the service 10.96.0.1:80, served by 10.1.0.3:8080. */
const ORIGINAL =
  '14000180 08000100 0a010002 08000200 0a600001 1c000280 05000100 06000000 06000200 9c400000 06000300 00500000';
const REPLY =
  '14000180 08000100 0a010003 08000200 0a010002 1c000280 05000100 06000000 06000200 1f900000 06000300 9c400000';
const FLOW = `94000000 00010200 00000000 00000000 02000000 34000180 ${ORIGINAL} 34000280 ${REPLY} 08000300 0000000e 08000800 80000001 06001200 00070000`;

function channelOf(outcomes: readonly DumpOutcome[]): NetlinkChannel & { readonly requests: string[] } {
  const requests: string[] = [];
  return {
    requests,
    portId: 1,
    transact: () => Promise.reject(new Error('not asked for')),
    dump: (request, visit) => {
      requests.push(hexOf(request.finished()));
      visit(messageFrom(FLOW));
      return Promise.resolve(outcomes[requests.length - 1] ?? 'complete');
    },
    close: () => undefined,
  };
}

async function listed(
  channel: NetlinkChannel,
  ...[family, ends]: [4 | 6, ReadonlySet<string> | 'everything']
): Promise<readonly TrackedFlow[]> {
  const found: TrackedFlow[] = [];
  await listFlows(channel, family, ends, flow => found.push(flow));
  return found;
}

test('a flow is told by its two directions, its mark and its zone', async () => {
  const [flow] = await listed(channelOf([]), 4, 'everything');
  expect(flow).toMatchObject({
    original: { source: A, destination: '\x0a\x60\x00\x01', protocol: 6, sourcePort: 40000, destinationPort: 80 },
    reply: { source: '\x0a\x01\x00\x03', destination: A, protocol: 6, sourcePort: 8080, destinationPort: 40000 },
    mark: 0x80000001,
    zone: 7,
    isRelated: false,
  });
});

test('a few ends are asked for by name, as senders of either direction; many are picked here', async () => {
  const few = channelOf([]);
  await listed(few, 4, new Set([A]));
  expect(few.requests).toEqual([
    expect.stringContaining('10000180 0c000180 08000100 0a010002 14001980 08000100 01000000 08000200 00000000'),
    expect.stringContaining('10000280 0c000180 08000100 0a010002 14001980 08000100 00000000 08000200 01000000'),
  ]);
  const many = channelOf([]);
  const others = ['\x01', '\x02', '\x03', '\x04', '\x05'].map(last => `\x0a\x02\x00${last}`);
  expect(await listed(many, 4, new Set(others))).toEqual([]);
  expect(await listed(many, 4, new Set([...others, A]))).toHaveLength(1);
  expect(many.requests).toHaveLength(2);
});

test('ends of the other family are not asked for', async () => {
  const channel = channelOf([]);
  expect(await listed(channel, 6, new Set([A]))).toEqual([]);
  expect(channel.requests).toEqual([]);
});

test('a listing that was cut short is begun anew, and in the end is none', async () => {
  const once = channelOf(['interrupted']);
  expect(await listed(once, 4, 'everything')).toHaveLength(2);
  const always = channelOf(['interrupted', 'interrupted', 'interrupted']);
  await expect(listed(always, 4, 'everything')).rejects.toThrow('could not be listed in one piece');
});

test('a mark is changed by a bit of it, of the flow with this tuple and zone', () => {
  const writer = new NetlinkWriter();
  writeMark(writer, 4, { tuple: 'tupl', zone: 7 }, 27, true);
  writeMark(writer, 6, { tuple: 'tupl', zone: 0 }, 31, false);
  expect(hexOf(writer.finished())).toBe(
    '34000000 00010100 00000000 00000000 02000000 08000180 7475706c 06001200 00070000 08000800 08000000 08001500 08000000 ' +
      '2c000000 00010100 00000000 00000000 0a000000 08000180 7475706c 08000800 00000000 08001500 80000000',
  );
});
