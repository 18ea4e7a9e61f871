/** What is shown of bandwidth: limits of this node's pods, and what went through them. */

export interface BandwidthView {
  limits(): Promise<readonly PodLimitView[]>;
}

/** One direction of one pod. */
export interface PodLimitView {
  readonly pod: string;
  /** As the annotation has it: ingress is what goes to the pod. */
  readonly direction: 'ingress' | 'egress';
  /** Bits a second. */
  readonly limit: number;
  /** The host's end of the pod's link; null: there is none. */
  readonly link: string | null;
  readonly state: 'in force' | 'pending' | 'failed';
  /** Why it failed. */
  readonly reason: string | null;
  /** Since the limit was put there; null: it is not. */
  readonly octets: number | null;
  readonly packets: number | null;
  /** Packets for which there was no room left to wait. */
  readonly dropped: number | null;
  /** Octets that wait now. */
  readonly waiting: number | null;
}
