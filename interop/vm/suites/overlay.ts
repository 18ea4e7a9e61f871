/**
 * Tunnels that the machine's own kernel lacks, tried with real packets in a guest that has them: IPIP, ip6tnl, and both in
 * GUE; VXLAN next to them, and changes from one to another while all is running.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { attempt, waitFor } from '../../../lab/topology/commands.js';
import type { Encapsulation } from '../../../src/fib/overlay/overlayOptions.js';
import { overlayOverhead } from '../../../src/fib/overlay/overlayOptions.js';
import { makeRacks, NODES, podOf, type RackNode, type Racks } from '../../../test/kernel/overlayRacks.js';
import type { Namespace } from '../../../test/kernel/namespace.js';
import { vmSuite, type SuiteBuilder } from '../suite.js';

/** For what takes a second or two outside. */
const WAIT = 30_000;
const VERSIONS = [4, 6] as const;
const STREAM = fileURLToPath(new URL('../stream.js', import.meta.url));
const TCP_PORT = 9000;
/** Octets: some dozens of segments. */
const STREAMED = 100_000;

let racks: Racks | undefined;

function both(): Racks {
  if (racks === undefined) throw new Error('the racks do not stand');
  return racks;
}

/** Does not keep this process, which is both nodes' overlay, from its work. @returns what the command printed */
async function output(ns: Namespace, command: string): Promise<string> {
  const { stdout, stderr } = await attempt('ip', ['netns', 'exec', ns.name, ...command.split(' ')]);
  return stdout + stderr;
}

/** One packet of so many octets with all headers that must not be fragmented. */
async function ping(from: Namespace, to: string, octets: number): Promise<string> {
  return output(from, `ping -M do -c 1 -W 2 -s ${octets - (to.includes(':') ? 48 : 28)} ${to}`);
}

function isAnswered(text: string): boolean {
  return text.includes(' 1 received');
}

async function arrives(from: Namespace, to: string, octets: number): Promise<void> {
  let last = '';
  try {
    await waitFor(`answer to ${octets} octets to ${to}`, WAIT, async () => {
      last = await ping(from, to, octets);
      return isAnswered(last) ? true : undefined;
    });
  } catch (error) {
    throw new Error(`${String(error)}\n${last}\n${await picture()}`, { cause: error });
  }
}

let isDrawn = false;

/** Everything that may explain why packets do not arrive. Once: it takes its time. */
async function picture(): Promise<string> {
  if (isDrawn) return '';
  isDrawn = true;
  const { a, b } = both();
  const commands = [
    'ip -d link',
    'ip route show table all',
    'ip -6 route show table all',
    'ip -6 route show cache',
    'ip rule',
    'ip fou show',
  ];
  const parts: string[] = [];
  for (const { ns, events } of [a, b]) {
    for (const command of commands) parts.push(`${ns.name}: ${command}\n${await output(ns, command)}`);
    parts.push(JSON.stringify(events, (_key, value: unknown) => (value instanceof Map ? [...value] : value)));
  }
  return parts.join('\n');
}

/** All of the overlay on a node, a line each; nothing when nothing is left. */
async function traces({ ns }: RackNode): Promise<readonly string[]> {
  const commands = [
    'ip -d link show',
    'ip rule',
    'ip -6 rule',
    'ip route show table 186',
    'ip -6 route show table 186',
    'ip route show proto bgp',
    'ip -6 route show proto bgp',
  ];
  const lines: string[] = [];
  for (const command of commands) lines.push(...(await output(ns, command)).split('\n'));
  return lines.filter(line => /pg[ix][46]|32186:|proto bgp/.test(line));
}

/** A server in the pod of node b, for as long as the pod is there. */
async function serve(): Promise<void> {
  const { pod } = both().b;
  // Ended with the guest, if not before.
  spawn('ip', ['netns', 'exec', pod.name, process.execPath, STREAM, 'serve', String(TCP_PORT)], { stdio: 'ignore' });
  await waitFor('the server', WAIT, async () =>
    (await output(pod, 'ss -tlnH')).includes(`:${TCP_PORT} `) ? true : undefined,
  );
}

/** The path's MTU is found by TCP, and its segments fill it: what is left are the headers, and 12 octets of timestamps. */
async function streams(version: 4 | 6, mtu: number): Promise<void> {
  const text = await output(
    both().a.pod,
    `${process.execPath} ${STREAM} send ${podOf('b', version)} ${TCP_PORT} ${STREAMED}`,
  );
  const most = mtu - (version === 4 ? 40 : 60);
  assert.deepEqual(
    JSON.parse(text),
    { received: STREAMED, segment: most - 12 },
    await output(both().a.pod, 'ip route'),
  );
}

async function startBoth(encapsulation: Encapsulation): Promise<void> {
  for (const node of [both().a, both().b]) {
    await node.start({ encapsulation });
    await node.route();
  }
}

/** Packets of pods and nodes, whole and not to be fragmented, over tunnels of this kind. */
function packets({ check }: SuiteBuilder, title: string, encapsulation: Encapsulation): void {
  for (const version of VERSIONS) {
    const most = 1500 - overlayOverhead(encapsulation, version);
    const name = `${title}, IPv${version}`;
    const [podA, podB] = [podOf('a', version), podOf('b', version)];
    const nodeB = version === 4 ? NODES.b.v4 : NODES.b.v6;
    check(`${name}: ${most} octets from pod to pod`, () => arrives(both().a.pod, podB, most));
    check(`${name}: and not one more`, async () => {
      const text = await ping(both().a.pod, podB, most + 1);
      if (isAnswered(text)) throw new Error(text);
    });
    check(`${name}: from node to pod`, () => arrives(both().a.ns, podB, most));
    check(`${name}: from pod to node`, () => arrives(both().a.pod, nodeB, most));
    check(`${name}: back`, () => arrives(both().b.pod, podA, most));
    check(`${name}: a stream in whole segments`, () => streams(version, most));
  }
}

function restart({ check, prepare }: SuiteBuilder, encapsulation: Encapsulation): void {
  let before: readonly string[] = [];
  prepare(`restart with ${encapsulation}`, async () => {
    const { a } = both();
    before = await traces(a);
    await a.stop(true);
    a.events.length = 0;
    await a.start({ encapsulation });
    await a.route();
    a.routing.fib?.sourcesComplete();
    await a.routing.fib?.idle();
  });
  check(`${encapsulation}: a restart changes nothing`, async () => {
    const after = await traces(both().a);
    if (after.join('\n') !== before.join('\n')) throw new Error([...before, 'became', ...after].join('\n'));
  });
  check(`${encapsulation}: and writes nothing`, () => {
    const written = both().a.events.filter(({ kind }) => kind !== 'adopted');
    // Ports carry no mark of who opened them: they are asked for again, and found to be open.
    const expected = encapsulation === 'fou' ? 1 : 0;
    if (written.length > expected) throw new Error(JSON.stringify(written));
  });
}

/** Routes of both families lead through devices of this kind, with the MTU that belongs to it. */
async function stands({ ns }: RackNode, encapsulation: Encapsulation): Promise<boolean> {
  const kind = encapsulation === 'vxlan' ? 'x' : 'i';
  for (const version of VERSIONS) {
    const routes = await output(ns, `ip -${version} route show proto bgp`);
    const device = new RegExp(`dev (pg${kind}${version}[^ ]*)`).exec(routes)?.[1];
    const mtu = 1500 - overlayOverhead(encapsulation, version);
    if (device === undefined) return false;
    if (!(await output(ns, `ip link show ${device}`)).includes(`mtu ${mtu} `)) return false;
  }
  return true;
}

function switching(suite: SuiteBuilder, from: Encapsulation, to: Encapsulation): void {
  suite.prepare(`change from ${from} to ${to}`, async () => {
    const { a, b } = both();
    for (const node of [a, b]) node.configure({ encapsulation: to });
    for (const node of [a, b])
      await waitFor(`tunnels of ${to} on ${node.ns.name}`, WAIT, async () =>
        (await stands(node, to)) ? true : undefined,
      );
    // Pods remember for ten minutes what the path took before.
    for (const { pod } of [a, b])
      for (const family of ['-4', '-6']) await output(pod, `ip ${family} route flush cache`);
  });
  packets(suite, `from ${from} to ${to}`, to);
  if ((from === 'vxlan') === (to === 'vxlan')) return;
  const old = from === 'vxlan' ? 'pgx' : 'pgi';
  suite.check(`from ${from} to ${to}: nothing is left`, async () => {
    await waitFor('end of the old tunnels', WAIT, async () =>
      (await traces(both().a)).some(line => line.includes(old)) ? undefined : true,
    );
  });
}

/** The kernel itself tells pods what a path takes: IPIP and ip6tnl answer packets that are too large. */
function unequal({ check, prepare }: SuiteBuilder): void {
  prepare('racks with a narrow one', async () => {
    racks = makeRacks('pgvm', 1400);
    await startBoth('ipip');
  });
  for (const version of VERSIONS) {
    const most = 1400 - overlayOverhead('ipip', version);
    check(`a path of 1400 is learned, IPv${version}`, () => arrives(both().a.pod, podOf('b', version), most));
    check(`and told to pods, IPv${version}`, async () => {
      await waitFor(`word of ${most} octets`, WAIT, async () =>
        new RegExp(`mtu ?= ?${most}`).test(await ping(both().a.pod, podOf('b', version), 1420)) ? true : undefined,
      );
    });
  }
}

function close({ cleanup }: SuiteBuilder): void {
  cleanup('end of the racks', async () => {
    await racks?.close();
    racks = undefined;
  });
}

export const overlay = vmSuite('overlay', 900, suite => {
  suite.prepare('racks with fou', async () => {
    racks = makeRacks('pgvm');
    await startBoth('fou');
    await serve();
  });
  packets(suite, 'fou', 'fou');
  restart(suite, 'fou');
  switching(suite, 'fou', 'ipip');
  switching(suite, 'ipip', 'vxlan');
  switching(suite, 'vxlan', 'fou');
  suite.check('switched off, nothing is left', async () => {
    both().a.configure({ enabled: false });
    await waitFor('end of the tunnels', WAIT, async () => ((await traces(both().a)).length === 0 ? true : undefined));
  });
  close(suite);
  unequal(suite);
  close(suite);
});
