/** The lab's top-of-rack switch: BIRD, or our own speaker. Impure. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOR, type LabNode } from './cluster.js';
import { PeerageProcess } from './topology/peerage.js';
import type { Topology } from './topology/topology.js';

export interface Tor {
  readonly kind: 'bird' | 'peerage';
  /** Sessions that are up. */
  sessions(): Promise<number>;
  /** Kills it, and starts it again as one that recovers. */
  restart(): Promise<void>;
  /** A command for people to look at it. */
  readonly hint: string;
}

export function startTor(kind: 'bird' | 'peerage', topology: Topology, nodes: readonly LabNode[]): Tor {
  return kind === 'bird' ? startBird(topology, nodes) : startPeerage(topology);
}

function startBird(topology: Topology, nodes: readonly LabNode[]): Tor {
  const config = join(topology.folder, 'bird.conf');
  const socket = join(topology.folder, 'bird.ctl');
  writeFileSync(config, birdConfig(nodes));
  let program = topology.start(TOR, 'bird', 'bird', ['-f', '-c', config, '-s', socket]);
  return {
    kind: 'bird',
    restart: async () => {
      await program.end('SIGKILL');
      program = topology.start(TOR, 'bird', 'bird', ['-f', '-R', '-c', config, '-s', socket]);
    },
    hint: `birdc -s ${socket} show route`,
    sessions: async () => {
      const { stdout } = await topology.exec(TOR, 'birdc', ['-s', socket, 'show', 'protocols']);
      return stdout.split('\n').filter(line => /^node\S*\s+BGP\s.*Established/.test(line)).length;
    },
  };
}

function birdConfig(nodes: readonly LabNode[]): string {
  const peers = nodes.map(
    (node, i) => `
protocol bgp node${i} from rack {
  neighbor ${node.addresses.find(address => !address.includes(':')) ?? ''} as 64512;
}`,
  );
  return `
router id 10.0.0.1;
protocol device { scan time 5; }
protocol kernel kernel4 { graceful restart on; ipv4 { export all; }; }
protocol kernel kernel6 { graceful restart on; ipv6 { export all; }; }
template bgp rack {
  local 10.0.0.1 as 64999;
  connect retry time 1; error wait time 1, 4;
  graceful restart on;
  ipv4 { import all; export all; next hop self; };
  ipv6 { import all; export all; next hop address fd00:10::1; };
}
${peers.join('\n')}
`;
}

function startPeerage(topology: Topology): Tor {
  const config = readFileSync('examples/tor.yaml', 'utf8').replace('router:', 'router:\n  gracefulRestart: true');
  const speaker = PeerageProcess.speaker(topology, TOR, config);
  return {
    kind: 'peerage',
    restart: async () => {
      await speaker.program.end('SIGKILL');
      speaker.restart();
    },
    hint: `node dist/cli/main.js show routes --control ${speaker.control}`,
    sessions: async () => (await speaker.peers()).filter(peer => peer.state === 'Established').length,
  };
}
