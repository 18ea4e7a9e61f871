/** What is shown of network policies: verdicts with their reasons, who reaches whom, and expectations that were tried. */

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
