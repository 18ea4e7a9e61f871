/** BIRD 2: configured by one file that `birdc configure` reads again; tables read from `birdc show route all`. Impure. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program, Topology } from '../../lab/topology/topology.js';
import { waitFor } from '../../lab/topology/commands.js';
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

export const bird: DaemonKind = {
  name: 'BIRD 2',
  lacks: {},
  create: (topology, plan) => new Bird(topology, plan),
};

class Bird implements Daemon {
  program!: Program;
  private starts = 0;
  private origins: readonly Origin[] = [];
  private readonly config: string;
  private readonly socket: string;

  constructor(
    private readonly topology: Topology,
    readonly plan: Plan,
  ) {
    this.config = join(topology.folder, `${plan.host}-bird.conf`);
    this.socket = join(topology.folder, `${plan.host}-bird.ctl`);
  }

  async start(): Promise<void> {
    this.write();
    this.program = this.topology.start(this.plan.host, 'bird', 'bird', [
      '-f',
      '-c',
      this.config,
      '-s',
      this.socket,
      // Recovers: only then does it claim to have kept forwarding.
      ...(this.plan.gracefulRestart && this.starts++ > 0 ? ['-R'] : []),
    ]);
    await waitFor('an answer of BIRD', START_PATIENCE, () => this.birdc('show', 'status'));
  }

  async established(neighbour: string): Promise<boolean> {
    return /BGP state:\s+Established/.test(await this.birdc('show', 'protocols', 'all', this.name(neighbour)));
  }

  async prefixes(): Promise<ReadonlySet<string>> {
    const text = await this.birdc('show', 'route');
    return new Set([...text.matchAll(/^([0-9a-f.:]+\/\d+) /gm)].map(match => match[1]!));
  }

  async route(prefix: string): Promise<Seen | undefined> {
    const text = (await this.birdc('show', 'route', 'for', prefix, 'all', 'primary')).replace(/\n\t\t+/g, ' ');
    if (!text.includes('BGP.')) return undefined;
    const field = (name: string): string | undefined => new RegExp(`BGP\\.${name}: (.*)`).exec(text)?.[1];
    const listed = (name: string): string[] =>
      [...(field(name) ?? '').matchAll(/\(([^)]*)\)/g)].map(match => match[1]!.replace(/,\s*/g, ':'));
    return {
      nextHop: words(field('next_hop'))[0] ?? '',
      stale: null,
      asPath: field('as_path') ?? '',
      communities: listed('community'),
      extended: listed('ext_community'),
      large: listed('large_community'),
      originatorId: field('originator_id') ?? null,
      clusterList: words(field('cluster_list')),
    };
  }

  async originate(origins: readonly Origin[]): Promise<void> {
    this.origins = origins;
    this.write();
    await this.birdc('configure');
  }

  async shutdown(neighbour: string, message: string): Promise<void> {
    await this.birdc('disable', this.name(neighbour), `"${message}"`);
  }

  async enable(neighbour: string): Promise<void> {
    await this.birdc('enable', this.name(neighbour));
  }

  async refresh(neighbour: string): Promise<void> {
    await this.birdc('reload', 'in', this.name(neighbour));
  }

  reasons(): Promise<string> {
    return Promise.resolve(this.program.log());
  }

  private birdc(...args: readonly string[]): Promise<string> {
    return control(this.topology, this.plan, 'birdc', ['-s', this.socket, ...args]);
  }

  private name(neighbour: string): string {
    return `n${this.plan.neighbours.findIndex(({ address }) => address === neighbour)}`;
  }

  private write(): void {
    const { plan } = this;
    const text = `
router id ${plan.address};
log stderr all;
protocol device { }
${['ipv4', 'ipv6'].map(family => statics(family, this.origins)).join('')}
${plan.neighbours.map((neighbour, i) => session(plan, neighbour, i)).join('')}`;
    writeFileSync(this.config, text);
  }
}

function statics(family: string, origins: readonly Origin[]): string {
  const routes = origins
    .filter(({ prefix }) => isIpv6(prefix) === (family === 'ipv6'))
    .map(({ prefix, communities = [], extended = [], large = [] }) => {
      const add = (list: string, values: readonly string[]): string =>
        values.map(value => ` ${list}.add((${value.replaceAll(':', ', ')}));`).join('');
      return `route ${prefix} blackhole {${add('bgp_community', communities)}${add('bgp_ext_community', extended)}${add('bgp_large_community', large)} };`;
    });
  return `protocol static { ${family}; ${routes.join('\n')} }\n`;
}

function session(plan: Plan, neighbour: Neighbour, index: number): string {
  return `
protocol bgp n${index} {
  debug { states, events };
  local ${localAddress(plan, neighbour)} as ${plan.asn};
  neighbor ${neighbour.address} as ${neighbour.asn};
  ${neighbour.far === true ? 'multihop 255' : 'direct'}; hold time ${plan.holdTime}; connect delay time 1; connect retry time 2; error wait time 1, 2;
  graceful restart ${plan.gracefulRestart ? 'on' : 'off'};
  ${neighbour.passive === true ? 'passive;' : ''}
  ${neighbour.password === undefined ? '' : `password "${neighbour.password}";`}
  ${neighbour.client === true ? 'rr client;' : ''}
  ${neighbour.gtsm === true ? 'ttl security on;' : ''}
  ipv4 { import all; export all; ${neighbour.far === true ? '' : 'gateway direct;'} };
  ipv6 { import all; export all; next hop address ${plan.address6}; };
}
`;
}
