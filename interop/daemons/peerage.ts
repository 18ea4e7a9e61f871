/** Our own speaker, seen as one daemon among others; scenarios use `own` for what only we can be asked. Impure. */

import { stringify } from 'yaml';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import type { Topology } from '../../lab/topology/topology.js';
import { waitFor } from '../../lab/topology/commands.js';
import type { Program } from '../../lab/topology/topology.js';
import {
  localAddress,
  START_PATIENCE,
  type Daemon,
  type DaemonKind,
  type Neighbour,
  type Origin,
  type Plan,
  type Seen,
} from './daemon.js';

export const peerage: DaemonKind = {
  name: 'Peerage',
  lacks: {},
  create: (topology, plan) => new Peerage(topology, plan),
};

export class Peerage implements Daemon {
  /** Undefined before the first start. */
  private process: PeerageProcess | undefined;
  private origins: readonly Origin[] = [];

  constructor(
    private readonly topology: Topology,
    readonly plan: Plan,
  ) {}

  get own(): PeerageProcess {
    if (this.process === undefined) throw new Error(`${this.plan.host} has not been started`);
    return this.process;
  }

  get program(): Program {
    return this.own.program;
  }

  async start(): Promise<void> {
    if (this.process === undefined)
      this.process = PeerageProcess.speaker(this.topology, this.plan.host, configText(this.plan, this.origins));
    else this.process.restart();
    await waitFor('an answer of Peerage', START_PATIENCE, () => this.own.client.get('/v1/summary'));
  }

  /** Sets the networks before the first start, which is quicker than a change of a running one. */
  prepare(origins: readonly Origin[]): void {
    this.origins = origins;
  }

  async established(neighbour: string): Promise<boolean> {
    return (await this.own.peer(neighbour)).state === 'Established';
  }

  async prefixes(): Promise<ReadonlySet<string>> {
    return new Set((await this.own.routes()).map(({ prefix }) => prefix));
  }

  async route(prefix: string): Promise<Seen | undefined> {
    for await (const item of this.own.client.list('/v1/routes', { prefix })) {
      const route = item as Seen & {
        readonly best: boolean;
        readonly extendedCommunities: readonly string[];
        readonly largeCommunities: readonly string[];
      };
      if (route.best) return { ...route, extended: route.extendedCommunities, large: route.largeCommunities };
    }
    return undefined;
  }

  originate(origins: readonly Origin[]): Promise<void> {
    this.origins = origins;
    this.own.configure(configText(this.plan, origins));
    return Promise.resolve();
  }

  async shutdown(neighbour: string, message: string): Promise<void> {
    await this.own.act(neighbour, 'disable', { message });
  }

  async enable(neighbour: string): Promise<void> {
    await this.own.act(neighbour, 'enable');
  }

  async refresh(neighbour: string): Promise<void> {
    await this.own.act(neighbour, 'refresh', { direction: 'in' });
  }

  /** What we remember of why the session ended last, and nothing else. */
  async lastError(neighbour: string): Promise<string> {
    return (await this.own.peer(neighbour)).lastError?.text ?? '';
  }

  async reasons(neighbour: string): Promise<string> {
    return `${(await this.own.peer(neighbour)).lastError?.text ?? ''}\n${this.program.log()}`;
  }
}

function configText(plan: Plan, origins: readonly Origin[]): string {
  const peer = (neighbour: Neighbour): object => ({
    name: neighbour.address,
    address: neighbour.address,
    asn: neighbour.asn,
    localAddress: localAddress(plan, neighbour),
    passive: neighbour.passive ?? false,
    holdTime: plan.holdTime,
    connectRetryTime: 1,
    idleHoldTime: { min: 1, max: 2 },
    ...(neighbour.password === undefined ? {} : { password: { value: neighbour.password } }),
    ...(neighbour.client === true ? { routeReflectorClient: true } : {}),
    ...hops(neighbour),
    export: 'colours',
  });
  return stringify({
    router: {
      asn: plan.asn,
      id: plan.address,
      listen: [`${plan.address}:179`, `${plan.addressFar}:179`, `[${plan.address6}]:179`],
      gracefulRestart: plan.gracefulRestart ? { restartTime: 20, staleTime: 30, deferralTime: 5 } : false,
    },
    peers: plan.neighbours.map(peer),
    networks: origins.map(({ prefix, communities, large }) =>
      communities === undefined && large === undefined
        ? prefix
        : {
            prefix,
            ...(communities === undefined ? {} : { communities }),
            ...(large === undefined ? {} : { largeCommunities: large }),
          },
    ),
    // Only who has left routes in the kernel may say after a restart that it has kept forwarding.
    fib: { install: plan.gracefulRestart },
    ...policies(origins),
  });
}

function hops({ gtsm = false, far = false }: Neighbour): object {
  if (gtsm) return { ttlSecurity: { hops: 1 } };
  return far ? { multihop: 255 } : {};
}

/** Networks take standard and large communities themselves; extended ones are put on by an export policy. */
function policies(origins: readonly Origin[]): object {
  const terms = origins
    .filter(({ extended = [] }) => extended.length > 0)
    .map(({ prefix, extended }) => ({
      match: { prefixes: prefix },
      set: { addCommunities: extended },
      then: 'accept',
    }));
  return { policies: { colours: { terms, otherwise: 'accept' } } };
}
