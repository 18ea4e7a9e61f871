/** What an agent says of itself as a whole: problems as they come and go, its own Node, its file of the last good state. */

import type { Logger } from 'pino';
import { formatAddress } from '../core/ip.js';
import type { Problem, ProblemReport, ProblemSet } from '../kube/problems.js';
import type { OwnNode } from '../routing/intent.js';

/** Keeps them, and logs those that are new or gone. */
export function reportProblems(problems: ProblemSet, found: ProblemReport, logger: Logger): void {
  const { appeared, cleared } = problems.report(found);
  for (const { subject, text } of appeared) logger.warn({ subject }, text);
  for (const { subject, text } of cleared) logger.info({ subject, problem: text }, 'problem is gone');
}

export function tellStateFile(report: (found: ProblemReport) => void): (text: string | undefined) => void {
  return text => {
    const problems = text === undefined ? [] : [{ subject: 'file of the last good state', text }];
    report(new Map([['state file', problems]]));
  };
}

export function tellOwnNode(
  name: string,
  report: (found: ProblemReport) => void,
  logger: Logger,
): (own: OwnNode | undefined) => void {
  return own => {
    report(new Map([['own node', ownNodeProblems(name, own)]]));
    if (own?.present === true) logger.info({ node: name, addresses: addressTexts(own) }, 'own node known');
  };
}

function ownNodeProblems(name: string, own: OwnNode | undefined): readonly Problem[] {
  const subject = `Node ${name}`;
  if (own === undefined) return [{ subject, text: 'is this machine and not among the objects: BGP waits for it' }];
  if (own.present) return [];
  return [
    { subject, text: 'is this machine and gone from the objects: its pod networks are withdrawn, sessions stay' },
  ];
}

function addressTexts(own: OwnNode): readonly string[] {
  return [own.v4, own.v6].flatMap(address => (address === undefined ? [] : [formatAddress(address)]));
}
