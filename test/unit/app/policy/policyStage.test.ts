import { expect, test } from '@jest/globals';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';
import { createPolicyStage, type PolicyUpdate } from '../../../../src/app/policy/policyStage.js';
import { formatPrefix, parsePrefix } from '../../../../src/core/ip.js';
import type { ObjectBatch } from '../../../../src/kube/objectBatch.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { batchOf, nodeN } from '../../routing/cluster.js';
import { CLIENT, CLUSTER, FAR, NODE, ONLY_CLIENT, podObject, WEB } from './policyObjects.js';

const options = (firewall: object = {}): Parameters<ReturnType<typeof createPolicyStage>>[0] => ({
  kind: 'options',
  kubernetes: AgentConfig.parse({ kubernetes: { firewall } }).kubernetes,
});

function begin(firewall: object = {}): {
  readonly first: PolicyUpdate;
  readonly tell: (batch: ObjectBatch) => PolicyUpdate;
  readonly configure: (firewall: object) => PolicyUpdate;
} {
  const stage = createPolicyStage({ nodeName: NODE, clock: new VirtualClock() });
  return {
    first: stage(options(firewall)),
    tell: batch => stage({ kind: 'batch', batch }),
    configure: next => stage(options(next)),
  };
}

test('before objects are complete the firewall knows its settings and nothing else', () => {
  const { first } = begin({ defaultDeny: true });
  expect(first.isComplete).toBe(false);
  expect(first.settings).toEqual({
    ipv4: true,
    ipv6: true,
    defaultDeny: true,
    podCidrs: [],
    cutBit: 27,
    log: { group: 100, perSecond: 5, burst: 10 },
  });
  expect(first.delta.pods.set.size).toBe(0);
});

test('pods of this node come with what governs them, those of others only as members of groups', () => {
  const { tell } = begin();
  const { delta, isComplete, settings } = tell(batchOf('added', ...CLUSTER));
  expect(isComplete).toBe(true);
  expect([...delta.pods.set.keys()]).toEqual(['demo/client', 'demo/web']);
  expect([...delta.policies.set.keys()].sort()).toEqual(['ClusterNetworkPolicy/no-far', 'NetworkPolicy/demo/web']);
  expect(settings?.podCidrs.map(formatPrefix)).toEqual(['10.244.1.0/24', 'fd00:10:244:1::/64']);
});

test('settings are told again only when they are others', () => {
  const { tell, configure } = begin();
  tell(batchOf('added', ...CLUSTER));
  expect(tell(batchOf('added', podObject('more', NODE, '10.244.1.9'))).settings).toBeUndefined();
  expect(configure({}).settings).toBeUndefined();
  expect(configure({ cutConnections: false, log: { enabled: false } }).settings).toMatchObject({
    cutBit: undefined,
    log: undefined,
  });
});

test('an own Node that is gone for a moment takes no pod networks along', () => {
  const { tell } = begin();
  tell(batchOf('added', ...CLUSTER));
  expect(tell(batchOf('deleted', nodeN(1))).settings).toBeUndefined();
});

test('what comes later is a change, not the whole', () => {
  const { tell } = begin();
  tell(batchOf('added', CLIENT, WEB, FAR));
  const { delta } = tell(batchOf('added', ONLY_CLIENT));
  expect([...delta.pods.set.keys()]).toEqual(['demo/web']);
  expect([...tell(batchOf('deleted', ONLY_CLIENT)).delta.policies.removed]).toEqual(['NetworkPolicy/demo/web']);
});

test('until the Node is known, its pod networks are those of a former life', () => {
  const former = parsePrefix('10.244.7.0/24');
  const formerCidrs = former.ok ? [former.value] : [];
  const stage = createPolicyStage({ nodeName: NODE, formerCidrs, clock: new VirtualClock() });
  expect(stage(options()).settings?.podCidrs).toEqual(formerCidrs);
  const { settings } = stage({ kind: 'batch', batch: batchOf('added', nodeN(1, { cidrs: ['10.244.8.0/24'] })) });
  expect(settings?.podCidrs.map(formatPrefix)).toEqual(['10.244.8.0/24']);
});
