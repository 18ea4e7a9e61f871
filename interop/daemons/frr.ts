/** FRRouting's bgpd (Debian's frr), without zebra, asked through vtysh in JSON. */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, waitFor } from '../../lab/topology/commands.js';
import type { Topology } from '../../lab/topology/topology.js';
import type { Daemon, DaemonConfig, DaemonRoute, NeighborSpec, NetworkSpec, RunningDaemon } from './daemon.js';

export const frr: Daemon = {
  name: 'FRR 8',
  lacks: {},
  start: async (topology, config) => {
    const daemon = new Frr(topology, config);
    await daemon.open();
    return daemon;
  },
};

class Frr implements RunningDaemon {
  program!: RunningDaemon['program'];
  private readonly folder: string;
  private readonly file: string;

  constructor(
    private readonly topology: Topology,
    private config: DaemonConfig,
  ) {
    this.folder = join(topology.folder, `${config.host}-frr`);
    this.file = join(this.folder, 'frr.conf');
    mkdirSync(this.folder);
    writeFileSync(this.file, frrConfig(config));
  }

  async open(): Promise<void> {
    // bgpd gives up root for the user frr, who must be able to reach its files.
    chmodSync(this.topology.folder, 0o755);
    await run('chown', '-R', 'frr:frr', this.folder);
    this.restart();
  }

  restart(): void {
    const args = [
      '-n',
      '-Z',
      '-f',
      this.file,
      '-i',
      join(this.folder, 'bgpd.pid'),
      '--vty_socket',
      this.folder,
      '-P',
      '0',
      '--log',
      'stdout',
      '--log-level',
      'debugging',
    ];
    this.program = this.topology.start(this.config.host, `bgpd-${this.config.host}`, '/usr/lib/frr/bgpd', args);
  }

  async established(neighbor: string): Promise<boolean> {
    const all = (await this.json(`show bgp neighbors ${neighbor} json`)) as
      Record<string, { readonly bgpState?: string }> | undefined;
    return all?.[neighbor]?.bgpState === 'Established';
  }

  async routes(): Promise<DaemonRoute[]> {
    const tables = await Promise.all(
      ['ipv4', 'ipv6'].map(family => this.json(`show bgp ${family} unicast detail json`)),
    );
    return tables
      .flatMap(table => Object.entries((table as FrrTable | undefined)?.routes ?? {}))
      .flatMap(([prefix, entry]) => {
        const paths = 'paths' in entry ? entry.paths : entry;
        const best = paths.find(path => path.bestpath?.overall === true);
        return best === undefined ? [] : [routeOf(prefix, best)];
      });
  }

  async reconfigure(config: DaemonConfig): Promise<void> {
    const gone = this.config.networks.filter(old => !config.networks.some(network => network.prefix === old.prefix));
    const commands = [
      'configure terminal',
      ...config.networks.flatMap(routeMap),
      `router bgp ${config.asn}`,
      ...['ipv4', 'ipv6'].flatMap(family => [
        `address-family ${family} unicast`,
        ...gone.filter(network => familyOf(network) === family).map(network => `no network ${network.prefix}`),
        ...config.networks.filter(network => familyOf(network) === family).map(networkLine),
        'exit-address-family',
      ]),
    ];
    this.config = config;
    await this.vtysh(...commands);
  }

  async shutdown(neighbor: string, message: string): Promise<void> {
    await this.vtysh(
      'configure terminal',
      `router bgp ${this.config.asn}`,
      `neighbor ${neighbor} shutdown message ${message}`,
    );
  }

  async refreshIn(neighbor: string): Promise<void> {
    await this.vtysh(`clear bgp ${neighbor} in`);
  }

  async report(neighbor: string): Promise<string> {
    return (await this.vtysh(`show bgp neighbors ${neighbor}`)) + this.program.log();
  }

  private async vtysh(...commands: readonly string[]): Promise<string> {
    const args = ['--vty_socket', this.folder, '-d', 'bgpd', ...commands.flatMap(command => ['-c', command])];
    return waitFor('vtysh', 10_000, async () => {
      const { stdout, code } = await this.topology.exec(this.config.host, 'vtysh', args);
      return code === 0 ? stdout : undefined;
    });
  }

  private async json(command: string): Promise<unknown> {
    try {
      return JSON.parse(await this.vtysh(command)) as unknown;
    } catch {
      return undefined;
    }
  }
}

interface FrrPath {
  readonly bestpath?: { readonly overall?: boolean };
  readonly aspath?: { readonly string?: string };
  readonly nexthops?: readonly { readonly ip?: string; readonly scope?: string }[];
  readonly community?: { readonly list?: readonly string[] };
  readonly largeCommunity?: { readonly list?: readonly string[] };
  readonly extendedCommunity?: { readonly string?: string };
  readonly originatorId?: string;
  readonly clusterList?: { readonly list?: readonly string[] };
}

interface FrrTable {
  readonly routes?: Readonly<Record<string, { readonly paths: readonly FrrPath[] } | readonly FrrPath[]>>;
}

function familyOf({ prefix }: NetworkSpec): 'ipv4' | 'ipv6' {
  return prefix.includes(':') ? 'ipv6' : 'ipv4';
}

function mapName({ prefix }: NetworkSpec): string {
  return `set-${prefix.replaceAll(/[/:.]/g, '-')}`;
}

/** `network` takes attributes from a route map. */
function routeMap(network: NetworkSpec): string[] {
  const { communities = [], largeCommunities = [], routeTarget } = network;
  return [
    `route-map ${mapName(network)} permit 10`,
    ...(communities.length === 0 ? [] : [` set community ${communities.join(' ')}`]),
    ...(largeCommunities.length === 0 ? [] : [` set large-community ${largeCommunities.join(' ')}`]),
    ...(routeTarget === undefined ? [] : [` set extcommunity rt ${routeTarget}`]),
    'exit',
  ];
}

function networkLine(network: NetworkSpec): string {
  return `network ${network.prefix} route-map ${mapName(network)}`;
}

function frrConfig(config: DaemonConfig): string {
  const restart = config.neighbors.some(neighbor => neighbor.gracefulRestart === true);
  const family = (name: 'ipv4' | 'ipv6', others: readonly NeighborSpec[]): string => `
 address-family ${name} unicast
${config.networks
  .filter(network => familyOf(network) === name)
  .map(network => `  ${networkLine(network)}`)
  .join('\n')}
${others.map(({ address, client }) => `  neighbor ${address} activate\n${client === true ? `  neighbor ${address} route-reflector-client\n` : ''}  neighbor ${address} soft-reconfiguration inbound${name === 'ipv6' && client !== true ? `\n  neighbor ${address} route-map next-hop-6 out` : ''}`).join('\n')}
 exit-address-family`;
  return `
hostname ${config.host}
${config.networks.flatMap(routeMap).join('\n')}
route-map next-hop-6 permit 10
 set ipv6 next-hop global ${config.address6}
exit
router bgp ${config.asn}
 bgp router-id ${config.routerId}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 timers bgp 3 90
 bgp log-neighbor-changes
${restart ? ' bgp graceful-restart\n bgp graceful-restart restart-time 20\n bgp graceful-restart preserve-fw-state' : ''}
${config.neighbors.map(neighborConfig).join('\n')}
${family('ipv4', config.neighbors)}
${family('ipv6', config.neighbors)}
`;
}

function neighborConfig({ address, asn, passive, password, holdTime, ttlSecurity }: NeighborSpec): string {
  const lines = [
    `remote-as ${asn}`,
    'timers connect 1',
    'advertisement-interval 0',
    ...(holdTime === undefined ? [] : [`timers ${Math.floor(holdTime / 3)} ${holdTime}`]),
    ...(passive === true ? ['passive'] : []),
    ...(password === undefined ? [] : [`password ${password}`]),
    ...(ttlSecurity === true ? ['ttl-security hops 1'] : []),
  ];
  return lines.map(line => ` neighbor ${address} ${line}`).join('\n');
}

function routeOf(prefix: string, path: FrrPath): DaemonRoute {
  return {
    prefix,
    asPath: path.aspath?.string === 'Local' ? '' : (path.aspath?.string ?? ''),
    nextHop: path.nexthops?.find(hop => hop.scope !== 'link-local')?.ip ?? '',
    communities: path.community?.list ?? [],
    largeCommunities: path.largeCommunity?.list ?? [],
    extendedCommunities: (path.extendedCommunity?.string ?? '')
      .split(' ')
      .filter(text => text !== '')
      .map(text => text.toLowerCase()),
    originatorId: path.originatorId,
    clusterList: path.clusterList?.list ?? [],
  };
}
