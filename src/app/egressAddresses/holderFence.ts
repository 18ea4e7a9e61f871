/**
 * When a node lets go of its egress addresses by itself: once it has not heard of the API server for so long that others may
 * have taken them over without its knowing. They do so when it gives no signs of life and its machine does not answer them,
 * or when its Node is not Ready. As long as it reaches all of them, the first cannot be; and the second cannot as long as
 * they do not hear of the API server either. So a server that is away for everybody costs nobody an address. All times are
 * of this machine's own monotonic clock. Pure.
 */

/** Milliseconds between two rounds of questions to the others. */
export const ROUND = 400;
/** Milliseconds after the last sign of life that was taken until the others are asked. */
export const SUSPECT_AFTER = 2400;
/** Milliseconds after it from which silence of another counts: others take over six seconds after it at the earliest. */
export const SHUT_AFTER = 4000;
/** Milliseconds without an answer after which another is out of reach. Others ask for two seconds. */
export const UNREACHED_AFTER = 1200;
/**
 * Milliseconds after which our Node may be called not Ready: the least of Kubernetes' defaults (node-monitor-grace-period,
 * 40 s), less what kubelet's last sign of life may be older than ours (10 s), and a margin.
 */
export const UNREADY_AFTER = 25_000;
/** Milliseconds after which a node that has not heard of the API server says so. */
export const DEAF_AFTER = 3000;

/** What another node says: nothing; that it is there; or that it does not hear of the API server. */
export type Word = 'silent' | 'there' | 'deaf';

/** When the questions were put that were answered so; undefined: never. */
export interface Words {
  readonly there: number | undefined;
  readonly deaf: number | undefined;
}

export interface Tie {
  /** When the last sign of life that the API server answered was sent; undefined: none yet. */
  readonly heardAt: number | undefined;
  /** Since when this node may hold addresses. */
  readonly since: number;
  /** When the others were asked first since then; undefined: not yet. */
  readonly askedAt: number | undefined;
  readonly words: ReadonlyMap<string, Words>;
}

export function newTie(now: number): Tie {
  return { heardAt: undefined, since: now, askedAt: undefined, words: new Map() };
}

/** @param sentAt when what the server has answered was sent: it may have been taken at once, and the answer late */
export function heard(tie: Tie, sentAt: number): Tie {
  return { ...tie, heardAt: sentAt, askedAt: undefined, words: new Map() };
}

/** When the others are to be asked first. */
export function suspectAt({ heardAt, since }: Tie): number {
  return heardAt === undefined ? since : heardAt + SUSPECT_AFTER;
}

export function asked(tie: Tie, now: number): Tie {
  return { ...tie, askedAt: tie.askedAt ?? now };
}

/** @param askedAt when the question was put: what came later may have cut us off */
export function answered(tie: Tie, node: string, word: Word, askedAt: number): Tie {
  // An answer to a question of a time before the server was heard again says nothing of this one.
  if (word === 'silent' || tie.askedAt === undefined || askedAt < tie.askedAt) return tie;
  const before = tie.words.get(node);
  const deaf = word === 'deaf' ? later(before?.deaf, askedAt) : before?.deaf;
  return { ...tie, words: new Map(tie.words).set(node, { there: later(before?.there, askedAt), deaf }) };
}

function later(a: number | undefined, b: number): number {
  return Math.max(a ?? b, b);
}

/**
 * @param others nodes that might take over: without any, nobody can
 * @returns why addresses must be let go, as a clause; undefined: they may be kept
 */
export function whyShut(tie: Tie, others: Iterable<string>, now: number): string | undefined {
  const { heardAt, since, askedAt, words } = tie;
  if (askedAt === undefined) return undefined;
  const isFresh = (at: number | undefined): boolean => now - (at ?? askedAt) < UNREACHED_AFTER;
  const isLate = heardAt === undefined || now - heardAt >= SHUT_AFTER;
  const mayBeUnready = now - (heardAt ?? since) >= UNREADY_AFTER;
  for (const node of others) {
    const word = words.get(node);
    if (isLate && !isFresh(word?.there)) return `reaches neither the API server nor ${node}`;
    if (mayBeUnready && !isFresh(word?.deaf)) return `does not reach the API server, which ${node} may reach`;
  }
  return undefined;
}

/** What this node says to others that ask it. @param heardAt as in a {@link Tie} */
export function isDeaf({ heardAt, since }: Pick<Tie, 'heardAt' | 'since'>, now: number): boolean {
  return now - (heardAt ?? since) >= DEAF_AFTER;
}
