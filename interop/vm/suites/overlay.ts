/**
 * Tunnels that the machine's own kernel lacks, tried with real packets in a guest that has them: IPIP, ip6tnl, and both in
 * GUE. A plain program, since a test runner takes minutes to start there. Needs root and the modules ipip, ip6_tunnel and
 * fou; prints a line for each check and ends with 1 when one failed.
 */

import type { Encapsulation } from '../../../src/fib/overlay/overlayOptions.js';
import { overlayOverhead } from '../../../src/fib/overlay/overlayOptions.js';
import { makeRacks, NODES, ping, podOf, run, type RackNode, type Racks } from '../../../test/kernel/overlayRacks.js';

const WAIT = 30_000;
/** Milliseconds after which a change of options is carried out, with what lingers. */
const SETTLE = 5000;
let failed = 0;

async function check(what: string, holds: () => Promise<boolean> | boolean, detail?: () => string): Promise<void> {
  const ok = await holds();
  if (!ok) failed += 1;
  process.stdout.write(`${ok ? 'ok' : 'FAILED'}  ${what}${ok || detail === undefined ? '' : `\n${detail()}`}\n`);
}

async function eventually(holds: () => boolean): Promise<boolean> {
  for (const end = Date.now() + WAIT; Date.now() < end;) {
    if (holds()) return true;
    await new Promise(resolve => setTimeout(resolve, 200));
  }
  return false;
}

/** All of the overlay on a node; nothing when nothing is left. */
function traces({ ns }: RackNode): string {
  const text = [
    run(ns, 'ip -d link show').text,
    run(ns, 'ip rule').text + run(ns, 'ip -6 rule').text,
    run(ns, 'ip route show table 186').text + run(ns, 'ip -6 route show table 186').text,
  ].join('');
  return text
    .split('\n')
    .filter(line => /pg[ix][46]|32186:|proto bgp/.test(line))
    .join('\n');
}

function everything({ ns, events }: RackNode): string {
  const commands = ['ip -d link', 'ip route show table all', 'ip -6 route show table all', 'ip rule', 'ip fou show'];
  return [...commands.map(command => `${command}\n${run(ns, command).text}`), JSON.stringify(events, mapsToo)].join(
    '\n',
  );
}

function mapsToo(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

async function startBoth({ a, b }: Racks, encapsulation: Encapsulation): Promise<void> {
  for (const node of [a, b]) {
    await node.start({ encapsulation });
    await node.route();
  }
}

/** Packets of pods and nodes, whole and not to be fragmented, over tunnels of this kind. */
async function packets(racks: Racks, encapsulation: Encapsulation): Promise<void> {
  const { a, b } = racks;
  for (const version of [4, 6] as const) {
    const most = 1500 - overlayOverhead(encapsulation, version);
    const name = `${encapsulation} over IPv${version}`;
    const pod = podOf('b', version);
    const node = version === 4 ? NODES.b.v4 : NODES.b.v6;
    await check(
      `${name}: pod to pod, ${most} octets`,
      () => eventually(() => ping(a.pod, pod, most, 2)),
      () => `${everything(a)}\n${everything(b)}`,
    );
    await check(`${name}: not one octet more`, () => !ping(a.pod, pod, most + 1, 1));
    await check(`${name}: node to pod`, () => eventually(() => ping(a.ns, pod, most, 2)));
    await check(`${name}: pod to node`, () => eventually(() => ping(a.pod, node, most, 2)));
    await check(`${name}: back`, () => eventually(() => ping(b.pod, podOf('a', version), most, 2)));
  }
}

async function restart({ a }: Racks, encapsulation: Encapsulation): Promise<void> {
  const before = traces(a);
  await a.stop(true);
  a.events.length = 0;
  await a.start({ encapsulation });
  await a.route();
  a.routing.fib?.sourcesComplete();
  await a.routing.fib?.idle();
  await check(
    `${encapsulation}: a restart changes nothing`,
    () => traces(a) === before,
    () => `${before}\n${traces(a)}`,
  );
  const written = a.events.filter(({ kind }) => kind !== 'adopted');
  // Ports carry no mark of who opened them: they are asked for again, and found to be open.
  const expected = encapsulation === 'fou' ? 1 : 0;
  await check(
    `${encapsulation}: and writes nothing`,
    () => written.length <= expected,
    () => JSON.stringify(written, mapsToo),
  );
}

/** Routes of both families lead through devices of this kind, with the MTU that belongs to it. */
function stands({ ns }: RackNode, encapsulation: Encapsulation): boolean {
  const kind = encapsulation === 'vxlan' ? 'x' : 'i';
  return ([4, 6] as const).every(version => {
    const { text } = run(ns, `ip -${version} route show proto bgp`);
    const device = new RegExp(`dev (pg${kind}${version}[^ ]*)`).exec(text)?.[1];
    const mtu = 1500 - overlayOverhead(encapsulation, version);
    return device !== undefined && run(ns, `ip link show ${device}`).text.includes(`mtu ${mtu} `);
  });
}

async function switching(racks: Racks, from: Encapsulation, to: Encapsulation): Promise<void> {
  for (const node of [racks.a, racks.b]) node.configure({ encapsulation: to });
  // Commands run while this process waits for them: in between it needs time to do what it was told.
  for (const end = Date.now() + 2 * WAIT; Date.now() < end;) {
    if ([racks.a, racks.b].every(node => stands(node, to))) break;
    await new Promise(resolve => setTimeout(resolve, 1000));
  }
  await new Promise(resolve => setTimeout(resolve, SETTLE));
  // Pods remember for ten minutes what the path took before.
  for (const { pod } of [racks.a, racks.b])
    for (const family of ['-4', '-6']) run(pod, `ip ${family} route flush cache`);
  await packets(racks, to);
  const old = from === 'vxlan' ? 'pgx' : 'pgi';
  const isSame = (from === 'vxlan') === (to === 'vxlan');
  if (!isSame)
    await check(`from ${from} to ${to}: nothing is left`, () => eventually(() => !traces(racks.a).includes(old)));
}

async function main(): Promise<void> {
  const racks = makeRacks('pgvm');
  try {
    await startBoth(racks, 'fou');
    await packets(racks, 'fou');
    await restart(racks, 'fou');
    for (const [from, to] of [
      ['fou', 'ipip'],
      ['ipip', 'vxlan'],
      ['vxlan', 'fou'],
    ] as const)
      await switching(racks, from, to);
    racks.a.configure({ enabled: false });
    await new Promise(resolve => setTimeout(resolve, SETTLE));
    await check(
      'switched off, nothing is left',
      () => eventually(() => traces(racks.a) === ''),
      () => traces(racks.a),
    );
  } finally {
    await racks.close();
  }
  await unequal();
}

/** The kernel itself tells pods what a path takes: IPIP and ip6tnl answer packets that are too large. */
async function unequal(): Promise<void> {
  const racks = makeRacks('pgvm', 1400);
  try {
    await startBoth(racks, 'ipip');
    for (const version of [4, 6] as const) {
      const most = 1400 - overlayOverhead('ipip', version);
      await check(`ipip over IPv${version}: a path of 1400 is learned`, () =>
        eventually(() => ping(racks.a.pod, podOf('b', version), most, 2)),
      );
      await check(`ipip over IPv${version}: and told to pods`, () =>
        eventually(() => {
          const size = 1420 - (version === 4 ? 28 : 48);
          const { text } = run(racks.a.pod, `ping -M do -c 2 -W 1 -s ${size} ${podOf('b', version)}`);
          return new RegExp(`mtu ?= ?${most}`).test(text);
        }),
      );
    }
  } finally {
    await racks.close();
  }
}

await main();
process.exitCode = failed === 0 ? 0 : 1;
process.stdout.write(failed === 0 ? 'all checks passed\n' : `${failed} checks failed\n`);
