/** The virtual servers that one frontend needs, with their destinations: a pure function of it and its backends. */

import { formatAddress, parseAddress, type IpAddress } from '../../core/ip.js';
import type { Destination, Server, ServerId } from '../../kernel/ipvs/messages.js';
import * as vs from '../../kernel/ipvs/numbers.js';
import type { Protocol } from '../../kube/objectTypes.js';
import { backendsOf, type Backend, type BackendLists, type Frontend, type Scheduling } from '../proxyTypes.js';

export interface VirtualServer {
  readonly server: Server;
  /** By `address port`. */
  readonly destinations: ReadonlyMap<string, Destination>;
}

const PROTOCOLS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** The greatest weight that ipvsadm(8) takes, so that a person can read it and write it again. */
const HEAVIEST = 65_535;

/**
 * @param nodeAddresses this machine's that serve node ports, of any family
 * @returns by {@link serverKey}; none for a frontend that nobody of its list serves: what becomes of traffic to it then,
 * reject or drop, a firewall decides, and a virtual server without destinations would be in its way
 */
export function virtualServers(
  frontend: Frontend,
  lists: BackendLists | undefined,
  nodeAddresses: readonly IpAddress[],
): ReadonlyMap<string, VirtualServer> {
  const backends = backendsOf(frontend, lists);
  if (backends.length === 0) return new Map();
  const destinations = destinationsOf(frontend, backends);
  const { scheduling, affinity } = frontend;
  return new Map(
    serverIds(frontend, nodeAddresses).map(id => {
      const server = {
        ...id,
        scheduler: scheduling.scheduler,
        flags: flagsOf(scheduling, affinity !== undefined),
        timeout: affinity ?? 0,
      };
      return [serverKey(id), { server, destinations }];
    }),
  );
}

/** Where a frontend is served, whether there is anybody to serve it or not. @param nodeAddresses as above */
export function serverIds(
  { address, family, protocol, port }: Frontend,
  nodeAddresses: readonly IpAddress[],
): readonly ServerId[] {
  const addresses =
    address === undefined ? nodeAddresses.filter(({ version }) => version === family) : [addressOf(address)];
  return addresses.map(place => ({ address: place, protocol: PROTOCOLS[protocol], port }));
}

/** `10.96.0.1 6 80`. */
export function serverKey({ address, protocol, port }: ServerId): string {
  return `${formatAddress(address)} ${protocol} ${port}`;
}

export function destinationKey({ address, port }: Pick<Destination, 'address' | 'port'>): string {
  return `${formatAddress(address)} ${port}`;
}

/** By the list they were made of, since the frontends of a service have most lists in common. */
const [MASQUERADED, TUNNELLED] = [
  new WeakMap<readonly Backend[], ReadonlyMap<string, Destination>>(),
  new WeakMap<readonly Backend[], ReadonlyMap<string, Destination>>(),
];

function destinationsOf({ dsr }: Frontend, backends: readonly Backend[]): ReadonlyMap<string, Destination> {
  const made = dsr ? TUNNELLED : MASQUERADED;
  const known = made.get(backends) ?? makeDestinations(backends, dsr ? vs.IP_VS_CONN_F_TUNNEL : vs.IP_VS_CONN_F_MASQ);
  made.set(backends, known);
  return known;
}

function makeDestinations(backends: readonly Backend[], method: number): ReadonlyMap<string, Destination> {
  return new Map(
    backends.map(({ address, port, weight }) => {
      const destination = { address: addressOf(address), port, weight: Math.min(weight, HEAVIEST), method };
      return [destinationKey(destination), destination];
    }),
  );
}

function flagsOf({ fallback, port, flag3 }: Scheduling, isPersistent: boolean): number {
  return (
    (isPersistent ? vs.IP_VS_SVC_F_PERSISTENT : 0) |
    (fallback ? vs.IP_VS_SVC_F_SCHED1 : 0) |
    (port ? vs.IP_VS_SVC_F_SCHED2 : 0) |
    (flag3 ? vs.IP_VS_SVC_F_SCHED3 : 0)
  );
}

/** @throws RangeError when it is none: the derivation's mistake */
function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address.ok) throw new RangeError(address.error);
  return address.value;
}
