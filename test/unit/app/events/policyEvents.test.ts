import { expect, test } from '@jest/globals';
import { createPolicyEvents } from '../../../../src/app/events/policyEvents.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import type { Problem } from '../../../../src/kube/problems.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { nodeOf } from '../../proxy/proxyCluster.js';
import { batchOf } from '../../routing/cluster.js';

const START = Date.UTC(2026, 10, 21, 12);

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

function telling(node = 'n1') {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const posted: Record<string, unknown>[] = [];
  const missing = new Set<string>();
  const events = createPolicyEvents({
    writer: {
      ask: (method, path, body) => {
        asked.push(`${method} ${path}`);
        if (missing.has(path)) return Promise.reject(new ApiError(404, 'not found'));
        if (method === 'POST') posted.push(body as Record<string, unknown>);
        return Promise.resolve({ metadata: { uid: `uid of ${path.split('/').at(-1) ?? ''}` } });
      },
    },
    node,
    clock,
    wallClock: () => START + clock.now(),
    random: () => 0,
    report: () => undefined,
  });
  const pass = async (milliseconds: number): Promise<void> => {
    for (let left = milliseconds; left > 0; left -= 200) {
      clock.advance(200);
      await settle();
    }
  };
  return { events, asked, posted, missing, pass };
}

const problem = (subject: string, reason = 'InvalidAnnotation'): Problem => ({ subject, text: 'is wrong', reason });

test.each([
  [
    'NetworkPolicy demo/web',
    'GET /apis/networking.k8s.io/v1/namespaces/demo/networkpolicies/web',
    'demo',
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', namespace: 'demo', name: 'web', uid: 'uid of web' },
  ],
  [
    'ClusterNetworkPolicy web',
    'GET /apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/web',
    'default',
    {
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      name: 'web',
      uid: 'uid of web',
    },
  ],
  [
    'Namespace web',
    'GET /api/v1/namespaces/web',
    'default',
    { apiVersion: 'v1', kind: 'Namespace', name: 'web', uid: 'uid of web' },
  ],
  [
    'Pod demo/web',
    'GET /api/v1/namespaces/demo/pods/web',
    'demo',
    { apiVersion: 'v1', kind: 'Pod', namespace: 'demo', name: 'web', uid: 'uid of web' },
  ],
])('%s: an Event about the object itself, of this life of it', async (subject, question, namespace, regarding) => {
  const { events, asked, posted, pass } = telling();
  events.take(new Map([['owner', [problem(subject)]]]));
  await pass(4000);
  expect(asked).toEqual([question, `POST /apis/events.k8s.io/v1/namespaces/${namespace}/events`]);
  expect(posted).toEqual([
    expect.objectContaining({
      regarding,
      reason: 'InvalidAnnotation',
      note: 'is wrong',
      action: 'Enforce',
      reportingController: 'peerage.io/agent',
      type: 'Warning',
    }),
  ]);
});

test('once for each distinct text, and not again when it is reported again', async () => {
  const { events, posted, pass } = telling();
  const found = new Map([
    ['owner', [problem('Namespace web'), { ...problem('Namespace web'), text: 'is wrong, too' }]],
  ]);
  events.take(found);
  await pass(10_000);
  events.take(found);
  await pass(600_000);
  expect(posted.map(({ note }) => note)).toEqual(['is wrong', 'is wrong, too']);
});

test('nothing about Services, which the proxy tells of, other things, or what is gone', async () => {
  const { events, asked, posted, missing, pass } = telling();
  missing.add('/api/v1/namespaces/gone');
  const subjects = ['Service demo/web', 'Node n1', 'firewall', 'Namespace a/b', 'Namespace gone'];
  events.take(new Map([['owner', subjects.map(subject => problem(subject))]]));
  events.take(new Map([['other', [{ subject: 'Namespace web', text: 'has no reason' }]]]));
  await pass(10_000);
  expect(asked).toEqual(['GET /api/v1/namespaces/gone']);
  expect(posted).toEqual([]);
});

test('of many nodes three take turns; of a pod its own node tells at once', async () => {
  const told = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const { events, posted, pass } = telling(`n${i + 1}`);
      events.nodesChanged(batchOf('added', ...Array.from({ length: 10 }, (__, n) => nodeOf(n + 1))));
      events.take(new Map([['owner', [problem('Namespace web')]]]));
      await pass(4000);
      const early = posted.length;
      events.take(new Map([['bandwidth Pod/demo/web', [problem('Pod demo/web')]]]));
      await pass(200_000);
      return { early, notes: posted.map(({ note }) => note) };
    }),
  );
  expect(told.filter(({ early }) => early > 0)).toHaveLength(1);
  expect(told.filter(({ notes }) => notes.includes('is wrong'))).toHaveLength(3);
  expect(
    told.map(({ notes }) => notes).filter(notes => notes.some(note => /^Node n\d+: /.test(String(note)))),
  ).toHaveLength(10);
});
