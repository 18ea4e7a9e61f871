/** A ToR that ends and returns, without and with graceful restart: what the kernel of a node shows meanwhile. */

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { sleep, waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { RouteMonitor } from '../../lab/topology/probes.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts, startBird } from './rack.js';

// Programs are started and waited for, on machines that may have other work.
jest.setTimeout(240_000);

const PREFIX = '10.99.0.0/16';
let topology: Topology;

beforeEach(async () => {
  topology = await Topology.open('pgst');
  await buildHosts(topology, ['node', 'tor']);
});
afterEach(async () => {
  await topology.close();
});

function birdConfig(graceful: boolean): string {
  return `
router id 10.8.0.2;
log stderr all;
protocol device { }
protocol static { ipv4; route ${PREFIX} blackhole; }
protocol bgp node {
  local 10.8.0.2 as 65002;
  neighbor 10.8.0.1 as 65001;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  graceful restart ${graceful ? 'on' : 'off'};
  ipv4 { import all; export all; next hop self; };
}
`;
}

async function startNode(): Promise<PeerageProcess> {
  const node = PeerageProcess.speaker(
    topology,
    'node',
    `
router:
  asn: 65001
  id: 10.8.0.1
  listen: ['10.8.0.1:179']
  gracefulRestart: { restartTime: 20, staleTime: 30, deferralTime: 5 }
peers:
  - { name: tor, address: 10.8.0.2, asn: 65002, connectRetryTime: 1, idleHoldTime: { min: 1, max: 2 } }
`,
  );
  await waitFor('the route in the kernel', 60_000, async () => ((await kernelHas()) ? true : undefined));
  // A ToR that is lost earlier is one that both sides wait for.
  await waitFor('the end of our own start', 60_000, () =>
    node.program.log().includes('first exchange of routes is over') ? true : undefined,
  );
  return node;
}

async function kernelHas(): Promise<boolean> {
  return (await topology.ip('node', 'route')).includes(`${PREFIX} via 10.8.0.2`);
}

test('without graceful restart the route goes with the session and returns with it', async () => {
  const first = await startBird(topology, 'tor', birdConfig(false));
  await startNode();
  await first.program.end('SIGKILL');
  await waitFor('the end of the route', 60_000, async () => ((await kernelHas()) ? undefined : true));
  await startBird(topology, 'tor', birdConfig(false));
  await waitFor('the route again', 60_000, async () => ((await kernelHas()) ? true : undefined));
});

test('with graceful restart the kernel keeps the route untouched', async () => {
  const first = await startBird(topology, 'tor', birdConfig(true));
  const node = await startNode();
  const monitor = RouteMonitor.start(topology, 'node');
  await first.program.end('SIGKILL');
  await sleep(2000);
  expect(await kernelHas()).toBe(true);
  // BIRD tells its routes about six seconds after its recovery: well within the stale time.
  // -R: it claims to have kept forwarding. Without, RFC 4724 section 4.2 has us drop what is stale at once.
  await startBird(topology, 'tor', birdConfig(true), '-R');
  await waitFor('the end of the restart', 60_000, async () => {
    const { state, gracefulRestart, timesEstablished } = await node.peer('tor');
    return state === 'Established' && timesEstablished === 2 && gracefulRestart.stalePaths === 0 ? true : undefined;
  });
  expect(await kernelHas()).toBe(true);
  expect(monitor.changes([PREFIX])).toEqual([]);
  await monitor.stop();
});
