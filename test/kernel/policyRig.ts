/** The firewall in the node of the proxy's namespaces, told of a cluster's objects; and what passes between its actors. */

import assert from 'node:assert/strict';
import { openNftablesFirewall } from '../../src/policy/nftables/nftablesFirewall.js';
import type { FirewallEvent, FirewallSettings, PolicyFirewall } from '../../src/policy/policyFirewall.js';
import { createPolicyModel, type PolicyModel } from '../../src/policy/policyModel.js';
import { batchBetween } from '../unit/policy/modelCluster.js';
import type { Namespace } from './namespace.js';
import type { Question } from './proxyActor.js';
import { ADDRESSES, openCast, PORT, prefixOf, type ActorName, type Cast } from './proxyRig.js';

export const SETTINGS: FirewallSettings = {
  ipv4: true,
  ipv6: true,
  defaultDeny: false,
  podCidrs: ['10.244.1.0/24', 'fd44:1::/64'].map(prefixOf),
  cutBit: 20,
  log: { group: 5, perSecond: 100, burst: 100 },
};

/** An agent's firewall and its model: one life of it. */
export interface Life {
  readonly firewall: PolicyFirewall;
  readonly model: PolicyModel;
  readonly events: FirewallEvent[];
  /** These objects are all there are. Resolves when the kernel has what they come to. */
  become(objects: readonly unknown[]): Promise<void>;
}

export function startLife(node: Namespace, settings = SETTINGS): Life {
  const events: FirewallEvent[] = [];
  const firewall = node.inside(() => openNftablesFirewall(event => events.push(event)));
  const model = createPolicyModel('n1');
  let known: readonly unknown[] = [];
  firewall.configure(settings);
  return {
    firewall,
    model,
    events,
    become: async objects => {
      firewall.apply(model.apply(batchBetween(known, objects)));
      known = objects;
      firewall.begin();
      await firewall.idle();
    },
  };
}

export interface PolicyRig extends Cast {
  readonly life: Life;
  /** Another life: the kernel stays as it is. */
  restart(settings?: FirewallSettings): Promise<void>;
}

export async function openPolicyRig(prefix: string): Promise<PolicyRig> {
  const cast = await openCast(prefix);
  let life = startLife(cast.node);
  return {
    ...cast,
    get life() {
      return life;
    },
    restart: async (settings = SETTINGS) => {
      await life.firewall.stop();
      life = startLife(cast.node, settings);
    },
    close: async () => {
      await life.firewall.stop();
      await cast.close();
    },
  };
}

type PodActor = 'a' | 'b' | 'c';

/** Pods a and b are of this node n1, c is of n2; each is of the namespace it is given, labelled by its name. */
export function podObject(name: PodActor, namespace = 'x', more: Readonly<Record<string, unknown>> = {}): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { pod: name } },
    spec: {
      nodeName: name === 'c' ? 'n2' : 'n1',
      containers: [{ ports: [{ name: 'web', protocol: 'TCP', containerPort: PORT }] }],
      ...more,
    },
    status: { phase: 'Running', podIPs: [{ ip: ADDRESSES[4][name] }, { ip: ADDRESSES[6][name] }] },
  };
}

export function namespaceObject(name: string, labels: Readonly<Record<string, string>> = {}): unknown {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', labels: { node: 'n1' } },
  status: {
    addresses: [ADDRESSES[4].node, ADDRESSES[6].node].map(address => ({ type: 'InternalIP', address })),
  },
};

export const PODS = [
  podObject('a'),
  podObject('b'),
  podObject('c', 'y'),
  namespaceObject('x'),
  namespaceObject('y'),
  NODE,
];

export function networkPolicy(name: string, spec: Readonly<Record<string, unknown>>, namespace = 'x'): unknown {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec };
}

export function clusterPolicy(name: string, spec: Readonly<Record<string, unknown>>): unknown {
  return { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', metadata: { name }, spec };
}

/** Below what the kernel chooses from by itself. */
let nextPort = 10_000;

/** Milliseconds until who is silent is asked again; until silence is believed; for what is to pass on a busy machine. */
const [MOMENT, DENIED, PATIENCE] = [300, 1_200, 30_000];

/** `a>b tcp4`: who asks whom, how. @returns whether there was an answer */
async function asks(rig: Cast, cell: string, port: number, patience: number): Promise<boolean> {
  const [from = '', to = '', protocol = '', family = ''] = cell.split(/>| (?=\w)|(?=[46]$)/);
  const address = ADDRESSES[family === '6' ? 6 : 4][to as ActorName];
  // A UDP port that was used before may belong to a flow that is tracked still, which passes.
  const source: Pick<Question, 'fromPort'> = protocol === 'udp' ? { fromPort: nextPort++ } : {};
  const question = { protocol: protocol as Question['protocol'], address, port, patience, ...source };
  return (await rig.actors[from as ActorName].ask(question)) !== 'silence';
}

/** Of these cells, which pass. */
async function passing(
  rig: Cast,
  cells: readonly string[],
  expected: readonly string[],
  port: number,
): Promise<readonly string[]> {
  const ask = async (some: readonly string[], patience: number): Promise<ReadonlySet<string>> => {
    const answers = await Promise.all(some.map(async cell => ((await asks(rig, cell, port, patience)) ? [cell] : [])));
    return new Set(answers.flat());
  };
  const first = await ask(cells, MOMENT);
  const late = expected.filter(cell => cells.includes(cell) && !first.has(cell));
  if (late.length === 0 && expected.length > 0) return cells.filter(cell => first.has(cell));
  const silent = cells.filter(cell => !first.has(cell) && !expected.includes(cell));
  const second = new Set([...(await ask(late, PATIENCE)), ...(await ask(silent, DENIED))]);
  return cells.filter(cell => first.has(cell) || second.has(cell));
}

/**
 * Who of these cells passes is who is expected to. Silence is what a denial looks like, and a slow machine: who is expected
 * to pass has plenty of time, and while nobody has needed any of it, the silence of the others is believed at once.
 */
export async function expectPassing(
  rig: Cast,
  cells: readonly string[],
  expected: readonly string[],
  port = PORT,
): Promise<void> {
  assert.deepEqual(await passing(rig, cells, expected, port), expected);
}
