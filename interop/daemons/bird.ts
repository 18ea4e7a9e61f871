/** BIRD 2 (Debian's bird2). */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Topology } from '../../lab/topology/topology.js';
import type { Daemon, DaemonConfig, DaemonRoute, NeighborSpec, NetworkSpec, RunningDaemon } from './daemon.js';

export const bird: Daemon = {
  name: 'BIRD 2',
  lacks: {},
  start: (topology, config) => Promise.resolve(new Bird(topology, config)),
};

class Bird implements RunningDaemon {
  program;
  private readonly file: string;
  private readonly socket: string;

  constructor(
    private readonly topology: Topology,
    private config: DaemonConfig,
  ) {
    this.file = join(topology.folder, `${config.host}-bird.conf`);
    this.socket = join(topology.folder, `${config.host}-bird.ctl`);
    writeFileSync(this.file, birdConfig(config));
    this.program = this.launch();
  }

  restart(): void {
    this.program = this.launch();
  }

  async established(neighbor: string): Promise<boolean> {
    return /Established/.test(await this.birdc('show', 'protocols', protocolOf(this.config, neighbor)));
  }

  async routes(): Promise<DaemonRoute[]> {
    return parseRoutes(await this.birdc('show', 'route', 'primary', 'all'));
  }

  async reconfigure(config: DaemonConfig): Promise<void> {
    this.config = config;
    writeFileSync(this.file, birdConfig(config));
    await this.birdc('configure');
  }

  async shutdown(neighbor: string, message: string): Promise<void> {
    await this.birdc('disable', protocolOf(this.config, neighbor), `"${message}"`);
  }

  async refreshIn(neighbor: string): Promise<void> {
    await this.birdc('reload', 'in', protocolOf(this.config, neighbor));
  }

  async report(neighbor: string): Promise<string> {
    return (await this.birdc('show', 'protocols', 'all', protocolOf(this.config, neighbor))) + this.program.log();
  }

  private launch(): RunningDaemon['program'] {
    return this.topology.start(this.config.host, `bird-${this.config.host}`, 'bird', [
      '-f',
      '-c',
      this.file,
      '-s',
      this.socket,
    ]);
  }

  private async birdc(...words: readonly string[]): Promise<string> {
    return (await this.topology.exec(this.config.host, 'birdc', ['-s', this.socket, ...words])).stdout;
  }
}

function protocolOf({ neighbors }: DaemonConfig, address: string): string {
  return `n${neighbors.findIndex(neighbor => neighbor.address === address)}`;
}

function birdConfig(config: DaemonConfig): string {
  const v4 = config.networks.filter(network => !network.prefix.includes(':'));
  const v6 = config.networks.filter(network => network.prefix.includes(':'));
  return `
router id ${config.routerId};
log stderr all;
protocol device {}
protocol static s4 { ipv4; ${v4.map(staticRoute).join('\n')} }
protocol static s6 { ipv6; ${v6.map(staticRoute).join('\n')} }
${config.neighbors.map((neighbor, i) => neighborConfig(config, neighbor, i)).join('\n')}
`;
}

function staticRoute({ prefix, communities = [], largeCommunities = [], routeTarget }: NetworkSpec): string {
  const add = [
    ...communities.map(text => `bgp_community.add((${text.replaceAll(':', ',')}));`),
    ...largeCommunities.map(text => `bgp_large_community.add((${text.replaceAll(':', ',')}));`),
    ...(routeTarget === undefined ? [] : [`bgp_ext_community.add((rt,${routeTarget.replaceAll(':', ',')}));`]),
  ];
  return `route ${prefix} blackhole { ${add.join(' ')} };`;
}

function neighborConfig(config: DaemonConfig, neighbor: NeighborSpec, i: number): string {
  const v6 = neighbor.address.includes(':');
  const lines = [
    `local ${v6 ? config.address6 : config.address} as ${config.asn};`,
    `neighbor ${neighbor.address} as ${neighbor.asn};`,
    'connect retry time 1; connect delay time 1; error wait time 1, 2; startup hold time 20;',
    neighbor.passive === true ? 'passive on;' : '',
    neighbor.password === undefined ? '' : `password "${neighbor.password}";`,
    neighbor.holdTime === undefined ? '' : `hold time ${neighbor.holdTime};`,
    neighbor.client === true ? 'rr client;' : '',
    neighbor.gracefulRestart === true ? 'graceful restart on;' : '',
    neighbor.ttlSecurity === true ? 'ttl security on;' : '',
    'direct;',
    `ipv4 { import all; export all; next hop ${neighbor.client === true ? 'keep' : `address ${config.address}`}; };`,
    `ipv6 { import all; export all; next hop ${neighbor.client === true ? 'keep' : `address ${config.address6}`}; };`,
  ];
  return `protocol bgp n${i} {\n${lines.filter(line => line !== '').join('\n')}\n}`;
}

function parseRoutes(text: string): DaemonRoute[] {
  const routes: DaemonRoute[] = [];
  let attributes = new Map<string, string>();
  for (const line of text.split('\n')) {
    const prefix = /^([0-9a-f:.]+\/\d+)\s/.exec(line)?.[1];
    if (prefix !== undefined) {
      attributes = new Map();
      routes.push(routeOf(prefix, attributes));
    }
    const attribute = /^\s+BGP\.(\w+):\s*(.*)$/.exec(line);
    if (attribute !== null) attributes.set(attribute[1]!, attribute[2]!);
  }
  return routes;
}

/** The attributes arrive on later lines, so that fields are read when they are asked for. */
function routeOf(prefix: string, attributes: ReadonlyMap<string, string>): DaemonRoute {
  const tuples = (name: string): string[] =>
    [...(attributes.get(name) ?? '').matchAll(/\(([^)]*)\)/g)].map(match => match[1]!.replaceAll(/\s*,\s*/g, ':'));
  return {
    prefix,
    get asPath() {
      return attributes.get('as_path') ?? '';
    },
    get nextHop() {
      return (attributes.get('next_hop') ?? '').split(' ')[0]!;
    },
    get communities() {
      return tuples('community');
    },
    get largeCommunities() {
      return tuples('large_community');
    },
    get extendedCommunities() {
      return tuples('ext_community');
    },
    get originatorId() {
      return attributes.get('originator_id');
    },
    get clusterList() {
      return (attributes.get('cluster_list') ?? '').split(' ').filter(text => text !== '');
    },
  };
}
