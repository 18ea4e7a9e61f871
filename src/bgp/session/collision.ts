/** Two connections to one peer: which of them stays. RFC 4271 section 6.8, RFC 6286 section 2.3, RFC 4724 section 5. */

import type { FsmState } from './sessionTypes.js';

/** Whose attempt a connection was. */
export type Initiator = 'local' | 'remote';

export interface Collision {
  /** BGP identifiers and AS numbers of both speakers, as in their OPENs. */
  readonly localId: number;
  readonly localAsn: number;
  readonly remoteId: number;
  readonly remoteAsn: number;
  /** The connection on which an OPEN has just come. */
  readonly newcomer: Initiator;
  readonly other: { readonly state: FsmState; readonly initiator: Initiator };
  /** The established session of `other` has graceful restart for at least one family. */
  readonly gracefulRestart: boolean;
}

/**
 * `replaceOther`: the established connection is dead although TCP does not know yet, so it ends as a lost connection
 * and without NOTIFICATION. `holdNewcomer`: the other connection is the one that shall stay, but it may still fail; the
 * newcomer's OPEN is answered only if it does.
 */
export type CollisionOutcome = 'closeNewcomer' | 'closeOther' | 'replaceOther' | 'holdNewcomer';

/**
 * Decides when an OPEN comes. RFC 4724 would replace an established connection as soon as TCP is up; we wait for the
 * OPEN, so that an attempt that crossed ours on its way, and is about to be dropped, ends no session.
 */
export function resolveCollision(collision: Collision): CollisionOutcome {
  const { other, newcomer } = collision;
  switch (other.state) {
    case 'Idle':
    case 'Connect':
    case 'Active':
      // No OPEN was sent on it, so the peer loses nothing.
      return 'closeOther';
    case 'OpenSent':
      // Nobody connects twice at a time: the first of the peer's own two is dead.
      if (other.initiator === newcomer) return 'closeOther';
      // The identifiers are known by now, so both sides choose the same connection, whichever OPEN they see first. A
      // KEEPALIVE on the loser would let the peer establish it while we are closing it.
      return newcomer === winner(collision) ? 'closeOther' : 'holdNewcomer';
    case 'OpenConfirm':
      if (other.initiator === newcomer) return 'closeOther';
      return newcomer === winner(collision) ? 'closeOther' : 'closeNewcomer';
    case 'Established':
      return collision.gracefulRestart && newcomer === 'remote' ? 'replaceOther' : 'closeNewcomer';
  }
}

/** The connection made by the speaker with the higher identifier stays; equal ones go by AS number (RFC 6286). */
function winner({ localId, localAsn, remoteId, remoteAsn }: Collision): Initiator {
  if (localId !== remoteId) return localId > remoteId ? 'local' : 'remote';
  return localAsn > remoteAsn ? 'local' : 'remote';
}
