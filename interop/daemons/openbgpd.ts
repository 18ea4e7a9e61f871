/** OpenBGPD (Debian's openbgpd), asked through bgpctl in JSON. */

import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Topology } from '../../lab/topology/topology.js';
import type { Daemon, DaemonConfig, DaemonRoute, NeighborSpec, NetworkSpec, RunningDaemon } from './daemon.js';

/** Where bgpd changes its root to; it dies when the folder is missing, which Debian's package does not make. */
const CHROOT = '/run/openbgpd';

export const openbgpd: Daemon = {
  name: 'OpenBGPD 7',
  lacks: {
    collision: 'has one connection for each neighbour by design',
    gracefulRestart: 'keeps routes of a peer that restarts, but does not announce that it kept its own',
  },
  start: (topology, config) => {
    if (!existsSync(CHROOT)) mkdirSync(CHROOT, { recursive: true });
    return Promise.resolve(new Openbgpd(topology, config));
  },
};

class Openbgpd implements RunningDaemon {
  program;
  private readonly file: string;
  private readonly socket: string;

  constructor(
    private readonly topology: Topology,
    private config: DaemonConfig,
  ) {
    this.file = join(topology.folder, `${config.host}-bgpd.conf`);
    this.socket = join(topology.folder, `${config.host}-bgpd.sock`);
    this.write();
    this.program = this.launch();
  }

  restart(): void {
    this.program = this.launch();
  }

  async established(neighbor: string): Promise<boolean> {
    const answer = (await this.json('show', 'neighbor', neighbor)) as
      { readonly neighbors?: readonly { readonly state?: string }[] } | undefined;
    return answer?.neighbors?.[0]?.state === 'Established';
  }

  async routes(): Promise<DaemonRoute[]> {
    const answer = (await this.json('show', 'rib', 'detail', 'selected')) as
      { readonly rib?: readonly BgpdPath[] } | undefined;
    return (answer?.rib ?? []).map(routeOf);
  }

  async reconfigure(config: DaemonConfig): Promise<void> {
    this.config = config;
    this.write();
    await this.bgpctl('reload');
  }

  async shutdown(neighbor: string, message: string): Promise<void> {
    await this.bgpctl('neighbor', neighbor, 'down', message);
  }

  async refreshIn(neighbor: string): Promise<void> {
    await this.bgpctl('neighbor', neighbor, 'refresh');
  }

  async report(neighbor: string): Promise<string> {
    return (await this.bgpctl('show', 'neighbor', neighbor)) + this.program.log();
  }

  private write(): void {
    writeFileSync(this.file, bgpdConfig(this.config, this.socket));
    chmodSync(this.file, 0o600);
  }

  private launch(): RunningDaemon['program'] {
    return this.topology.start(this.config.host, `openbgpd-${this.config.host}`, '/usr/sbin/bgpd', [
      '-d',
      '-v',
      '-f',
      this.file,
    ]);
  }

  private async bgpctl(...words: readonly string[]): Promise<string> {
    return (await this.topology.exec(this.config.host, 'bgpctl', ['-s', this.socket, ...words])).stdout;
  }

  private async json(...words: readonly string[]): Promise<unknown> {
    try {
      return JSON.parse(await this.bgpctl('-j', ...words)) as unknown;
    } catch {
      return undefined;
    }
  }
}

interface BgpdAttribute {
  readonly type: string;
  readonly communities?: readonly string[];
  readonly large_communities?: readonly string[];
  readonly extended_communities?: readonly string[];
  readonly originator?: string;
  readonly cluster_list?: readonly string[];
}

interface BgpdPath {
  readonly prefix: string;
  readonly aspath?: string;
  readonly exit_nexthop?: string;
  readonly true_nexthop?: string;
  readonly attributes?: readonly BgpdAttribute[];
  readonly communities?: readonly string[];
  readonly large_communities?: readonly string[];
  readonly extended_communities?: readonly string[];
}

function bgpdConfig(config: DaemonConfig, socket: string): string {
  const restart = config.neighbors.some(neighbor => neighbor.gracefulRestart === true);
  return `
AS ${config.asn}${config.asn > 65535 ? ' 23456' : ''}
router-id ${config.routerId}
socket "${socket}"
fib-update no
nexthop qualify via default
listen on ${config.address}
listen on ${config.address6}
connect-retry 1
${config.networks.map(networkLine).join('\n')}
${config.neighbors.map(neighbor => neighborConfig(neighbor, config, restart)).join('\n')}
allow from any
allow to any
`;
}

function networkLine({ prefix, communities = [], largeCommunities = [], routeTarget }: NetworkSpec): string {
  const sets = [
    ...communities.map(text => `community ${text}`),
    ...largeCommunities.map(text => `large-community ${text}`),
    ...(routeTarget === undefined ? [] : [`ext-community rt ${routeTarget}`]),
  ];
  return `network ${prefix}${sets.length === 0 ? '' : ` set { ${sets.join(' ')} }`}`;
}

function neighborConfig(neighbor: NeighborSpec, config: DaemonConfig, restart: boolean): string {
  const v6 = neighbor.address.includes(':');
  const lines = [
    `remote-as ${neighbor.asn}`,
    `local-address ${v6 ? config.address6 : config.address}`,
    'announce IPv4 unicast',
    'announce IPv6 unicast',
    `announce restart ${restart ? 'yes' : 'no'}`,
    'max-prefix 200000',
    ...(neighbor.passive === true ? ['passive'] : []),
    ...(neighbor.password === undefined ? [] : [`tcp md5sig password ${neighbor.password}`]),
    ...(neighbor.holdTime === undefined ? [] : [`holdtime ${neighbor.holdTime}`]),
    ...(neighbor.client === true ? ['route-reflector'] : []),
    ...(neighbor.ttlSecurity === true ? ['ttl-security yes'] : []),
  ];
  return `neighbor ${neighbor.address} {\n  ${lines.join('\n  ')}\n}`;
}

function routeOf(path: BgpdPath): DaemonRoute {
  const find = <K extends keyof BgpdAttribute>(key: K): BgpdAttribute[K] | undefined =>
    path.attributes?.find(attribute => attribute[key] !== undefined)?.[key];
  return {
    prefix: path.prefix,
    asPath: path.aspath ?? '',
    nextHop: path.exit_nexthop ?? path.true_nexthop ?? '',
    communities: find('communities') ?? path.communities ?? [],
    largeCommunities: find('large_communities') ?? path.large_communities ?? [],
    extendedCommunities: (find('extended_communities') ?? path.extended_communities ?? []).map(text =>
      text.replace(/^rt /, 'rt:'),
    ),
    originatorId: find('originator'),
    clusterList: find('cluster_list') ?? [],
  };
}
