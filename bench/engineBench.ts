/**
 * The engine's stages one by one, in this process and without sockets: what a change to the scanner, the RIB or the
 * update groups gains. Run with `node build/bench/engineBench.js [prefixes] [ipv4|ipv6] [kernel] [reserve]`; under --cpu-prof the
 * profile holds nothing else.
 */

import { testNextHops } from './load/addresses.js';
import type { Feed } from './workload/feed.js';
import { eachMessage, LOCAL_ASN, LOCAL_ID, newRib, receive, SCAN } from './workload/inProcess.js';
import { loadTable } from './workload/tables.js';
import { PeerKind } from '../src/bgp/peerKind.js';
import { UpdateRecord } from '../src/bgp/updateRecord.js';
import { createUpdateFraming } from '../src/bgp/wire/updateEncoder.js';
import { scanUpdate } from '../src/bgp/wire/updateScanner.js';
import { Asn } from '../src/bgp/asn.js';
import { Ipv4, ipv4, type IpAddress } from '../src/core/ip.js';
import { makeResident } from '../src/kernel/residentMemory.js';
import type { PeerId } from '../src/rib/peerTable.js';
import type { Rib } from '../src/rib/rib.js';

const FEEDER_ID = 0x0a630101;
const SELF6: IpAddress = { version: 6, words: [0xfd990000, 0, 0, 1] };

interface Setting {
  readonly family: 0 | 1;
  readonly size: number;
  readonly kernel: boolean;
  readonly reserve: boolean;
}

function scanOnly(feed: Feed): void {
  const record = new UpdateRecord();
  eachMessage(feed, (start, end) => {
    if (scanUpdate(feed.octets, start, end, SCAN, record) !== undefined) throw new Error('the feed is malformed');
  });
}

function addPeer(rib: Rib, name: string, routerId: number, client: boolean): PeerId {
  const id = rib.peers.add({ name, address: ipv4(routerId), kind: PeerKind.ibgp, client, routerId });
  if (id === undefined) throw new Error('no room for a peer');
  return id;
}

/** A client of the route reflector that takes everything. @returns a count of the octets it was sent */
function joinClient(rib: Rib, { family }: Setting): { octets: number; messages: number } {
  const sent = { octets: 0, messages: 0 };
  const framing = createUpdateFraming({
    family,
    kind: 'ibgp',
    localAsn: Asn(LOCAL_ASN),
    clusterId: Ipv4(LOCAL_ID),
    fourOctetAs: true,
    nextHopSelf: 'auto',
    self4: ipv4(LOCAL_ID),
    self6: SELF6,
    selfLinkLocal: undefined,
    extendedNextHop: false,
    addPath: false,
    maxMessage: 4096,
  });
  const client = addPeer(rib, 'client', 0x0a630201, true);
  rib.join(family, 'clients', { kind: 'ibgp', clients: true }, () => framing, client, {
    send: (octets, messages) => {
      sent.octets += octets.length;
      sent.messages += messages;
      return true;
    },
    walked: () => undefined,
  });
  return sent;
}

function pumpAll(rib: Rib): void {
  while (rib.pump());
}

function timed(stage: string, size: number, work: () => void): void {
  const started = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  work();
  const ms = Number(process.hrtime.bigint() - started) / 1e6;
  const used = process.cpuUsage(cpu);
  const row = [
    stage.padEnd(28),
    `${ms.toFixed(0).padStart(6)} ms`,
    `${((ms * 1e6) / size).toFixed(0).padStart(6)} ns a prefix`,
  ];
  row.push(`${((used.user + used.system) / 1000).toFixed(0).padStart(6)} ms CPU`);
  row.push(`${(process.memoryUsage.rss() / 1e6).toFixed(0).padStart(5)} MB resident`);
  process.stdout.write(`${row.join('  ')}\n`);
}

function run(setting: Setting): void {
  const { size, family } = setting;
  const loaded = loadTable({ kind: 'generated', family: family === 0 ? 'ipv4-unicast' : 'ipv6-unicast', size });
  const [first, changed] = [loaded.feed('first', testNextHops), loaded.feed('changed', testNextHops)];
  const withdraw = loaded.feed('withdraw', testNextHops);
  const routes = [family === 0 ? size : 0, family === 1 ? size : 0] as const;
  const reserve = setting.reserve ? { routes, makeResident } : undefined;
  const rib = newRib(setting.kernel ? () => undefined : undefined, reserve);
  const feeder = addPeer(rib, 'feeder', FEEDER_ID, false);
  const sent = joinClient(rib, setting);
  pumpAll(rib);
  timed('scan only, first time', size, () => scanOnly(first));
  timed('scan only, again', size, () => scanOnly(first));
  for (const round of ['', ', again']) {
    timed(`announce: receive${round}`, size, () => receive(rib, feeder, first));
    timed(`announce: tell${round}`, size, () => pumpAll(rib));
    timed(`change: receive${round}`, size, () => receive(rib, feeder, changed));
    timed(`change: tell${round}`, size, () => pumpAll(rib));
    timed(`withdraw: receive${round}`, size, () => receive(rib, feeder, withdraw));
    timed(`withdraw: tell${round}`, size, () => pumpAll(rib));
  }
  process.stdout.write(
    `sent ${sent.messages} messages, ${sent.octets} octets; ${rib.attributes.size} attribute sets left\n`,
  );
}

const [size = '1000000', family = 'ipv4', ...words] = process.argv.slice(2);
run({
  family: family === 'ipv6' ? 1 : 0,
  size: Number(size),
  kernel: words.includes('kernel'),
  reserve: words.includes('reserve'),
});
