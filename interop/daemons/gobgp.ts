/** GoBGP (Debian's gobgpd), asked through its command line in JSON. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../lab/topology/commands.js';
import type { Topology } from '../../lab/topology/topology.js';
import type { Daemon, DaemonConfig, DaemonRoute, NeighborSpec, NetworkSpec, RunningDaemon } from './daemon.js';

export const gobgp: Daemon = {
  name: 'GoBGP 3',
  lacks: {
    collision: 'closes one connection without regard to identifiers (fixed in GoBGP 4)',
    ttlSecurity: 'sets no TTL of 255 on connections it accepts',
  },
  start: async (topology, config) => {
    const daemon = new Gobgp(topology, config);
    await daemon.originate(config.networks);
    return daemon;
  },
};

class Gobgp implements RunningDaemon {
  program;
  private readonly file: string;
  private networks: readonly NetworkSpec[] = [];

  constructor(
    private readonly topology: Topology,
    private readonly config: DaemonConfig,
  ) {
    this.file = join(topology.folder, `${config.host}-gobgp.toml`);
    writeFileSync(this.file, gobgpConfig(config));
    this.program = this.launch();
  }

  restart(): void {
    this.program = this.launch();
    const { networks } = this;
    this.networks = [];
    void this.originate(networks);
  }

  async established(neighbor: string): Promise<boolean> {
    const state = (await this.json('neighbor', neighbor)) as
      { readonly state?: { readonly session_state?: number } } | undefined;
    // api.PeerState_SessionState: ESTABLISHED = 6.
    return state?.state?.session_state === 6;
  }

  async routes(): Promise<DaemonRoute[]> {
    const tables = await Promise.all([
      this.json('global', 'rib', '-a', 'ipv4'),
      this.json('global', 'rib', '-a', 'ipv6'),
    ]);
    return tables
      .flatMap(table => Object.entries((table ?? {}) as Record<string, readonly GobgpPath[]>))
      .flatMap(([prefix, paths]) => {
        const best = paths.find(path => path.best === true) ?? paths[0];
        return best === undefined ? [] : [routeOf(prefix, best)];
      });
  }

  /** GoBGP takes networks through its API only; everything else of a configuration stays. */
  async reconfigure(config: DaemonConfig): Promise<void> {
    await this.originate(config.networks);
  }

  async shutdown(neighbor: string, message: string): Promise<void> {
    await this.gobgp('neighbor', neighbor, 'disable', '--reason', message);
  }

  async refreshIn(neighbor: string): Promise<void> {
    await this.gobgp('neighbor', neighbor, 'softresetin');
  }

  async report(neighbor: string): Promise<string> {
    return (await this.gobgp('neighbor', neighbor)) + this.program.log();
  }

  async originate(networks: readonly NetworkSpec[]): Promise<void> {
    await waitFor('the GoBGP API', 10_000, async () => ((await this.json('global')) === undefined ? undefined : true));
    for (const network of this.networks) {
      if (!networks.some(wanted => wanted.prefix === network.prefix))
        await this.gobgp('global', 'rib', 'del', network.prefix, '-a', familyOf(network.prefix));
    }
    for (const network of networks) await this.gobgp(...additionOf(network, this.config));
    this.networks = networks;
  }

  private launch(): RunningDaemon['program'] {
    return this.topology.start(this.config.host, `gobgpd-${this.config.host}`, 'gobgpd', [
      '-t',
      'toml',
      '-f',
      this.file,
      '-l',
      'debug',
      '--pprof-disable',
      '--api-hosts',
      '127.0.0.1:50051',
    ]);
  }

  private async gobgp(...words: readonly string[]): Promise<string> {
    return (await this.topology.exec(this.config.host, 'gobgp', words)).stdout;
  }

  private async json(...words: readonly string[]): Promise<unknown> {
    const text = await this.gobgp(...words, '-j');
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return undefined;
    }
  }
}

interface GobgpAttribute {
  readonly type: number;
  readonly value?: unknown;
  readonly nexthop?: string;
  readonly as_paths?: readonly { readonly asns: readonly number[] }[];
  readonly communities?: readonly number[];
}

interface GobgpPath {
  readonly best?: boolean;
  readonly attrs: readonly GobgpAttribute[];
}

function familyOf(prefix: string): string {
  return prefix.includes(':') ? 'ipv6' : 'ipv4';
}

function additionOf(
  { prefix, communities = [], largeCommunities = [], routeTarget }: NetworkSpec,
  config: DaemonConfig,
): string[] {
  return [
    ...[
      'global',
      'rib',
      'add',
      prefix,
      '-a',
      familyOf(prefix),
      'nexthop',
      prefix.includes(':') ? config.address6 : config.address,
    ],
    ...(communities.length === 0 ? [] : ['community', communities.join(',')]),
    ...(largeCommunities.length === 0 ? [] : ['large-community', largeCommunities.join(',')]),
    ...(routeTarget === undefined ? [] : ['rt', routeTarget]),
  ];
}

function gobgpConfig(config: DaemonConfig): string {
  return `
[global.config]
  as = ${config.asn}
  router-id = "${config.routerId}"
  local-address-list = ["${config.address}", "${config.address6}"]
${config.neighbors.map(neighbor => neighborConfig(neighbor, config)).join('\n')}
`;
}

function neighborConfig(neighbor: NeighborSpec, config: DaemonConfig): string {
  const restart = neighbor.gracefulRestart === true;
  const family = (name: string): string => `
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${name}"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = ${restart}`;
  return `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${neighbor.address}"
    peer-as = ${neighbor.asn}
    ${neighbor.password === undefined ? '' : `auth-password = "${neighbor.password}"`}
  [neighbors.transport.config]
    passive-mode = ${neighbor.passive === true}
    local-address = "${neighbor.address.includes(':') ? config.address6 : config.address}"
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
    hold-time = ${neighbor.holdTime ?? 90}
    keepalive-interval = ${Math.floor((neighbor.holdTime ?? 90) / 3)}
  [neighbors.graceful-restart.config]
    enabled = ${restart}
    restart-time = 20
  [neighbors.route-reflector.config]
    route-reflector-client = ${neighbor.client === true}
    route-reflector-cluster-id = "${config.routerId}"
${family('ipv4-unicast')}${family('ipv6-unicast')}
`;
}

/** Attribute type codes, as GoBGP prints them. */
const Code = {
  asPath: 2,
  nextHop: 3,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  extended: 16,
  large: 32,
} as const;

function routeOf(prefix: string, path: GobgpPath): DaemonRoute {
  const find = (code: number): GobgpAttribute | undefined => path.attrs.find(attribute => attribute.type === code);
  const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
  return {
    prefix,
    asPath: (find(Code.asPath)?.as_paths ?? []).flatMap(segment => segment.asns).join(' '),
    nextHop: find(Code.nextHop)?.nexthop ?? find(Code.mpReach)?.nexthop ?? '',
    communities: (find(Code.communities)?.communities ?? []).map(value => `${value >>> 16}:${value & 0xffff}`),
    largeCommunities: list(find(Code.large)?.value).map(value => {
      const { ASN, LocalData1, LocalData2 } = value as { ASN: number; LocalData1: number; LocalData2: number };
      return `${ASN}:${LocalData1}:${LocalData2}`;
    }),
    extendedCommunities: list(find(Code.extended)?.value).map(value => {
      const { value: text } = value as { value?: string };
      return `rt:${text ?? ''}`;
    }),
    originatorId: text(find(Code.originatorId)?.value),
    clusterList: list(find(Code.clusterList)?.value).map(String),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
