/** Whether packets between pods on one bridge come by the firewall at all: that is a module's and a switch's business. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { Switches } from '../../kernel/sysctl.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';

/** Milliseconds between two looks: a module may be loaded later. */
const LOOK_AGAIN = 60_000;

/** @returns what is wrong, where pods are on a bridge of ours */
export function bridgeProblems(
  { cni, ipv4, ipv6 }: Pick<Kubernetes, 'cni' | 'ipv4' | 'ipv6'>,
  switches: Pick<Switches, 'read'>,
): readonly Problem[] {
  if (!cni.enabled) return [];
  const wanted = [...(ipv4 ? ['bridge-nf-call-iptables'] : []), ...(ipv6 ? ['bridge-nf-call-ip6tables'] : [])];
  const readings = wanted.map(name => switches.read(`bridge/${name}`));
  const subject = `bridge ${cni.bridge}`;
  const passing = 'packets between pods of this node pass by its network policies';
  if (readings.includes(undefined))
    return [{ subject, text: `the kernel has no br_netfilter (modprobe br_netfilter): ${passing}` }];
  const off = wanted.filter((_, i) => readings[i] === '0').map(name => `net.bridge.${name}`);
  return off.length === 0 ? [] : [{ subject, text: `${off.join(' and ')} is 0: ${passing}` }];
}

export interface BridgeWatchOptions {
  readonly settings: Pick<Kubernetes, 'cni' | 'ipv4' | 'ipv6'>;
  readonly switches: Pick<Switches, 'read'>;
  readonly clock: Clock;
  readonly report: (found: ProblemReport) => void;
}

/** Looks now and from time to time. @returns a function that ends it */
export function watchBridge({ settings, switches, clock, report }: BridgeWatchOptions): () => void {
  let timer: TimerHandle | undefined;
  const look = (): void => {
    report(new Map([['firewall bridge', bridgeProblems(settings, switches)]]));
    timer = clock.setTimeout(look, LOOK_AGAIN);
  };
  look();
  return () => {
    if (timer !== undefined) clock.clearTimeout(timer);
  };
}
