/** What `peerage explain policy` prints. */

import { createControlClient } from '../api/client.js';
import type {
  ConnectionView,
  EndView,
  ExplainQuestion,
  NearMissView,
  PolicyExplanation,
  RuleView,
} from '../api/policyView.js';
import { askManifests } from '../app/policy/askPolicy.js';
import { printable, write } from './output.js';

/** Who answers: a folder of manifests, or else the agent behind a control socket. */
export interface Asked {
  readonly manifests?: string;
  readonly control: string;
}

/** @throws when the question cannot be answered, with a sentence that says why */
export async function explainPolicy(asked: Asked, question: ExplainQuestion, output: 'table' | 'json'): Promise<void> {
  const explanation = await explanationOf(asked, question);
  await write(output === 'json' ? `${JSON.stringify(explanation)}\n` : explanationText(explanation));
}

async function explanationOf({ manifests, control }: Asked, question: ExplainQuestion): Promise<PolicyExplanation> {
  if (manifests === undefined)
    return (await createControlClient(control).get('/v1/policy/explain', { ...question })) as PolicyExplanation;
  const answer = await askManifests(manifests, question);
  if (!answer.ok) throw new Error(answer.error);
  warnOf(answer.value.warnings);
  return answer.value.explanation;
}

export function warnOf(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`warning: ${printable(warning)}\n`);
}

/** Near misses that are shown; the others are counted. */
const SHOWN = 3;

export function explanationText(explanation: PolicyExplanation): string {
  const { to, allowed, connections } = withPrintableTexts(explanation);
  const isService = connections.some(connection => connection.to !== to);
  const head = isService ? `${to}: ${allowed} of its endpoints allowed (${connections.length} below)\n\n` : '';
  return `${head}${connections.map(connectionText).join('\n')}`;
}

function withPrintableTexts(explanation: PolicyExplanation): PolicyExplanation {
  const text = (_key: string, value: unknown): unknown => (typeof value === 'string' ? printable(value) : value);
  return JSON.parse(JSON.stringify(explanation, text)) as PolicyExplanation;
}

function connectionText({ from, to, port, protocol, families, allowed, egress, ingress }: ConnectionView): string {
  // Both families are what is to be expected.
  const family = families.length === 1 ? ` (IPv${families[0] ?? ''})` : '';
  const head = `${allowed ? 'ALLOWED' : 'DENIED'}  ${from} -> ${to} port ${port}/${protocol.toLowerCase()}${family}`;
  return [head, ...endLines(egress, from), ...endLines(ingress, to), ''].join('\n');
}

function endLines(
  { direction, allowed, reason, decidedBy, nearest, kernel }: EndView,
  subject: string,
): readonly string[] {
  const more = nearest.length - SHOWN;
  return [
    `  ${direction === 'egress' ? 'egress of' : 'ingress of'} ${subject}: ${allowed ? 'allowed' : 'denied'}`,
    `    ${reason}`,
    ...decidedBy.flatMap(({ policy, source }) => (source === null ? [] : [`    ${policy} is in ${source}`])),
    ...(nearest.length === 0 ? [] : ['    would have been allowed by:']),
    ...nearest.slice(0, SHOWN).map(missText),
    ...(more > 0 ? [`      and ${more} more`] : []),
    ...(kernel === null ? [] : [`    kernel: ${kernel}`]),
  ];
}

const MISSED = {
  overruled: 'had nothing before it decided',
  ports: 'if its ports included this one',
  peers: 'if its peers included the other end',
} as const;

function missText({ missed, ...rule }: NearMissView): string {
  return `      ${ruleLine(rule)}; ${MISSED[missed]}`;
}

function ruleLine({ policy, rule, source, text }: RuleView): string {
  return `${policy} ${rule ?? ''}${source === null ? '' : ` (${source})`} ${text}`;
}
