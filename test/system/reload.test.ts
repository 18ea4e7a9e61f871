/** A configuration that changes under a running speaker resets the sessions it concerns, and no other. */

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts, sessionUp, speakerConfig, type PeerText } from './rack.js';

// Programs are started and waited for, on machines that may have other work.
jest.setTimeout(240_000);

let topology: Topology;
let speaker: PeerageProcess;
let left: PeerageProcess;
let right: PeerageProcess;

const LEFT: PeerText = { name: 'left', address: '10.8.0.2', asn: 65002 };
const RIGHT: PeerText = { name: 'right', address: '10.8.0.3', asn: 65003 };
const CENTRE: PeerText = { name: 'centre', address: '10.8.0.1', asn: 65001 };
const config = (peers: readonly PeerText[], networks: readonly string[] = []): string =>
  speakerConfig('10.8.0.1', 65001, peers, networks);

beforeEach(async () => {
  topology = await Topology.open('pgsr');
  await buildHosts(topology, ['centre', 'left', 'right']);
  speaker = PeerageProcess.speaker(topology, 'centre', config([LEFT, RIGHT]));
  left = PeerageProcess.speaker(topology, 'left', speakerConfig(LEFT.address, LEFT.asn, [CENTRE]));
  right = PeerageProcess.speaker(topology, 'right', speakerConfig(RIGHT.address, RIGHT.asn, [CENTRE]));
  await sessionUp(speaker, 'left');
  await sessionUp(speaker, 'right');
});
afterEach(async () => {
  await topology.close();
});

/** As the neighbour counts: we count anew with a new configuration of the peer. */
const established = async (neighbour: PeerageProcess): Promise<number> =>
  (await neighbour.peer('centre')).timesEstablished;

test('a changed hold time resets its session only, on the change of the file alone', async () => {
  speaker.configure(config([{ ...LEFT, holdTime: 33 }, RIGHT]));
  await waitFor('the new hold time', 60_000, async () =>
    (await speaker.peer('left')).holdTime === 33 ? true : undefined,
  );
  // The hold time is agreed on before the session is up.
  await waitFor('the session again', 60_000, async () => ((await established(left)) >= 2 ? true : undefined));
  expect(await established(left)).toBe(2);
  expect(await established(right)).toBe(1);
});

test('a new network is told without a reset; a broken file changes nothing', async () => {
  speaker.configure(config([LEFT, RIGHT], ['10.77.0.0/16']));
  await waitFor('the network', 60_000, async () =>
    (await speaker.peer('left')).advertised['ipv4-unicast'] === 1 ? true : undefined,
  );
  speaker.configure('router: { asn: nonsense }');
  await waitFor('word of the broken file', 60_000, () => (/asn/.test(speaker.program.log()) ? true : undefined));
  expect(await established(left)).toBe(1);
  expect(await established(right)).toBe(1);
  expect((await speaker.routes()).map(({ prefix }) => prefix)).toEqual(['10.77.0.0/16']);
});

test('SIGHUP reads the file again; a peer that is no more is let go with Cease', async () => {
  speaker.configure(config([RIGHT]));
  speaker.program.signal('SIGHUP');
  await waitFor('the end of left', 60_000, async () =>
    (await speaker.peers()).map(({ name }) => name).join() === 'right' ? true : undefined,
  );
  expect(await established(right)).toBe(1);
});
