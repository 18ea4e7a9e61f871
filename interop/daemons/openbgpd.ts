/** OpenBGPD: configured by a file; networks and neighbours at run time through `bgpctl`, tables as its JSON. Impure. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../lab/topology/commands.js';
import type { Program, Topology } from '../../lab/topology/topology.js';
import {
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

export const openbgpd: DaemonKind = {
  name: 'OpenBGPD',
  lacks: {
    collides: 'it makes no connection of its own once it has accepted one: five rounds, one connection in each',
    md5Listener: '7.7 signs the connections that it makes, but accepts unsigned ones from a peer with a password',
    restarter:
      'its graceful restart capability names no address family: it has End-of-RIB and keeps routes of others only',
    answerRefresh: '7.7 answers requests, also those of BIRD, with "route refresh: AID IPv4 unicast not negotiated"',
  },
  create: (topology, plan) => new Openbgpd(topology, plan),
};

/** Home of the user it becomes, where it locks itself in; the package leaves it to systemd to make it. */
const HOME = '/run/openbgpd';

interface RibEntry {
  readonly prefix: string;
  readonly aspath?: string;
  readonly best?: boolean;
  readonly stale?: boolean;
  /** As it came; `true_nexthop` would be where packets go. */
  readonly exit_nexthop?: string;
  readonly communities?: readonly string[];
  readonly extended_communities?: readonly string[];
  readonly large_communities?: readonly string[];
  readonly originator?: string;
  readonly attributes?: readonly {
    readonly type: string;
    readonly communities?: readonly string[];
    readonly originator?: string;
    readonly cluster_list?: readonly string[];
  }[];
}

class Openbgpd implements Daemon {
  program!: Program;
  private origins: readonly Origin[] = [];
  private readonly config: string;
  private readonly socket: string;

  constructor(
    private readonly topology: Topology,
    readonly plan: Plan,
  ) {
    this.config = join(topology.folder, `${plan.host}-openbgpd.conf`);
    this.socket = join(topology.folder, `${plan.host}-openbgpd.sock`);
  }

  async start(): Promise<void> {
    mkdirSync(HOME, { recursive: true });
    writeFileSync(this.config, configText(this.plan, this.origins, this.socket), { mode: 0o600 });
    this.program = this.topology.start(this.plan.host, 'openbgpd', '/usr/sbin/bgpd', ['-d', '-v', '-f', this.config]);
    await waitFor('an answer of OpenBGPD', START_PATIENCE, () => this.bgpctl('show', 'summary'));
  }

  async established(neighbour: string): Promise<boolean> {
    return /BGP state = Established/.test(await this.bgpctl('show', 'neighbor', neighbour));
  }

  async prefixes(): Promise<ReadonlySet<string>> {
    return new Set((await this.rib('show', 'rib')).map(({ prefix }) => prefix));
  }

  async route(prefix: string): Promise<Seen | undefined> {
    const entries = (await this.rib('show', 'rib', 'detail', prefix)).filter(entry => entry.prefix === prefix);
    const entry = entries.find(({ best }) => best === true) ?? entries[0];
    if (entry === undefined) return undefined;
    const attributes = entry.attributes ?? [];
    return {
      nextHop: entry.exit_nexthop ?? '',
      stale: entry.stale ?? false,
      asPath: entry.aspath ?? '',
      communities: entry.communities ?? [],
      extended: (entry.extended_communities ?? []).map(text => text.replace(' ', ':')),
      large: entry.large_communities ?? [],
      originatorId:
        entry.originator ?? attributes.find(({ originator }) => originator !== undefined)?.originator ?? null,
      clusterList: attributes.flatMap(attribute => attribute.cluster_list ?? []),
    };
  }

  async originate(origins: readonly Origin[]): Promise<void> {
    this.origins = origins;
    writeFileSync(this.config, configText(this.plan, origins, this.socket), { mode: 0o600 });
    await this.bgpctl('reload');
  }

  async shutdown(neighbour: string, message: string): Promise<void> {
    await this.bgpctl('neighbor', neighbour, 'down', message);
  }

  async enable(neighbour: string): Promise<void> {
    await this.bgpctl('neighbor', neighbour, 'up');
  }

  async refresh(neighbour: string): Promise<void> {
    await this.bgpctl('neighbor', neighbour, 'refresh');
  }

  async reasons(neighbour: string): Promise<string> {
    return this.program.log() + (await this.bgpctl('show', 'neighbor', neighbour));
  }

  private async rib(...args: readonly string[]): Promise<readonly RibEntry[]> {
    const text = await this.bgpctl('-j', ...args);
    return text.trim() === '' ? [] : ((JSON.parse(text) as { rib?: readonly RibEntry[] }).rib ?? []);
  }

  private bgpctl(...args: readonly string[]): Promise<string> {
    return control(this.topology, this.plan, 'bgpctl', ['-s', this.socket, ...args]);
  }
}

function configText(plan: Plan, origins: readonly Origin[], socket: string): string {
  const session = (neighbour: Neighbour): string => `
neighbor ${neighbour.address} {
  remote-as ${neighbour.asn}
  local-address ${localAddress(plan, neighbour)}
  holdtime ${plan.holdTime}
  holdtime min 3
  announce IPv4 unicast
  announce IPv6 unicast
  announce refresh yes
  announce restart ${plan.gracefulRestart ? 'yes' : 'no'}
  ${neighbour.passive === true ? 'passive' : ''}
  ${neighbour.password === undefined ? '' : `tcp md5sig password "${neighbour.password}"`}
  ${neighbour.client === true ? 'route-reflector' : ''}
  ${multihop(neighbour)}
  ${neighbour.gtsm === true ? 'ttl-security yes' : ''}
}
`;
  const network = ({ prefix, communities = [], extended = [], large = [] }: Origin): string => {
    const set = [
      ...communities.map(text => `community ${text}`),
      ...large.map(text => `large-community ${text}`),
      ...extended.map(text => `ext-community ${text.replace(':', ' ')}`),
      ...(isIpv6(prefix) ? [`nexthop ${plan.address6}`] : []),
    ];
    return `network ${prefix}${set.length === 0 ? '' : ` set { ${set.join(' ')} }`}\n`;
  };
  return `
AS ${plan.asn}
router-id ${plan.address}
fib-update no
connect-retry 1
socket "${socket}"
listen on ${plan.address}
listen on ${plan.address6}
listen on ${plan.addressFar}
${origins.map(network).join('')}
${plan.neighbours.map(session).join('')}
allow from any
allow to any
${origins
  .filter(({ prefix }) => isIpv6(prefix))
  .map(({ prefix }) => `match to any prefix ${prefix} set nexthop no-modify\n`)
  .join('')}`;
}

/**
 * Over an IPv4 session it names the first IPv6 address of the host, ::1, as its own, and only a multihop session lets a
 * configured next hop stand (bgpd.conf(5), `nexthop no-modify`).
 */
function multihop({ address, far, gtsm }: Neighbour): string {
  if (far === true) return 'multihop 255';
  return gtsm === true || isIpv6(address) ? '' : 'multihop 2';
}
