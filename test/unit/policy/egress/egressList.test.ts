/** A namespace's egress rules through the engine's own judge: what pods may reach outside, and what stays as it is. */

import { describe, expect, test } from '@jest/globals';
import { parseAddress, type IpAddress } from '../../../../src/core/ip.js';
import type { ObjectBatch, ObjectChange } from '../../../../src/kube/objectBatch.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import { keyOf, parseObject, type ObjectKey } from '../../../../src/kube/objects.js';
import { EGRESS_RULES, egressListProblems, MOST_EGRESS_RULES } from '../../../../src/policy/egress/egressList.js';
import { createPolicyModel, type PolicyModel } from '../../../../src/policy/policyModel.js';
import { podName } from '../../../../src/policy/policyTypes.js';
import { verdict, type Party } from '../../../../src/policy/verdict.js';

function parsed(json: object): KubeObject {
  const result = parseObject({ apiVersion: 'v1', ...json });
  if (!result.ok || result.value === undefined) throw new Error('no object');
  return result.value;
}

function batch(...objects: readonly object[]): ObjectBatch {
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const json of objects) {
    const object = parsed(json);
    changes.set(keyOf(object), { change: 'added', object });
  }
  return { changes, synced: true };
}

const namespace = (rules?: string): object => ({
  kind: 'Namespace',
  metadata: { name: 'shop', annotations: rules === undefined ? {} : { [EGRESS_RULES]: rules } },
});
const pod = (name: string, ip: string, ns = 'shop'): object => ({
  kind: 'Pod',
  metadata: { namespace: ns, name },
  spec: { nodeName: 'n1' },
  status: { phase: 'Running', podIPs: [{ ip }] },
});
const node = {
  kind: 'Node',
  metadata: { name: 'n2' },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.2' }] },
};

function address(text: string): IpAddress {
  const result = parseAddress(text);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function world(rules?: string, ...more: readonly object[]): PolicyModel {
  const model = createPolicyModel('n1');
  model.apply(batch(node, pod('web', '10.244.1.5'), pod('db', '10.244.2.6', 'other'), namespace(rules), ...more));
  return model;
}

function reaches(model: PolicyModel, to: Party): boolean {
  const web = model.pods.get(podName('shop', 'web'));
  if (web === undefined) throw new Error('no pod');
  const from: Party = { kind: 'pod', pod: web, address: address('10.244.1.5') };
  return verdict(model, { from, to, protocol: 'TCP', port: 443 }).allowed;
}

const outside = (text: string): Party => ({ kind: 'address', address: address(text) });

describe('the first rule that holds decides', () => {
  test.each([
    ['nothing said', undefined, '198.51.100.1', true],
    ['nothing that holds', 'deny 192.0.2.0/24', '198.51.100.1', true],
    ['a denied network', 'deny 192.0.2.0/24', '192.0.2.9', false],
    ['allowed before it is denied', 'allow 192.0.2.9/32, deny 192.0.2.0/24', '192.0.2.9', true],
    ['denied before it is allowed', 'deny 192.0.2.0/24\nallow 192.0.2.9/32', '192.0.2.9', false],
    ['only what is allowed', 'allow 192.0.2.0/24, deny 0.0.0.0/0, deny ::/0', '198.51.100.1', false],
    ['each family for itself', 'deny 0.0.0.0/0', '2001:db8::1', true],
    ['IPv6', 'Allow 2001:db8::/32, Deny ::/0', '2001:db9::1', false],
    ['a name that is allowed allows nothing', 'allow example.org, deny 0.0.0.0/0', '192.0.2.9', false],
    ['a name that is denied denies all', 'deny example.org, allow 0.0.0.0/0', '192.0.2.9', false],
    ['rubbish denies all', 'permit 0.0.0.0/0', '192.0.2.9', false],
    ['a verb alone denies all', 'allow', '192.0.2.9', false],
    ['too much denies all', 'allow 0.0.0.0/0 80', '192.0.2.9', false],
    ['what is allowed before rubbish stays allowed', 'allow 192.0.2.0/24, rubbish', '192.0.2.9', true],
  ])('%s', (_name, rules, to, expected) => {
    expect(reaches(world(rules), outside(to))).toBe(expected);
  });
});

describe('inside the cluster nothing changes', () => {
  test.each(['deny 0.0.0.0/0', 'rubbish'])('%s', rules => {
    const model = world(rules);
    const db = model.pods.get(podName('other', 'db'));
    if (db === undefined) throw new Error('no pod');
    expect(reaches(model, { kind: 'pod', pod: db, address: address('10.244.2.6') })).toBe(true);
    expect(reaches(model, { kind: 'node', name: 'n2', address: address('10.0.0.2') })).toBe(true);
  });
});

test('what it lets pass is for NetworkPolicies to judge', () => {
  const isolated = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: 'shop', name: 'none' },
    spec: { podSelector: {}, policyTypes: ['Egress'] },
  };
  expect(reaches(world('allow 0.0.0.0/0', isolated), outside('192.0.2.9'))).toBe(false);
});

test('and goes after what administrators said', () => {
  const admin = (action: string, priority: number): object => ({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: `${action.toLowerCase()}${priority}` },
    spec: {
      tier: 'Admin',
      priority,
      subject: { namespaces: {} },
      egress: [{ action, to: [{ networks: ['192.0.2.0/24'] }] }],
    },
  });
  expect(reaches(world('deny 0.0.0.0/0', admin('Accept', 1000)), outside('192.0.2.9'))).toBe(true);
  expect(reaches(world('allow 0.0.0.0/0', admin('Deny', 1000)), outside('192.0.2.9'))).toBe(false);
});

test('changes and goes with its annotation, for the pods of this node', () => {
  const model = world('deny 0.0.0.0/0');
  const changed = model.apply(batch(namespace('deny 192.0.2.0/24')));
  expect([...changed.policies.set.keys()]).toHaveLength(1);
  expect(reaches(model, outside('198.51.100.1'))).toBe(true);
  const gone = model.apply(batch(namespace()));
  expect(gone.policies.removed.size).toBe(1);
  expect(reaches(model, outside('192.0.2.9'))).toBe(true);
});

test('what is another than it was written is told', () => {
  const object = parsed(namespace('allow example.org, allow 192.0.2.0/24, what'));
  if (object.kind !== 'Namespace') throw new Error('no namespace');
  expect(egressListProblems(object).map(({ subject, text }) => `${subject}: ${text}`)).toEqual([
    expect.stringMatching(/^Namespace shop: .*"allow example\.org": .*names are not resolved: it allows nothing$/),
    expect.stringMatching(/"what": is neither "allow" nor "deny".*nothing outside is allowed from there on$/),
  ]);
});

describe('a list of more rules than any may have', () => {
  const rules = (count: number): string => Array.from({ length: count }, () => 'allow 192.0.2.0/24').join('\n');

  test('closes its own namespace to the outside, and says so once', () => {
    expect(reaches(world(rules(MOST_EGRESS_RULES)), outside('192.0.2.9'))).toBe(true);
    const model = world(rules(MOST_EGRESS_RULES + 1));
    expect(reaches(model, outside('192.0.2.9'))).toBe(false);
    expect(reaches(model, { kind: 'node', name: 'n2', address: address('10.0.0.2') })).toBe(true);
    const object = parsed(namespace(rules(MOST_EGRESS_RULES + 1)));
    if (object.kind !== 'Namespace') throw new Error('no namespace');
    expect(egressListProblems(object).map(({ text }) => text)).toEqual([
      expect.stringMatching(/: "501 rules": more than 500, which no list may have: nothing outside is allowed/),
    ]);
  });

  test('costs no other namespace anything', () => {
    const model = world(rules(MOST_EGRESS_RULES + 1));
    const db = model.pods.get(podName('other', 'db'));
    if (db === undefined) throw new Error('no pod');
    const from: Party = { kind: 'pod', pod: db, address: address('10.244.2.6') };
    expect(verdict(model, { from, to: outside('192.0.2.9'), protocol: 'TCP', port: 443 }).allowed).toBe(true);
  });
});
