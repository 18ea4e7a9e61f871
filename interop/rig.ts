/** The three hosts of a scenario on one rack: us, the other make, and where needed a third that peers with one of them. */

import { waitFor } from '../lab/topology/commands.js';
import type { Topology } from '../lab/topology/topology.js';
import type { Daemon, DaemonKind, Feature, Neighbour, Plan, Seen } from './daemons/daemon.js';
import { peerage, Peerage } from './daemons/peerage.js';

/** How one side of a session is configured; what is missing has its default. */
export interface Side {
  readonly asn?: number;
  readonly passive?: boolean;
  readonly password?: string;
  readonly gtsm?: boolean;
  /** Reflects the other side's routes, and the third's if that peers here. */
  readonly reflector?: boolean;
}

export interface Setup {
  readonly us?: Side;
  readonly them?: Side;
  /** Peers with `of`; made by us, or of the same make as `them`. */
  readonly third?: { readonly made: 'peerage' | 'same'; readonly of: 'us' | 'them'; readonly asn: number };
  /** Seconds. */
  readonly holdTime?: number;
  readonly gracefulRestart?: boolean;
  /** The session itself runs over IPv6. */
  readonly over6?: boolean;
  /** The session runs through the rack's router. */
  readonly far?: boolean;
}

export interface Scenario extends Setup {
  readonly name: string;
  readonly needs?: readonly Feature[];
  readonly run: (rig: Rig) => Promise<void>;
}

export interface Rig {
  readonly topology: Topology;
  readonly us: Peerage;
  readonly them: Daemon;
  /** @throws Error when the scenario has no third */
  readonly third: () => Daemon;
  /** The address under which `us` has `them`, and they us. */
  readonly theirAddress: string;
  readonly ourAddress: string;
}

const HOSTS = {
  us: { host: 'us', address: '10.9.0.1', address6: 'fd09::1', addressFar: '10.7.0.1', asn: 65001 },
  them: { host: 'them', address: '10.9.0.2', address6: 'fd09::2', addressFar: '10.7.0.2', asn: 65002 },
  third: { host: 'third', address: '10.9.0.3', address6: 'fd09::3', addressFar: '10.7.0.3' },
} as const;
export const THIRD_ADDRESS = HOSTS.third.address;

/** Milliseconds for a session to come up or a route to arrive on a busy machine. */
const PATIENCE = 60_000;

export async function buildRack(topology: Topology): Promise<void> {
  await topology.bridge('rack');
  for (const { host, address, address6 } of Object.values(HOSTS)) {
    await topology.host(host);
    await topology.attach({ host, link: 'eth0', addresses: [`${address}/24`, `${address6}/64`] }, 'rack');
  }
  await buildRouter(topology);
}

/** One more host, through which the far addresses of the others are reached: one hop that costs packets a TTL of 1. */
async function buildRouter(topology: Topology): Promise<void> {
  const router = '10.9.0.254';
  await topology.host('router');
  await topology.attach({ host: 'router', link: 'eth0', addresses: [`${router}/24`] }, 'rack');
  await topology.forward('router');
  // Or it would show them the way past it.
  await topology.sysctl('router', 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.eth0.send_redirects=0');
  for (const { host, address, addressFar } of Object.values(HOSTS)) {
    await topology.ip(host, 'address', 'add', `${addressFar}/32`, 'dev', 'lo');
    await topology.ip(host, 'route', 'add', '10.7.0.0/24', 'via', router, 'src', addressFar);
    await topology.ip('router', 'route', 'add', `${addressFar}/32`, 'via', address);
  }
}

/** Configures all sides of a scenario; nothing is started yet. */
export function buildRig(
  topology: Topology,
  kind: DaemonKind,
  setup: Setup,
): Rig & { readonly all: readonly Daemon[] } {
  const { over6 = false, far = false, third } = setup;
  const address = (host: 'us' | 'them'): string =>
    far ? HOSTS[host].addressFar : over6 ? HOSTS[host].address6 : HOSTS[host].address;
  const asn = { us: setup.us?.asn ?? HOSTS.us.asn, them: setup.them?.asn ?? HOSTS.them.asn };
  const plan = (host: 'us' | 'them', other: 'us' | 'them'): Plan => {
    const side = setup[host] ?? {};
    const neighbours: Neighbour[] = [
      { address: address(other), asn: asn[other], ...(far ? { far } : {}), ...options(side) },
      ...(third?.of === host ? [{ address: THIRD_ADDRESS, asn: third.asn, ...client(side) }] : []),
    ];
    return { ...HOSTS[host], asn: asn[host], ...common(setup), neighbours };
  };
  const us = new Peerage(topology, plan('us', 'them'));
  const them = kind.create(topology, plan('them', 'us'));
  const third_ = third === undefined ? undefined : thirdDaemon(topology, kind, setup, third, asn[third.of]);
  return {
    topology,
    us,
    them,
    all: third_ === undefined ? [us, them] : [us, them, third_],
    third: () => {
      if (third_ === undefined) throw new Error('the scenario has no third speaker');
      return third_;
    },
    theirAddress: address('them'),
    ourAddress: address('us'),
  };
}

function thirdDaemon(
  topology: Topology,
  kind: DaemonKind,
  setup: Setup,
  third: NonNullable<Setup['third']>,
  itsNeighbour: number,
): Daemon {
  return (third.made === 'same' ? kind : peerage).create(topology, {
    ...HOSTS.third,
    asn: third.asn,
    ...common(setup),
    neighbours: [{ address: HOSTS[third.of].address, asn: itsNeighbour }],
  });
}

function common({ holdTime = 30, gracefulRestart = false }: Setup): Pick<Plan, 'holdTime' | 'gracefulRestart'> {
  return { holdTime, gracefulRestart };
}

function options({ passive, password, gtsm, ...side }: Side): Partial<Neighbour> {
  return {
    ...(passive === undefined ? {} : { passive }),
    ...(password === undefined ? {} : { password }),
    ...(gtsm === undefined ? {} : { gtsm }),
    ...client(side),
  };
}

function client({ reflector = false }: Side): Partial<Neighbour> {
  return reflector ? { client: true } : {};
}

/** Waits for the session on both sides, and for the third's if there is one. */
export async function sessionsUp({ us, them, theirAddress, ourAddress }: Rig, third?: [Daemon, string]): Promise<void> {
  await until('the session in our eyes', () => us.established(theirAddress));
  await until('the session in their eyes', () => them.established(ourAddress));
  if (third !== undefined) await until("the third's session", () => third[0].established(third[1]));
}

export async function until(what: string, ask: () => Promise<boolean>, patience = PATIENCE): Promise<void> {
  await waitFor(what, patience, async () => ((await ask()) ? true : undefined));
}

export function has(daemon: Daemon, prefix: string): Promise<Seen> {
  return waitFor(`${prefix} at ${daemon.plan.host}`, PATIENCE, () => daemon.route(prefix));
}

export async function hasNot(daemon: Daemon, prefix: string): Promise<void> {
  await until(`the end of ${prefix} at ${daemon.plan.host}`, async () => !(await daemon.prefixes()).has(prefix));
}
