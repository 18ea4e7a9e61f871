import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { NEVER, Subject, VirtualTimeScheduler, startWith } from 'rxjs';
import { waitFor } from '../../../../lab/topology/commands.js';
import { toEngineConfig } from '../../../../src/app/config/engineConfig.js';
import { agentGraph } from '../../../../src/app/graph.js';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';
import { createEngineComposer } from '../../../../src/app/kubeEngine.js';
import { formatIntent, parseIntent } from '../../../../src/app/lastState/savedIntent.js';
import { openStateFile } from '../../../../src/app/lastState/stateFile.js';
import { formatPrefix } from '../../../../src/core/ip.js';
import { systemClock } from '../../../../src/core/clock.js';
import type { EngineConfig } from '../../../../src/engine/engineTypes.js';
import type { SourceEvent } from '../../../../src/kube/client/folder.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import { keyOf, parseObject } from '../../../../src/kube/objects.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import type { RoutingIntent } from '../../../../src/routing/intent.js';

const CONFIG = {
  kubernetes: {
    advertise: { clusterIp: true },
    externalPeers: [{ address: '10.0.0.254', asn: 64999, password: { value: 'secret' } }],
  },
};

function object(json: object): KubeObject {
  const parsed = parseObject(json);
  if (!parsed.ok || parsed.value === undefined) throw new Error('bad object');
  return parsed.value;
}
const node = (n: number): KubeObject =>
  object({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${n}` },
    spec: { podCIDRs: [`10.244.${n}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `10.0.0.${n}` }] },
  });
const SERVICE = [
  object({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { clusterIPs: ['10.96.0.7'] } }),
  object({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.2.2'], nodeName: 'n2' }],
  }),
];

/** The graph of n1 on virtual time. */
function running(saved?: RoutingIntent): {
  readonly applied: EngineConfig[];
  readonly clock: VirtualTimeScheduler;
  tell(objects: readonly KubeObject[]): void;
  kept(): RoutingIntent | undefined;
  problems(): readonly string[];
} {
  const clock = new VirtualTimeScheduler();
  const objects = new Subject<SourceEvent>();
  const applied: EngineConfig[] = [];
  const problems = createProblemSet();
  let keep: (() => RoutingIntent) | undefined;
  agentGraph({
    nodeName: 'n1',
    objects,
    settings: NEVER.pipe(startWith(AgentConfig.parse(CONFIG))),
    compose: createEngineComposer(speaker => toEngineConfig(speaker, false)),
    lastState: { saved, save: intent => (keep = intent) },
    sinks: {
      apply: config => applied.push(config),
      problems: report => void problems.report(report),
      ownNode: () => undefined,
      overlayOptions: () => undefined,
      overlay: () => undefined,
      plumbingOptions: () => undefined,
      plumbing: () => undefined,
      loadBalancer: () => undefined,
    },
    scheduler: clock,
  }).subscribe();
  return {
    applied,
    clock,
    tell: list => {
      const changes = new Map(list.map(one => [keyOf(one), { change: 'added' as const, object: one }] as const));
      objects.next({ batch: { changes, synced: true }, problems: new Map() });
    },
    kept: () => keep?.(),
    problems: () => problems.list().map(({ subject }) => subject),
  };
}

function textOf(config: EngineConfig | undefined): readonly string[] | undefined {
  return (
    config && [...config.peers.map(({ name }) => name), ...config.networks.map(({ prefix }) => formatPrefix(prefix))]
  );
}
/** What a process left that knew n1, n2 and a service. */
function left(): { readonly text: string; readonly applied: EngineConfig | undefined } {
  const graph = running();
  graph.tell([node(1), node(2), ...SERVICE]);
  const intent = graph.kept();
  return { text: intent === undefined ? '' : (formatIntent('n1', intent) ?? ''), applied: graph.applied.at(-1) };
}
function savedOf(text: string): RoutingIntent | undefined {
  const parsed = parseIntent('n1', text);
  return parsed.ok ? parsed.value : undefined;
}

describe('the last good state', () => {
  test('is lived on while the cluster is away: the same sessions and networks', () => {
    const { text, applied } = left();
    const graph = running(savedOf(text));
    expect(graph.applied).toEqual([]);
    graph.clock.flush();
    expect(textOf(graph.applied[0])).toEqual(textOf(applied));
    expect(textOf(applied)).toEqual(['router/10.0.0.254', 'node/n2', '10.244.1.0/24', '10.96.0.7/32']);
    expect(graph.applied[0]?.peers).toEqual(applied?.peers);
    expect(graph.applied[0]?.policies).toEqual(applied?.policies);
    expect(graph.problems()).toEqual(['cluster']);
  });

  test('gives way to the cluster, and what is gone by then goes', () => {
    const graph = running(savedOf(left().text));
    graph.clock.flush();
    graph.tell([node(1), node(3)]);
    expect(textOf(graph.applied.at(-1))).toEqual(['router/10.0.0.254', 'node/n3', '10.244.1.0/24']);
    expect(graph.problems()).toEqual([]);
  });

  test('is not looked at where the cluster answers', () => {
    const graph = running(savedOf(left().text));
    graph.tell([node(1), node(3)]);
    graph.clock.flush();
    expect(graph.applied.map(textOf)).toEqual([['router/10.0.0.254', 'node/n3', '10.244.1.0/24']]);
  });

  test('is not kept before the cluster is known', () => {
    const intent = running().kept();
    expect(intent && formatIntent('n1', intent)).toBeUndefined();
  });

  test.each([
    ['of another node', 'n2', (text: string) => text, 'was written by node n1'],
    ['cut off', 'n1', (text: string) => text.slice(0, -40), 'is not of this format'],
    ['with another octet', 'n1', (text: string) => text.replace('10.96.0.7', '10.96.0.8'), 'is damaged'],
    ['of another version', 'n1', (text: string) => text.replace('"format":1', '"format":99'), 'is not of this format'],
  ])('%s is refused', (_, name, change, error) => {
    expect(parseIntent(name, change(left().text))).toEqual({ ok: false, error });
  });
});

describe('the file', () => {
  test('is written whole, for nobody else to read, and read again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'peerage-state-'));
    try {
      const path = join(folder, 'run', 'routing.json');
      const failures: (string | undefined)[] = [];
      const open = (): ReturnType<typeof openStateFile> =>
        openStateFile({ path, nodeName: 'n1', clock: systemClock, failed: text => failures.push(text) });
      const saved = savedOf(left().text);
      if (saved === undefined) throw new Error('nothing was left');
      const first = open();
      expect(first.saved).toBeUndefined();
      first.save(() => saved);
      first.close();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(open().saved).toEqual(saved);
      expect(failures).toEqual([undefined]);
      const second = open();
      second.save(() => ({ ...saved, peers: new Map() }));
      await waitFor('the file', 30_000, () => (readFileSync(path, 'utf8') === left().text ? undefined : true));
      expect(statSync(path).mode & 0o777).toBe(0o600);
      second.close();
      expect(open().saved).toEqual({ ...saved, peers: new Map() });
      writeFileSync(path, 'garbage');
      expect(open().saved).toBeUndefined();
      expect(failures.at(-1)).toBe('is not of this format: it is written anew');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
