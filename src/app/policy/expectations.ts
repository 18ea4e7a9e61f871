/** `peerage policy test`: expectations written in YAML, tried on manifests. Impure. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import type { ExpectationView } from '../../api/policyView.js';
import { err, ok, type Result } from '../../core/result.js';
import { decisionText } from '../../policy/policyText.js';
import { verdict, type Verdict } from '../../policy/verdict.js';
import { loadOfflineCluster, warningsOf } from './offlineCluster.js';
import type { PolicyCluster } from './policyCluster.js';
import { parsePort, portText, type ProtocolPort } from './portText.js';
import { connectionsBetween, findSubject, type NamedConnection, type Subject } from './subjects.js';

export interface TestAnswer {
  readonly results: readonly ExpectationView[];
  /** What of the manifests could not be used. */
  readonly warnings: readonly string[];
}

/** One name, or several. */
const oneOrMore = z.union([z.string(), z.array(z.string()).min(1)]).transform(given => [given].flat());

const schema = z.strictObject({
  manifests: z.string().optional(),
  tests: z
    .array(
      z
        .strictObject({
          name: z.string().optional(),
          from: oneOrMore,
          to: oneOrMore,
          port: z.union([z.string(), z.int()]).optional(),
          ports: z
            .array(z.union([z.string(), z.int()]))
            .min(1)
            .optional(),
          expect: z.enum(['allowed', 'denied']),
        })
        .refine(({ port, ports }) => (port === undefined) !== (ports === undefined), {
          message: 'needs either port or ports',
        }),
    )
    .min(1),
});
type Expectations = z.infer<typeof schema>;
type Expectation = Expectations['tests'][number];

/** @param manifests goes before what the file says @returns an error, with the file and its line, when nothing could be tried */
export async function runExpectations(
  file: string,
  manifests: string | undefined,
): Promise<Result<TestAnswer, string>> {
  const read = await readExpectations(file);
  if (!read.ok) return read;
  const { expectations, lineOf } = read.value;
  const written = expectations.manifests;
  const folder = manifests ?? (written === undefined ? undefined : resolve(dirname(file), written));
  if (folder === undefined) return err(`${file}: says no folder of manifests, and neither does --manifests`);
  const loaded = await loadOfflineCluster(folder);
  if (!loaded.ok) return loaded;
  const results: ExpectationView[] = [];
  for (const [index, expectation] of expectations.tests.entries()) {
    const tried = tryExpectation(loaded.value, expectation, `${file}:${lineOf(index)}`);
    if (!tried.ok) return err(`${file}:${lineOf(index)}: tests[${index}]: ${tried.error}`);
    results.push(...tried.value);
  }
  return ok({ results, warnings: warningsOf(loaded.value) });
}

interface ReadFile {
  readonly expectations: Expectations;
  readonly lineOf: (index: number) => number;
}

async function readExpectations(file: string): Promise<Result<ReadFile, string>> {
  const lines = new LineCounter();
  const document = parseDocument(await readFile(file, 'utf8'), { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) return err(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`);
  const lineAt = (path: readonly PropertyKey[]): number => {
    for (let length = path.length; length > 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length), true);
      if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range))
        return lines.linePos(Number(node.range[0])).line;
    }
    return 1;
  };
  const parsed = schema.safeParse(document.toJS());
  if (parsed.success) return ok({ expectations: parsed.data, lineOf: index => lineAt(['tests', index]) });
  const texts = parsed.error.issues.map(({ path, message }) => `${file}:${lineAt(path)}: ${pathText(path)}${message}`);
  return err(texts.join('\n'));
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path.map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return text === '' ? '' : `${text.replace(/^\./, '')}: `;
}

/** Every end with every other, on every port. */
function tryExpectation(
  cluster: PolicyCluster,
  wanted: Expectation,
  place: string,
): Result<readonly ExpectationView[], string> {
  const results: ExpectationView[] = [];
  const ports = (wanted.ports ?? [wanted.port ?? '']).map(port => parsePort(String(port)));
  for (const from of wanted.from.map(text => subjectsOf(cluster, text)))
    for (const to of wanted.to.map(text => subjectsOf(cluster, text)))
      for (const port of ports) {
        if (!from.ok) return from;
        if (!to.ok) return to;
        if (!port.ok) return port;
        const tried = tryAll(cluster, wanted, place, from.value, to.value, port.value);
        if (!tried.ok) return tried;
        results.push(...tried.value);
      }
  return results.length === 0 ? err('means no connection at all') : ok(results);
}

function tryAll(
  cluster: PolicyCluster,
  wanted: Expectation,
  place: string,
  froms: readonly Subject[],
  tos: readonly Subject[],
  port: ProtocolPort,
): Result<readonly ExpectationView[], string> {
  const results: ExpectationView[] = [];
  for (const from of froms)
    for (const to of tos) {
      if (from.kind === 'pod' && to.kind === 'pod' && from.pod === to.pod) continue;
      const connections = connectionsBetween(cluster, from, to, port.protocol, port.port);
      if (!connections.ok) return connections;
      for (const connection of connections.value) results.push(resultOf(cluster, wanted, place, connection));
    }
  return ok(results);
}

/** `namespace/*` means every pod of the namespace. */
function subjectsOf(cluster: PolicyCluster, text: string): Result<readonly Subject[], string> {
  const namespace = /^([^/]+)\/\*$/.exec(text)?.[1];
  if (namespace === undefined) {
    const found = findSubject(cluster, text);
    return found.ok ? ok([found.value]) : found;
  }
  const pods = [...cluster.world.pods.values()].filter(pod => pod.namespace === namespace && pod.state !== 'finished');
  return pods.length === 0
    ? err(`there are no pods in namespace ${namespace}`)
    : ok(pods.map(pod => ({ kind: 'pod', pod })));
}

function resultOf(
  { world }: PolicyCluster,
  { name, expect }: Expectation,
  place: string,
  connection: NamedConnection,
): ExpectationView {
  const { fromText, toText, family, protocol, port } = connection;
  const found = verdict(world, connection);
  return {
    name: name ?? place,
    from: fromText,
    to: toText,
    port: `${portText({ protocol, port })}${family === undefined ? '' : ` IPv${family}`}`,
    expected: expect,
    passed: found.allowed === (expect === 'allowed'),
    reason: reasonOf(found),
  };
}

/** The end that denied, or both. */
function reasonOf({ egress, ingress }: Verdict): string {
  const denied = [egress, ingress].filter(end => !end.allowed);
  const ends = denied.length > 0 ? denied : [egress, ingress];
  return ends.map(({ direction, decision }) => `${direction}: ${decisionText(decision, direction)}`).join('; ');
}
