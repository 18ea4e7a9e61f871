/** The prober itself: what nothing stands in the way of, what a rule drops, and what a rule refuses, told apart cell by cell. */

import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NINE_PODS, PORTS } from '../cluster.js';
import { cellsOf, hostsOf, textOf } from '../kernelTable.js';
import { openPodRig, type PodRig } from '../podRig.js';
import { openProber, type Prober } from './prober.js';
import { crc32c, decodeGreeting, encodeGreeting } from './sctp.js';

const PATIENCE = 3000;
const PODS = NINE_PODS.pods.slice(0, 3);
const FEW = { ...NINE_PODS, pods: PODS };

let rig: PodRig;
let prober: Prober;
beforeAll(() => {
  rig = openPodRig('pgpp', PODS);
  prober = openProber(hostsOf(rig, PODS), PORTS);
});
afterAll(() => {
  prober.close();
  rig.close();
});

function nft(rules: string): void {
  execFileSync('ip', ['netns', 'exec', rig.node.name, 'nft', '-f', '-'], { input: rules });
}

async function ask(): Promise<Readonly<Record<string, string>>> {
  const cells = cellsOf(FEW);
  const answers = await prober.ask(cells, PATIENCE);
  return Object.fromEntries(cells.map((cell, i) => [textOf(cell), answers[i] ?? '']));
}

test('without rules every cell is open, in both families and by all protocols', async () => {
  const answers = await ask();
  expect(Object.keys(answers)).toHaveLength(3 * 2 * 2 * 6);
  expect(new Set(Object.values(answers))).toEqual(new Set(['open']));
});

test('what is dropped is silent, what is refused says so, and the rest stays open', async () => {
  const [a, b, c] = PODS.map(({ ips }) => ips);
  nft(`table inet t { chain c { type filter hook forward priority 0;
    ip saddr ${a![0]} ip daddr ${b![0]} tcp dport 80 drop
    ip saddr ${a![0]} ip daddr ${b![0]} sctp dport 81 drop
    ip6 saddr ${b![1]} ip6 daddr ${c![1]} udp dport 80 drop
    ip6 saddr ${b![1]} ip6 daddr ${c![1]} tcp dport 81 reject with tcp reset
  }
}`);
  try {
    const closed = Object.entries(await ask()).filter(([, answer]) => answer !== 'open');
    expect(Object.fromEntries(closed)).toEqual({
      'x/a x/b TCP 80 (IPv4)': 'silence',
      'x/a x/b SCTP 81 (IPv4)': 'silence',
      'x/b x/c UDP 80 (IPv6)': 'silence',
      'x/b x/c TCP 81 (IPv6)': 'ECONNREFUSED',
    });
  } finally {
    nft('delete table inet t');
  }
});

test('an association that the rules let through is one to conntrack, checksum and all', async () => {
  nft(`table inet t { chain c { type filter hook forward priority 0; ct state invalid drop
    ct state established accept; meta l4proto sctp ct state != new drop
  }
}`);
  try {
    expect(new Set(Object.values(await ask()))).toEqual(new Set(['open']));
  } finally {
    nft('delete table inet t');
  }
});

test('greetings of SCTP', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  const greeting = {
    kind: 'init',
    sourcePort: 20_000,
    destinationPort: 80,
    verificationTag: 0,
    initiateTag: 0xdeadbeef,
  } as const;
  const octets = encodeGreeting(greeting);
  expect(decodeGreeting(octets)).toEqual(greeting);
  octets.writeUInt8(octets.readUInt8(16) ^ 1, 16);
  expect(decodeGreeting(octets)).toBeUndefined();
  expect(decodeGreeting(octets.subarray(0, 20))).toBeUndefined();
});
