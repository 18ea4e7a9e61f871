/** Compares what was heard in the two worlds. Pure. */

import { NODE } from './addresses.js';
import { CLIENTS, addressesOf, type Client } from './clients.js';
import type { Divergence } from './divergences.js';
import type { Question } from './questions.js';
import type { Heard } from './world.js';

export interface Difference {
  readonly question: Question;
  readonly client: Client;
  readonly theirs: readonly string[];
  readonly ours: readonly string[];
}

/** @param asked what each client was asked for, in the order of the answers */
export function differencesOf(
  asked: ReadonlyMap<Client, readonly Question[]>,
  theirs: Heard,
  ours: Heard,
): readonly Difference[] {
  return CLIENTS.flatMap(client =>
    (asked.get(client) ?? []).flatMap((question, i) => {
      const pair = { theirs: theirs.get(client)?.[i] ?? [], ours: ours.get(client)?.[i] ?? [] };
      return isSame(question, client, pair.theirs, pair.ours) ? [] : [{ question, client, ...pair }];
    }),
  );
}

/** Which endpoint a client is kept to, each world chooses by itself. */
function isSame(question: Question, client: Client, theirs: readonly string[], ours: readonly string[]): boolean {
  if (theirs.join() === ours.join()) return true;
  if (question.of?.isSticky !== true) return false;
  const [a, b] = [stickyAnswer(client, theirs), stickyAnswer(client, ours)];
  return a !== undefined && b !== undefined && (a === b || a === 'either' || b === 'either');
}

/** What of an answer does not depend on which endpoint gave it. Undefined: several did, or none. */
function stickyAnswer(client: Client, answers: readonly string[]): 'either' | 'preserved' | 'masqueraded' | undefined {
  const [endpoint = '', port, seen = ''] = answers[0]?.split(' ') ?? [];
  if (answers.length !== 1 || port === undefined || seen === '') return undefined;
  const own = addressesOf(client);
  // A client that reaches itself is masqueraded where it would not be else; on the way to the node itself nobody is.
  if ([...own, NODE[4], NODE[6]].includes(endpoint)) return 'either';
  return own.includes(seen) ? 'preserved' : 'masqueraded';
}

export interface Judgement {
  /** Names of divergences that explain some. */
  readonly explained: ReadonlySet<string>;
  readonly unexplained: readonly Difference[];
}

export function judge(differences: readonly Difference[], divergences: readonly Divergence[]): Judgement {
  const explained = new Set<string>();
  const unexplained = differences.filter(difference => {
    const name = divergences.find(({ explains }) => explains(difference))?.name;
    if (name !== undefined) explained.add(name);
    return name === undefined;
  });
  return { explained, unexplained };
}

/** Questions to ask again, by client. */
export function toAskAgain(differences: readonly Difference[]): ReadonlyMap<Client, readonly Question[]> {
  const again = new Map<Client, Question[]>();
  for (const { client, question } of differences) again.set(client, [...(again.get(client) ?? []), question]);
  return again;
}

export function describeDifference({ question, client, theirs, ours }: Difference): string {
  const list = (answers: readonly string[]): string => answers.join(' | ');
  return `${question.name} at ${question.address} from ${client.name}: kube-proxy ${list(theirs)}; we ${list(ours)}`;
}
