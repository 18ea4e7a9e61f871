import { describe, expect, test } from '@jest/globals';
import { createLiveServices } from '../../../../src/app/policy/liveServices.js';
import { createPodStates } from '../../../../src/app/policy/podStates.js';
import { createPoliciesView } from '../../../../src/app/policy/policiesView.js';
import { createPolicyModel } from '../../../../src/policy/policyModel.js';
import { podName } from '../../../../src/policy/policyTypes.js';
import { batchOf } from '../../routing/cluster.js';
import { CLUSTER, NODE, SLICE } from './policyObjects.js';

const WEB_POD = podName('demo', 'web');
const CLIENT_POD = podName('demo', 'client');

function agent() {
  const [model, services, states] = [createPolicyModel(NODE), createLiveServices(), createPodStates()];
  const tell = (batch: ReturnType<typeof batchOf>): void => {
    services.apply(batch);
    states.want(model.apply(batch).pods);
  };
  tell(batchOf('added', ...CLUSTER));
  const view = createPoliciesView({ known: () => ({ model, services }), states, denials: () => [] });
  return { view, states, tell };
}

describe('show policies', () => {
  test('those that govern pods of this node, in the order they are asked', () => {
    const { view, states } = agent();
    states.programmed([CLIENT_POD, WEB_POD]);
    expect([...view.policies()]).toEqual([
      {
        policy: 'ClusterNetworkPolicy no-far',
        tier: 'admin',
        priority: 7,
        pods: 2,
        ingress: 1,
        egress: null,
        state: 'programmed',
        error: null,
      },
      {
        policy: 'NetworkPolicy demo/web',
        tier: 'namespace',
        priority: null,
        pods: 1,
        ingress: 1,
        egress: null,
        state: 'programmed',
        error: null,
      },
    ]);
  });

  test('a policy is on its way as long as one of its pods is, and fails with one', () => {
    const { view, states } = agent();
    states.programmed([WEB_POD]);
    const stateOf = (): readonly string[] => [...view.policies()].map(({ state }) => state);
    expect(stateOf()).toEqual(['pending', 'programmed']);
    states.failed(new Map([[WEB_POD, 'no memory']]));
    expect([...view.policies()].map(({ error }) => error)).toEqual(['no memory', 'no memory']);
    states.recovered([WEB_POD]);
    states.programmed([WEB_POD, CLIENT_POD]);
    expect(stateOf()).toEqual(['programmed', 'programmed']);
  });
});

describe('explain', () => {
  test.each([
    ['demo/client', 'demo/pod/web', '8080/tcp', true, 'the same', 'on its way'],
    ['demo/far', 'demo/pod/web', '8080/tcp', false, null, 'on its way'],
    ['203.0.113.9', '10.244.1.3', '8080', false, null, 'on its way'],
  ])(
    '%s to %s port %s: %s, with what the kernel has for pods of this node',
    (from, to, port, allowed, egressKernel, ingressKernel) => {
      const { view, states } = agent();
      states.programmed([CLIENT_POD]);
      const answer = view.explain({ from, to, port });
      if (!answer.ok) throw new Error(answer.error);
      expect(answer.value.connections).toMatchObject([
        { allowed, egress: { kernel: egressKernel }, ingress: { kernel: ingressKernel } },
      ]);
    },
  );

  test('a service is its endpoints, as its slices say', () => {
    const { view, tell } = agent();
    const question = { from: 'demo/client', to: 'demo/service/web', port: '80' };
    const answer = view.explain(question);
    expect(answer).toMatchObject({
      ok: true,
      value: { allowed: 'all', connections: [{ to: 'demo/web', port: 8080 }] },
    });
    tell(batchOf('deleted', SLICE));
    expect(view.explain(question)).toMatchObject({ ok: false, error: expect.stringContaining('has no endpoint') });
  });

  test('what is not there is looked for in the cluster, not in manifests', () => {
    const answer = agent().view.explain({ from: 'demo/clint', to: '10.244.1.3', port: '80' });
    expect(answer).toEqual({ ok: false, error: 'there is no demo/clint in the cluster; did you mean demo/client?' });
  });

  test('before the first objects there is nothing to say', () => {
    const view = createPoliciesView({ known: () => undefined, states: createPodStates(), denials: () => [] });
    expect(view.explain({ from: 'a/b', to: 'c/d', port: '80' })).toMatchObject({ ok: false });
    expect(view.matrix({})).toMatchObject({ ok: false });
    expect([...view.policies()]).toEqual([]);
  });
});

test('the matrix has pods of every node', () => {
  const answer = agent().view.matrix({ port: '8080/tcp' });
  if (!answer.ok) throw new Error(answer.error);
  const cells = [...answer.value].map(({ from, to, ports }) => `${from} ${to} ${ports}`);
  expect(cells).toHaveLength(6);
  expect(cells).toContain('demo/client demo/web open');
  expect(cells).toContain('demo/far demo/client none');
  expect(cells).toContain('demo/web demo/far open');
});
