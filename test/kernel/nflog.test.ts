/** Packets that a rule logs come with its prefix and their addresses and ports; a group has one listener. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { addressText } from '../../src/kernel/conntrackTuple.js';
import type { LoggedPacket } from '../../src/kernel/nflog.js';
import { listenToLog, type LogListener } from '../../src/kernel/nflogListener.js';
import { makeNamespace, type Namespace } from './namespace.js';

const GROUP = 4242;
let space: Namespace;
let listener: LogListener | undefined;
const logged: LoggedPacket[] = [];
let hear: () => void = () => undefined;

beforeAll(() => {
  space = makeNamespace('nflog-here');
  const rules = `table inet telling { chain sent { type filter hook output priority 0; udp dport 7000-7999 log prefix "some words" group ${GROUP}; }; }`;
  execFileSync('ip', ['netns', 'exec', space.name, 'nft', rules]);
  listener = space.inside(() =>
    listenToLog(GROUP, ({ packets }) => {
      logged.push(...packets);
      hear();
    }),
  );
});

afterAll(() => {
  listener?.close();
  space.remove();
});

function send(address: string, ports: readonly number[]): void {
  const commands = ports.map(port => `echo told > /dev/udp/${address}/${port}`).join('; ');
  execFileSync('ip', ['netns', 'exec', space.name, 'bash', '-c', commands], { stdio: 'ignore' });
}

async function heard(count: number): Promise<readonly LoggedPacket[]> {
  while (logged.length < count) await new Promise<void>(resolve => (hear = resolve));
  return logged.splice(0, count);
}

describe('a listener', () => {
  test.each(['127.0.0.1', '::1'])('hears of packets to %s', async address => {
    send(address, [6999, 7001]);
    const [packet] = await heard(1);
    expect(packet!.prefix).toBe('some words');
    const { source, destination, protocol, ports } = packet!.header;
    expect([source, destination].map(addressText)).toEqual([address, address]);
    expect([protocol, ports!.destination]).toEqual([17, 7001]);
  });

  test('hears of many', async () => {
    const ports = Array.from({ length: 300 }, (_, i) => 7100 + i);
    send('127.0.0.1', ports);
    expect((await heard(300)).map(({ header }) => header.ports!.destination)).toEqual(ports);
  });

  test('is alone in its group', () => {
    expect(() => space.inside(() => listenToLog(GROUP, () => undefined))).toThrow(
      `nfnetlink_log group ${GROUP}: another program listens to it`,
    );
    space.inside(() => listenToLog(GROUP + 1, () => undefined)).close();
  });

  test('leaves its group to the next when it is closed', async () => {
    listener!.close();
    logged.length = 0;
    listener = space.inside(() =>
      listenToLog(GROUP, ({ packets }) => {
        logged.push(...packets);
        hear();
      }),
    );
    send('127.0.0.1', [7500]);
    expect((await heard(1))[0]!.header.ports!.destination).toBe(7500);
  });
});
