/**
 * What direct server return needs besides virtual servers: addresses that are not this node's own, and pods of this node that
 * have them. Pure.
 *
 * A pod answers with the service's address as source. The node that passes the answer on drops it as a forgery where that
 * address is its own, so such an address must not be on the services' link, or in the table `local`, of any node.
 */

import type { IpText } from '../../kube/objectTypes.js';
import type {
  BackendLists,
  Family,
  Frontend,
  FrontendKey,
  KeyedChange,
  ProxyDelta,
  ServiceAddress,
  ServicePortKey,
} from '../proxyTypes.js';

export interface DsrChanges {
  /** What the backend is told: without addresses that belong to direct server return. */
  readonly delta: ProxyDelta;
  /** Addresses that begin or end to. */
  readonly addresses: KeyedChange<IpText, ServiceAddress>;
  /** Address of a pod of this node → the services' addresses it shall have, of its family; empty: none any more. */
  readonly pods: ReadonlyMap<IpText, ReadonlySet<IpText>>;
}

export interface DsrPlan {
  apply(delta: ProxyDelta): DsrChanges;
  /** Of all pods of this node that have any. */
  readonly pods: ReadonlyMap<IpText, ReadonlySet<IpText>>;
}

export function createDsrPlan(): DsrPlan {
  return new Plan();
}

class Plan implements DsrPlan {
  readonly pods = new Map<IpText, ReadonlySet<IpText>>();
  /** Only frontends of direct server return. */
  private readonly frontends = new Map<FrontendKey, Frontend>();
  private readonly byPort = new Map<ServicePortKey, Set<FrontendKey>>();
  private readonly lists = new Map<ServicePortKey, BackendLists>();
  private readonly users = new Map<IpText, Set<FrontendKey>>();
  /** All addresses that the backend would be told of. */
  private readonly known = new Map<IpText, ServiceAddress>();
  private readonly taken = new Map<IpText, ServiceAddress>();
  /** Who gives a pod an address: a service port each. */
  private readonly claims = new Map<IpText, Map<ServicePortKey, ReadonlySet<IpText>>>();
  private readonly claimed = new Map<ServicePortKey, ReadonlySet<IpText>>();
  /** Whose users changed since they were last looked at. */
  private readonly stirred = new Set<IpText>();

  apply(delta: ProxyDelta): DsrChanges {
    const ports = new Set<ServicePortKey>();
    for (const key of delta.frontends.removed) this.forget(key, ports);
    for (const [key, frontend] of delta.frontends.set) {
      this.forget(key, ports);
      if (frontend.dsr && frontend.address !== undefined) this.take(key, frontend, frontend.address, ports);
    }
    for (const key of delta.backends.removed) if (this.lists.delete(key)) ports.add(key);
    for (const [key, lists] of delta.backends.set) {
      this.lists.set(key, lists);
      ports.add(key);
    }
    const touched = new Set<IpText>();
    for (const port of ports) this.reviewPort(port, touched);
    const pods = new Map([...touched].map(pod => [pod, this.reviewPod(pod)] as const));
    return { ...this.reviewAddresses(delta), pods };
  }

  private take(key: FrontendKey, frontend: Frontend, address: IpText, ports: Set<ServicePortKey>): void {
    this.frontends.set(key, frontend);
    this.byPort.set(frontend.servicePort, (this.byPort.get(frontend.servicePort) ?? new Set()).add(key));
    this.users.set(address, (this.users.get(address) ?? new Set()).add(key));
    this.stirred.add(address);
    ports.add(frontend.servicePort);
  }

  private forget(key: FrontendKey, ports: Set<ServicePortKey>): void {
    const frontend = this.frontends.get(key);
    if (frontend?.address === undefined) return;
    this.frontends.delete(key);
    release(this.byPort, frontend.servicePort, key);
    release(this.users, frontend.address, key);
    this.stirred.add(frontend.address);
    ports.add(frontend.servicePort);
  }

  private reviewPort(port: ServicePortKey, touched: Set<IpText>): void {
    for (const pod of this.claimed.get(port) ?? []) {
      this.claims.get(pod)?.delete(port);
      touched.add(pod);
    }
    this.claimed.delete(port);
    const vips = [...(this.byPort.get(port) ?? [])].flatMap(key => this.frontends.get(key)?.address ?? []);
    const lists = this.lists.get(port);
    if (vips.length === 0 || lists === undefined) return;
    // Whoever still serves is sent packets of connections that it has.
    const all = [...lists.cluster, ...lists.local, ...lists.serving];
    const pods = new Set(all.filter(({ isLocal }) => isLocal).map(({ address }) => address));
    for (const pod of pods) {
      const claims = this.claims.get(pod) ?? new Map<ServicePortKey, ReadonlySet<IpText>>();
      this.claims.set(pod, claims.set(port, new Set(vips)));
      touched.add(pod);
    }
    this.claimed.set(port, pods);
  }

  private reviewPod(pod: IpText): ReadonlySet<IpText> {
    const claims = this.claims.get(pod);
    const vips = new Set([...(claims?.values() ?? [])].flatMap(set => [...set]));
    if (vips.size === 0) {
      this.claims.delete(pod);
      this.pods.delete(pod);
    } else {
      this.pods.set(pod, vips);
    }
    return vips;
  }

  private reviewAddresses(delta: ProxyDelta): Omit<DsrChanges, 'pods'> {
    for (const address of delta.addresses.removed) this.known.delete(address);
    for (const [address, value] of delta.addresses.set) this.known.set(address, value);
    const set = new Map(delta.addresses.set);
    const removed = new Set(delta.addresses.removed);
    const own = { set: new Map<IpText, ServiceAddress>(), removed: new Set<IpText>() };
    const stirred = new Set([...delta.addresses.removed, ...delta.addresses.set.keys(), ...this.stirred]);
    this.stirred.clear();
    for (const address of stirred) {
      const value = this.known.get(address);
      const isOurs = value !== undefined && this.users.has(address);
      if (isOurs) {
        set.delete(address);
        // It may have been the backend's before.
        if (!this.taken.has(address)) {
          removed.add(address);
          own.set.set(address, value);
          this.taken.set(address, value);
        }
      } else if (this.taken.delete(address)) {
        own.removed.add(address);
        if (value !== undefined) set.set(address, value);
      }
    }
    return { delta: { ...delta, addresses: { set, removed } }, addresses: own };
  }
}

function release<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}

export function familyOf(address: IpText): Family {
  return address.includes(':') ? 6 : 4;
}
