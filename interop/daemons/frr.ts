/** FRR's bgpd without zebra: configured by a file, and at run time through `vtysh`. Impure. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, waitFor } from '../../lab/topology/commands.js';
import type { Program, Topology } from '../../lab/topology/topology.js';
import {
  control,
  isIpv6,
  localAddress,
  START_PATIENCE,
  words,
  type Daemon,
  type DaemonKind,
  type Neighbour,
  type Origin,
  type Plan,
  type Seen,
} from './daemon.js';

export const frr: DaemonKind = {
  name: 'FRR',
  lacks: { md5Space: 'with a password of two words no session comes up; with all others it does' },
  create: (topology, plan) => new Frr(topology, plan),
};

/** bgpd gives up root, so its files live in the one folder that belongs to its user. */
const FOLDER = '/run/frr';

interface RouteJson {
  readonly paths?: readonly {
    readonly aspath?: { readonly string: string };
    readonly bestpath?: { readonly overall?: boolean };
    readonly community?: { readonly list: readonly string[] };
    readonly extendedCommunity?: { readonly string: string };
    readonly largeCommunity?: { readonly list: readonly string[] };
    readonly originatorId?: string;
    readonly clusterList?: { readonly list: readonly string[] };
    readonly nexthops?: readonly { readonly ip: string; readonly scope?: string }[];
    readonly stale?: boolean;
  }[];
}

class Frr implements Daemon {
  program!: Program;
  private origins: readonly Origin[] = [];
  private readonly folder: string;

  constructor(
    private readonly topology: Topology,
    readonly plan: Plan,
  ) {
    this.folder = join(FOLDER, topology.name(plan.host));
  }

  async start(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    const config = join(this.folder, 'bgpd.conf');
    writeFileSync(config, configText(this.plan, this.origins));
    await run('chown', '-R', 'frr:frr', FOLDER);
    this.program = this.topology.start(this.plan.host, 'frr', '/usr/lib/frr/bgpd', [
      '-n',
      '-Z',
      '-f',
      config,
      '-i',
      join(this.folder, 'pid'),
      '--vty_socket',
      this.folder,
      '-P',
      '0',
      '-l',
      this.plan.neighbours.some(({ far }) => far === true) ? this.plan.addressFar : this.plan.address,
      '--log',
      'stdout',
    ]);
    await waitFor('an answer of FRR', START_PATIENCE, () => this.vtysh('show bgp summary'));
  }

  async established(neighbour: string): Promise<boolean> {
    return /"bgpState":\s*"Established"/.test(await this.vtysh(`show bgp neighbors ${neighbour} json`));
  }

  async prefixes(): Promise<ReadonlySet<string>> {
    const tables = await Promise.all(
      ['ipv4', 'ipv6'].map(async family => {
        const text = await this.vtysh(`show bgp ${family} unicast json`);
        return text.trim() === '' ? {} : ((JSON.parse(text) as { routes?: object }).routes ?? {});
      }),
    );
    return new Set(tables.flatMap(table => Object.keys(table)));
  }

  async route(prefix: string): Promise<Seen | undefined> {
    const text = await this.vtysh(`show bgp ${isIpv6(prefix) ? 'ipv6' : 'ipv4'} unicast ${prefix} json`);
    if (!text.trimStart().startsWith('{')) return undefined;
    const path = (JSON.parse(text) as RouteJson).paths?.find(({ bestpath }) => bestpath?.overall === true);
    if (path === undefined) return undefined;
    return {
      nextHop: path.nexthops?.find(({ scope }) => scope !== 'link-local')?.ip ?? '',
      stale: path.stale ?? false,
      asPath: path.aspath?.string === 'Local' ? '' : (path.aspath?.string ?? ''),
      communities: path.community?.list ?? [],
      extended: words(path.extendedCommunity?.string).map(text => text.toLowerCase()),
      large: path.largeCommunity?.list ?? [],
      originatorId: path.originatorId ?? null,
      clusterList: path.clusterList?.list ?? [],
    };
  }

  async originate(origins: readonly Origin[]): Promise<void> {
    const old = this.origins;
    this.origins = origins;
    await this.configure([
      ...routeMaps(origins),
      `router bgp ${this.plan.asn}`,
      ...networkLines(old).map(line => (line.startsWith('network') ? `no ${line.replace(/ route-map.*/, '')}` : line)),
      ...networkLines(origins),
    ]);
  }

  async shutdown(neighbour: string, message: string): Promise<void> {
    await this.configure([`router bgp ${this.plan.asn}`, `neighbor ${neighbour} shutdown message ${message}`]);
  }

  async enable(neighbour: string): Promise<void> {
    await this.configure([`router bgp ${this.plan.asn}`, `no neighbor ${neighbour} shutdown`]);
  }

  async refresh(neighbour: string): Promise<void> {
    for (const family of ['ipv4', 'ipv6']) await this.vtysh(`clear bgp ${family} unicast ${neighbour} soft in`);
  }

  async reasons(neighbour: string): Promise<string> {
    return this.program.log() + (await this.vtysh(`show bgp neighbors ${neighbour}`));
  }

  private configure(lines: readonly string[]): Promise<string> {
    return this.vtysh('configure terminal', ...lines);
  }

  private vtysh(...commands: readonly string[]): Promise<string> {
    return control(this.topology, this.plan, 'vtysh', [
      '--vty_socket',
      this.folder,
      ...commands.flatMap(command => ['-c', command]),
    ]);
  }
}

function configText(plan: Plan, origins: readonly Origin[]): string {
  const session = (neighbour: Neighbour): string[] => [
    `neighbor ${neighbour.address} remote-as ${neighbour.asn}`,
    `neighbor ${neighbour.address} timers ${Math.floor(plan.holdTime / 3)} ${plan.holdTime}`,
    `neighbor ${neighbour.address} timers connect 1`,
    `neighbor ${neighbour.address} update-source ${localAddress(plan, neighbour)}`,
    ...(neighbour.passive === true ? [`neighbor ${neighbour.address} passive`] : []),
    ...(neighbour.password === undefined ? [] : [`neighbor ${neighbour.address} password ${neighbour.password}`]),
    ...(neighbour.far === true ? [`neighbor ${neighbour.address} ebgp-multihop 255`] : []),
    ...(neighbour.gtsm === true ? [`neighbor ${neighbour.address} ttl-security hops 1`] : []),
  ];
  const family = (name: 'ipv4' | 'ipv6'): string[] => [
    `address-family ${name} unicast`,
    ...plan.neighbours.flatMap(({ address, asn, client }) => [
      `neighbor ${address} activate`,
      ...(client === true ? [`neighbor ${address} route-reflector-client`] : []),
      // Without zebra it does not know its own IPv6 addresses.
      ...(name === 'ipv6' && asn !== plan.asn ? [`neighbor ${address} route-map self6 out`] : []),
    ]),
    'exit-address-family',
  ];
  return [
    'log stdout debugging',
    'debug bgp neighbor-events',
    ...routeMaps(origins),
    'route-map self6 permit 10',
    `set ipv6 next-hop global ${plan.address6}`,
    'exit',
    `router bgp ${plan.asn}`,
    `bgp router-id ${plan.address}`,
    'bgp log-neighbor-changes',
    'no bgp ebgp-requires-policy',
    // Or it answers a ROUTE-REFRESH with nothing when nothing has changed.
    'no bgp suppress-duplicates',
    'no bgp default ipv4-unicast',
    'no bgp network import-check',
    ...(plan.gracefulRestart
      ? [
          'bgp graceful-restart',
          'bgp graceful-restart restart-time 20',
          // Or it says that it has not kept forwarding, and its routes go with its return (RFC 4724 section 4.2).
          'bgp graceful-restart preserve-fw-state',
        ]
      : []),
    ...plan.neighbours.flatMap(session),
    ...family('ipv4'),
    ...family('ipv6'),
    ...networkLines(origins),
    '',
  ].join('\n');
}

const mapName = ({ prefix }: Origin): string => `from-${prefix.replaceAll(/[/:.]/g, '-')}`;

function routeMaps(origins: readonly Origin[]): string[] {
  return origins.flatMap(origin => [
    `route-map ${mapName(origin)} permit 10`,
    ...(origin.communities === undefined ? [] : [`set community ${origin.communities.join(' ')}`]),
    ...(origin.large === undefined ? [] : [`set large-community ${origin.large.join(' ')}`]),
    ...(origin.extended ?? []).map(text => `set extcommunity ${text.replace(':', ' ')}`),
    'exit',
  ]);
}

function networkLines(origins: readonly Origin[]): string[] {
  return [false, true].flatMap(six => [
    `address-family ${six ? 'ipv6' : 'ipv4'} unicast`,
    ...origins
      .filter(({ prefix }) => isIpv6(prefix) === six)
      .map(origin => `network ${origin.prefix} route-map ${mapName(origin)}`),
    'exit-address-family',
  ]);
}
