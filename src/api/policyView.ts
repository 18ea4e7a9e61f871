/** What is shown of network policies: verdicts with their reasons, who reaches whom, and expectations that were tried. */

import type { Result } from '../core/result.js';

/** One rule of one object. */
export interface RuleView {
  /** `NetworkPolicy demo/web`. */
  readonly policy: string;
  /** File and line of the object; null where it is of no file. */
  readonly source: string | null;
  /** Its place in the object: `spec.ingress[0]`; null: the object as a whole. */
  readonly rule: string | null;
  /** What it says, for people. */
  readonly text: string;
}

export interface NearMissView extends RuleView {
  /** overruled: it holds, but another decided first. ports, peers: what of it does not hold. */
  readonly missed: 'overruled' | 'ports' | 'peers';
}

/** One end of a connection: the pod that sends (egress) or the one that receives (ingress). */
export interface EndView {
  readonly direction: 'egress' | 'ingress';
  readonly allowed: boolean;
  /** A sentence. */
  readonly reason: string;
  /** What decided: one rule, or the policies that isolate the pod; none where no policy did. */
  readonly decidedBy: readonly RuleView[];
  /** Rules that come nearest to allowing it, nearest first; none where it is allowed. */
  readonly nearest: readonly NearMissView[];
  /** What the kernel has of it, in words; null where this is not known: of manifests, and of pods of other nodes. */
  readonly kernel: string | null;
}

export interface ConnectionView {
  readonly from: string;
  readonly to: string;
  /** Where the packet goes once a service's address was replaced. */
  readonly port: number;
  readonly protocol: string;
  /** Families that this is true for; none where no end has an address. */
  readonly families: readonly (4 | 6)[];
  readonly allowed: boolean;
  readonly egress: EndView;
  readonly ingress: EndView;
}

/** An answer to `explain policy`: of a service, one connection for each endpoint. */
export interface PolicyExplanation {
  readonly from: string;
  readonly to: string;
  readonly allowed: 'all' | 'some' | 'none';
  readonly connections: readonly ConnectionView[];
}

/** What one end may connect to at another. */
export interface ReachView {
  readonly from: string;
  readonly to: string;
  /** One family's, where the two differ. */
  readonly families: readonly (4 | 6)[];
  /** `all`, `none`, or what is open: `80/tcp 8000-8080/tcp 53/udp`. */
  readonly ports: string;
}

/** One connection that was expected to be allowed or denied. */
export interface ExpectationView {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly expected: 'allowed' | 'denied';
  readonly passed: boolean;
  /** Why it came out as it did. */
  readonly reason: string;
}

/** One policy that governs pods of this node. */
export interface PolicyView {
  /** `NetworkPolicy demo/web`. */
  readonly policy: string;
  readonly tier: 'admin' | 'namespace' | 'baseline';
  /** Of cluster-wide policies, within their tier; null: the order of NetworkPolicies means nothing. */
  readonly priority: number | null;
  /** Pods of this node that it governs. */
  readonly pods: number;
  /** Its rules in this direction; null: it says nothing of the direction. */
  readonly ingress: number | null;
  readonly egress: number | null;
  /** `pending`: on its way to the kernel; `failed`: the kernel refused it, and its pods are closed. */
  readonly state: 'programmed' | 'pending' | 'failed';
  readonly error: string | null;
}

/** A connection that was denied, of those that the kernel told of: it tells of some packets only. */
export interface DenialView {
  /** When its first and its last packet came, ISO 8601. */
  readonly first: string;
  readonly last: string;
  /** `namespace/name` of a pod, `node NAME`, or an address. */
  readonly from: string;
  readonly fromAddress: string;
  readonly to: string;
  readonly toAddress: string;
  /** `5432/tcp`, or the protocol alone. */
  readonly port: string;
  /** At which end: `egress` at who sends. */
  readonly direction: 'egress' | 'ingress';
  /** A sentence. */
  readonly reason: string;
  /** Packets that were told of. */
  readonly packets: number;
}

/** A question about connections, as people ask it. */
export interface ExplainQuestion {
  readonly from: string;
  readonly to: string;
  readonly port: string;
}

export interface MatrixScope {
  /** Only pods of this namespace receive; undefined: all. */
  readonly namespace?: string;
  /** `80/tcp`: only whether this one is open. */
  readonly port?: string;
}

/** What the control API knows of policies. Answers that are no answers are sentences that say what is wrong with the question. */
export interface PoliciesView {
  policies(): Iterable<PolicyView>;
  /** The last seen first. */
  denials(): Iterable<DenialView>;
  explain(question: ExplainQuestion): Result<PolicyExplanation, string>;
  matrix(scope: MatrixScope): Result<Iterable<ReachView>, string>;
}
