/** What enforces network policies on a node: kept equal to the policy model's deltas, and asked what it denied. */

import type { IpPrefix } from '../core/ip.js';
import type { IpText } from '../kube/objectTypes.js';
import type { ObjectKey } from '../kube/objects.js';
import type { Direction, PodName, PolicyDelta } from './policyTypes.js';

export interface FirewallSettings {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Drop what comes from or goes to an address of `podCidrs` that no known pod of this node has. */
  readonly defaultDeny: boolean;
  /** Addresses of this node's pods, both families. */
  readonly podCidrs: readonly IpPrefix[];
  /** Bit (0 .. 31) of connections' marks that says: cut, drop every packet of it. Undefined: no connection is ever cut. */
  readonly cutBit: number | undefined;
  /** Denied packets that are sent to a listener (nfnetlink_log); undefined: none. */
  readonly log: DenialLogSettings | undefined;
}

export interface DenialLogSettings {
  /** 0 .. 65535 */
  readonly group: number;
  /** Packets, for each decision that denies. */
  readonly perSecond: number;
  readonly burst: number;
}

/** What dropped a packet, in words of objects. */
export type DenialCause =
  /** The rule of a ClusterNetworkPolicy; its place in the object's list for the direction. */
  | { readonly kind: 'rule'; readonly policy: ObjectKey; readonly rule: number }
  /** These NetworkPolicies select the pod, and none of their rules holds. */
  | { readonly kind: 'isolated'; readonly policies: readonly ObjectKey[] }
  /** What governs the pod could not be written: nothing is let through. */
  | { readonly kind: 'closed' }
  /** The address is one of this node's pods', and no known pod has it. */
  | { readonly kind: 'unknown' };

/** Packets dropped at one pod for one reason since the firewall's table was made. Counts of the kernel's may be 2 s old. */
export interface Denial {
  /** Undefined: no known pod has the address. */
  readonly pod: PodName | undefined;
  /** Unspecified (`0.0.0.0`, `::`) for all addresses together that no known pod has. */
  readonly address: IpText;
  readonly direction: Direction;
  readonly cause: DenialCause;
  readonly packets: bigint;
}

/** Of a logged packet's prefix. */
export interface LoggedDecision {
  readonly direction: Direction;
  readonly cause: DenialCause;
}

export type FirewallEvent =
  /** The first reading: how many pods of a former life the kernel covered already, in one family. */
  | { readonly kind: 'adopted'; readonly count: number }
  /** The kernel covers these pods in every family that is on, as far as they are wanted. */
  | { readonly kind: 'programmed'; readonly pods: readonly PodName[] }
  /** Refused; these pods are closed until what governs them is accepted. Tried again with back-off. */
  | { readonly kind: 'failed'; readonly failures: ReadonlyMap<PodName, string> }
  | { readonly kind: 'recovered'; readonly pods: readonly PodName[] }
  /** Somebody else changed what is ours; it is put right. */
  | { readonly kind: 'drift'; readonly what: readonly string[] }
  /** One transaction. Seconds; from the first wish in it to the answer. @param full the whole table was written */
  | { readonly kind: 'committed'; readonly seconds: number; readonly full: boolean }
  /** Reading or writing failed as a whole; tried again. */
  | { readonly kind: 'error'; readonly text: string };

export interface PolicyFirewall {
  /** What depends on no policy. In memory only, as `apply`; writing follows by itself. */
  configure(settings: FirewallSettings): void;
  apply(delta: PolicyDelta): void;
  /**
   * Before objects are known: with `defaultDeny`, where there is no table yet, one is written that lets no pod of this node
   * open connections. A table of a former life stays as it is. Settings must have been given.
   */
  hold(): Promise<void>;
  /** The deltas are complete: adopts what the kernel has, and from now on writes what differs. */
  begin(): void;
  /** @returns whether all that is wanted is in the kernel */
  readonly isSettled: boolean;
  /** What was dropped, by pod and reason. Pods and policies that are not there any more are forgotten. */
  denials(): Promise<readonly Denial[]>;
  /** @param prefix that a logged packet came with @returns undefined for a prefix of others, or of what is gone */
  decisionOf(prefix: string): LoggedDecision | undefined;
  /** Resolves when all that can be written is written. */
  idle(): Promise<void>;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}
