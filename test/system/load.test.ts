/** Keepalives go out in time while a full table loads: a neighbour with the shortest hold time there is stays. */

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts, sessionUp, speakerConfig, startBird } from './rack.js';

const ROUTES = 500_000;
let topology: Topology;

beforeEach(async () => {
  topology = await Topology.open('pgsl');
  await buildHosts(topology, ['speaker', 'feeder', 'watcher']);
}, 120_000);
afterEach(async () => {
  await topology.close();
}, 120_000);

test('500,000 routes arrive and a session of 3 seconds of hold time lives through it', async () => {
  const speaker = PeerageProcess.speaker(
    topology,
    'speaker',
    speakerConfig('10.8.0.1', 65001, [
      { name: 'feeder', address: '10.8.0.2', asn: 65002, passive: true },
      { name: 'watcher', address: '10.8.0.3', asn: 65003, holdTime: 3 },
    ]),
  );
  const watcher = await startBird(topology, 'watcher', birdConfig('10.8.0.3', 65003, 'import all; export none;', []));
  await sessionUp(speaker, 'watcher');
  await startBird(topology, 'feeder', birdConfig('10.8.0.2', 65002, 'import none; export all;', table()));
  const count = async (): Promise<number> => (await speaker.peer('feeder')).received['ipv4-unicast'];
  await waitFor('the whole table', 120_000, async () => ((await count()) === ROUTES ? true : undefined));
  await waitFor('the whole table at the watcher', 60_000, async () =>
    new RegExp(`${ROUTES} of ${ROUTES} routes`).test(await watcher.birdc('show', 'route', 'count')) ? true : undefined,
  );
  expect((await speaker.peer('watcher')).timesEstablished).toBe(1);
  expect((await speaker.peer('feeder')).timesEstablished).toBe(1);
}, 240_000);

function table(): string[] {
  return Array.from(
    { length: ROUTES },
    (_, i) => `route ${20 + (i >>> 16)}.${(i >>> 8) & 255}.${i & 255}.0/24 blackhole;`,
  );
}

function birdConfig(address: string, asn: number, channel: string, routes: readonly string[]): string {
  return `
router id ${address};
log stderr { error, fatal, bug };
protocol device { }
protocol static { ipv4; ${routes.join('\n')} }
protocol bgp speaker {
  local ${address} as ${asn};
  neighbor 10.8.0.1 as 65001;
  hold time 3; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { ${channel} };
}
`;
}
