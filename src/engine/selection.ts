/**
 * When a speaker that has just started knows enough: RFC 4724 section 4.1, as a pure function of what its peers said.
 *
 * Peers with graceful restart are told nothing before `selected`, so that they keep the routes they have from us; peers
 * without the capability are told at once and never waited for. Stale kernel routes may go at `converged`.
 */

/** Seconds that peers which have not come up at all are waited for: a dead peer must not hold up the others. */
export const ESTABLISH_PATIENCE = 15;
/** Seconds after a session came up in which a peer without graceful restart has told most of what it has. */
export const SETTLE_TIME = 3;

export interface PeerProgress {
  readonly name: string;
  /** Seconds since the session came up; undefined while it is down. */
  readonly upFor: number | undefined;
  readonly gracefulRestart: boolean;
  /** Restart State bit in its OPEN: it waits for us, so waiting for it would be a deadlock. */
  readonly restarting: boolean;
  /** End-of-RIB seen for every family in use. */
  readonly endOfRib: boolean;
}

export interface Progress {
  readonly selected: boolean;
  readonly converged: boolean;
  /** Who is still waited for. */
  readonly missing: readonly string[];
}

/**
 * @param elapsed seconds since the start
 * @param deferral seconds after which nobody is waited for any more (Selection_Deferral_Timer)
 * @param strangers peers may come that no list names (dynamic ranges): they get as long as a named peer to come up
 */
export function progress(
  peers: readonly PeerProgress[],
  elapsed: number,
  deferral: number,
  strangers: boolean,
): Progress {
  if (elapsed >= deferral) {
    return {
      selected: true,
      converged: true,
      missing: peers.filter(p => awaited(p, elapsed) || settling(p)).map(p => p.name),
    };
  }
  const waiting = peers.filter(p => awaited(p, elapsed));
  const settlingPeers = peers.filter(settling);
  const early = strangers && elapsed < ESTABLISH_PATIENCE;
  return {
    selected: waiting.length === 0 && !early,
    converged: waiting.length === 0 && settlingPeers.length === 0 && !early,
    missing: [...waiting, ...settlingPeers].map(p => p.name),
  };
}

function awaited(peer: PeerProgress, elapsed: number): boolean {
  if (peer.upFor === undefined) return elapsed < ESTABLISH_PATIENCE;
  return peer.gracefulRestart && !peer.restarting && !peer.endOfRib;
}

function settling(peer: PeerProgress): boolean {
  return peer.upFor !== undefined && !peer.endOfRib && peer.upFor < SETTLE_TIME;
}
