/**
 * How long it takes from a change of a pod or service until the kernel serves by it: Kubernetes' service level of network
 * programming. The slice controller says when the change was (endpoints.kubernetes.io/last-change-trigger-time). Pure.
 */

import type { Proxy } from '../../proxy/proxy.js';
import type { FrontendKey, ProxyDelta, ServicePortKey } from '../../proxy/proxyTypes.js';

/** When something changed that slices of a service tell of, in milliseconds since 1970; by `namespace/name`. */
export type Triggers = ReadonlyMap<string, readonly number[]>;

export interface ProgrammingLatency {
  /** These changes are about to be written. Told before the backend is. */
  wanted(triggers: Triggers, delta: ProxyDelta, proxy: Proxy): void;
  /** The kernel serves these as they were wanted last. @returns when what is now served in full was triggered */
  acknowledged(frontends: Iterable<FrontendKey>, proxy: Proxy): readonly number[];
}

interface Trigger {
  readonly at: number;
  /** Service ports that the kernel has not acknowledged yet. */
  waitingFor: number;
}

/** Of one service port: a kernel that refuses for hours shall not make a heap of them. */
const MOST = 1000;

/** @param since what was triggered before, or then, is none of this process's making: milliseconds since 1970 */
export function createProgrammingLatency(since: number): ProgrammingLatency {
  const pending = new Map<ServicePortKey, Trigger[]>();
  return {
    wanted: (triggers, delta, proxy) => {
      for (const key of delta.backends.removed) pending.delete(key);
      for (const [service, times] of triggers) {
        const news = times.filter(at => at > since);
        const ports = news.length === 0 ? [] : writtenPorts(service, delta, proxy);
        if (ports.length === 0) continue;
        for (const at of news) {
          const trigger = { at, waitingFor: ports.length };
          for (const port of ports) add(pending, port, trigger);
        }
      }
    },
    acknowledged: (frontends, proxy) => {
      const done: number[] = [];
      if (pending.size === 0) return done;
      for (const key of frontends) {
        const port = proxy.frontends.get(key)?.servicePort;
        if (port === undefined) continue;
        for (const trigger of pending.get(port) ?? []) if (--trigger.waitingFor === 0) done.push(trigger.at);
        pending.delete(port);
      }
      return done;
    },
  };
}

function add(pending: Map<ServicePortKey, Trigger[]>, port: ServicePortKey, trigger: Trigger): void {
  const list = pending.get(port);
  if (list === undefined) pending.set(port, [trigger]);
  else if (list.length < MOST) list.push(trigger);
}

/** Ports of a service that change in the kernel: they have other backends, and frontends that are theirs. */
function writtenPorts(service: string, { backends }: ProxyDelta, proxy: Proxy): readonly ServicePortKey[] {
  const facts = proxy.serviceState(service)?.facts;
  if (facts === undefined) return [];
  const served = new Set(
    facts.frontends.filter(({ key }) => proxy.frontends.get(key)?.service === service).map(each => each.servicePort),
  );
  return facts.ports.map(({ key }) => key).filter(key => backends.set.has(key) && served.has(key));
}
