/** GoBGP: neighbours from a file, networks over its API by `gobgp`, tables as the JSON that prints. Impure. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program, Topology } from '../../lab/topology/topology.js';
import { waitFor } from '../../lab/topology/commands.js';
import {
  communityText,
  control,
  isIpv6,
  localAddress,
  START_PATIENCE,
  type Daemon,
  type DaemonKind,
  type Neighbour,
  type Origin,
  type Plan,
  type Seen,
} from './daemon.js';

export const gobgp: DaemonKind = {
  name: 'GoBGP',
  lacks: {
    collides: 'it makes no connection of its own once it has accepted one: five rounds, one connection in each',
    askRefresh: 'it keeps what it received and filters that again; `gobgp` has no command that sends ROUTE-REFRESH',
  },
  create: (topology, plan) => new Gobgp(topology, plan),
};

interface Attribute {
  readonly type: number;
  readonly value?: unknown;
  readonly as_paths?: readonly { readonly asns: readonly number[] }[];
  readonly communities?: readonly number[];
  readonly nexthop?: string;
}
interface Path {
  readonly attrs: readonly Attribute[];
  readonly best?: boolean;
  readonly stale?: boolean;
}
interface NeighbourState {
  readonly state: { readonly neighbor_address?: string; readonly session_state?: number };
}
/** SessionState of GoBGP's API. */
const ESTABLISHED = 6;

class Gobgp implements Daemon {
  program!: Program;
  private starts = 0;
  private origins: readonly Origin[] = [];
  private readonly config: string;

  constructor(
    private readonly topology: Topology,
    readonly plan: Plan,
  ) {
    this.config = join(topology.folder, `${plan.host}-gobgp.toml`);
  }

  async start(): Promise<void> {
    const isRestart = this.plan.gracefulRestart && this.starts++ > 0;
    // It has its networks from commands: peers that are there before them would get an End-of-RIB without them.
    writeFileSync(this.config, configText(this.plan, isRestart));
    this.program = this.topology.start(this.plan.host, 'gobgp', 'gobgpd', [
      '-t',
      'toml',
      '-f',
      this.config,
      '--api-hosts',
      '127.0.0.1:50051',
      '-l',
      'debug',
      ...(isRestart ? ['-r'] : []),
    ]);
    await waitFor('an answer of GoBGP', START_PATIENCE, () => this.gobgp('global'));
    await this.announce('add', this.origins);
    if (isRestart) for (const { address } of this.plan.neighbours) await this.enable(address);
  }

  async established(neighbour: string): Promise<boolean> {
    const states = JSON.parse(await this.gobgp('neighbor', '-j')) as NeighbourState[];
    return states.some(({ state }) => state.neighbor_address === neighbour && state.session_state === ESTABLISHED);
  }

  async prefixes(): Promise<ReadonlySet<string>> {
    const tables = await Promise.all(['ipv4', 'ipv6'].map(family => this.table(family)));
    return new Set(tables.flatMap(table => Object.keys(table)));
  }

  async route(prefix: string): Promise<Seen | undefined> {
    const [path] = (await this.table(isIpv6(prefix) ? 'ipv6' : 'ipv4', prefix))[prefix] ?? [];
    if (path === undefined) return undefined;
    const attribute = (type: number): Attribute | undefined => path.attrs.find(attr => attr.type === type);
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- names the items at each use
    const list = <T>(type: number): readonly T[] => (attribute(type)?.value as readonly T[] | undefined) ?? [];
    return {
      nextHop: attribute(3)?.nexthop ?? attribute(14)?.nexthop ?? '',
      stale: path.stale ?? false,
      asPath: (attribute(2)?.as_paths ?? []).flatMap(({ asns }) => asns).join(' '),
      communities: (attribute(8)?.communities ?? []).map(communityText),
      extended: list<{ subtype: number; value: string }>(16).map(
        ({ subtype, value }) => `${subtype === 2 ? 'rt' : subtype}:${value}`,
      ),
      large: list<{ ASN: number; LocalData1: number; LocalData2: number }>(32).map(
        large => `${large.ASN}:${large.LocalData1}:${large.LocalData2}`,
      ),
      originatorId: (attribute(9)?.value as string | undefined) ?? null,
      clusterList: list<string>(10),
    };
  }

  async originate(origins: readonly Origin[]): Promise<void> {
    await this.announce('del', this.origins);
    this.origins = origins;
    await this.announce('add', origins);
  }

  async shutdown(neighbour: string, message: string): Promise<void> {
    // `disable` alone sends no text, and after `shutdown` alone it would come back.
    await this.gobgp('neighbor', neighbour, 'shutdown', '--reason', message);
    await this.gobgp('neighbor', neighbour, 'disable');
  }

  async enable(neighbour: string): Promise<void> {
    await this.gobgp('neighbor', neighbour, 'enable');
  }

  async refresh(neighbour: string): Promise<void> {
    await this.gobgp('neighbor', neighbour, 'softresetin');
  }

  reasons(): Promise<string> {
    return Promise.resolve(this.program.log());
  }

  private async announce(what: 'add' | 'del', origins: readonly Origin[]): Promise<void> {
    for (const { prefix, communities = [], extended = [], large = [] } of origins) {
      await this.gobgp(
        'global',
        'rib',
        what,
        prefix,
        '-a',
        isIpv6(prefix) ? 'ipv6' : 'ipv4',
        'nexthop',
        isIpv6(prefix) ? this.plan.address6 : this.plan.address,
        ...(communities.length === 0 ? [] : ['community', communities.join(',')]),
        ...(large.length === 0 ? [] : ['large-community', large.join(',')]),
        ...extended.flatMap(text => ['rt', text.replace('rt:', '')]),
      );
    }
  }

  private async table(family: string, prefix?: string): Promise<Readonly<Record<string, readonly Path[]>>> {
    const { stdout } = await this.topology.exec(this.plan.host, 'gobgp', [
      'global',
      'rib',
      ...(prefix === undefined ? [] : [prefix]),
      '-a',
      family,
      '-j',
    ]);
    // A prefix it does not have is an error to `gobgp`, and so is no JSON.
    return stdout.startsWith('{') ? (JSON.parse(stdout) as Record<string, Path[]>) : {};
  }

  private gobgp(...args: readonly string[]): Promise<string> {
    return control(this.topology, this.plan, 'gobgp', args);
  }
}

function configText(plan: Plan, isDown: boolean): string {
  return `
[global.config]
  as = ${plan.asn}
  router-id = "${plan.address}"
  port = 179
  local-address-list = ["${plan.address}", "${plan.address6}", "${plan.addressFar}"]
${plan.neighbours.map(neighbour => neighbourText(plan, neighbour, isDown)).join('')}`;
}

function neighbourText(plan: Plan, neighbour: Neighbour, isDown: boolean): string {
  return `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${neighbour.address}"
    peer-as = ${neighbour.asn}
    admin-down = ${isDown}
    ${neighbour.password === undefined ? '' : `auth-password = "${neighbour.password}"`}
  [neighbors.transport.config]
    local-address = "${localAddress(plan, neighbour)}"
    passive-mode = ${neighbour.passive === true}
  [neighbors.timers.config]
    hold-time = ${plan.holdTime}
    keepalive-interval = ${Math.floor(plan.holdTime / 3)}
    connect-retry = 1
    idle-hold-time-after-reset = 1
${plan.gracefulRestart ? '  [neighbors.graceful-restart.config]\n    enabled = true\n    restart-time = 20\n' : ''}
${neighbour.far === true ? '  [neighbors.ebgp-multihop.config]\n    enabled = true\n    multihop-ttl = 255\n' : ''}
${neighbour.gtsm === true ? '  [neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255\n' : ''}
${neighbour.client === true ? `  [neighbors.route-reflector.config]\n    route-reflector-client = true\n    route-reflector-cluster-id = "${plan.address}"\n` : ''}
${['ipv4-unicast', 'ipv6-unicast']
  .map(
    family => `  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${family}"
${plan.gracefulRestart ? '    [neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true\n' : ''}`,
  )
  .join('')}`;
}
