/** The policy table as others meet it: restart, drift, refusals, other settings, random histories. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { groupKey, podName } from '../../src/policy/policyTypes.js';
import type { Group, LocalPod, Peer, PodName, Policy } from '../../src/policy/policyTypes.js';
import type { IpText } from '../../src/kube/objectTypes.js';
import type { ObjectKey } from '../../src/kube/objects.js';
import { cluster, objectsOf } from '../unit/policy/randomCluster.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { tableListing } from './nftListing.js';
import { networkPolicy, PODS, SETTINGS, startLife, type Life } from './policyRig.js';
import { until } from './tcpNamespaces.js';

let ns: Namespace;
let life: Life;
beforeEach(() => {
  ns = makeNamespace('pkpt');
  life = startLife(ns);
});
afterEach(async () => {
  await life.firewall.stop();
  ns.remove();
});

const nft = (...args: readonly string[]): string =>
  execFileSync('ip', ['netns', 'exec', ns.name, 'nft', ...args], { encoding: 'utf8', stdio: 'pipe' });

/** Both tables: what is in them, whatever became of them before. */
const listing = (): readonly string[] => tableListing(ns, ['peerage-policy']);

const POLICIES = [
  networkPolicy('p', {
    podSelector: {},
    ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }, { port: 443 }] }],
  }),
  networkPolicy('q', {
    podSelector: { matchLabels: { pod: 'a' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }], ports: [{ port: 'web' }] }],
  }),
];
const kinds = (): readonly string[] => life.events.map(({ kind }) => kind);

test('a restart with everything in place writes nothing, and says that all is covered', async () => {
  await life.become([...PODS, ...POLICIES]);
  const before = listing();
  await life.firewall.stop();
  life = startLife(ns);
  await life.become([...PODS, ...POLICIES]);
  expect(kinds()).not.toContain('committed');
  expect(life.events.filter(({ kind }) => kind === 'adopted')).toEqual([
    { kind: 'adopted', count: 2 },
    { kind: 'adopted', count: 2 },
  ]);
  expect(life.events.at(-1)).toEqual({ kind: 'programmed', pods: ['x/a', 'x/b'] });
  expect(listing()).toEqual(before);
});

test('what is left of a former life goes', async () => {
  await life.become([...PODS, ...POLICIES]);
  await life.firewall.stop();
  life = startLife(ns);
  await life.become([...PODS, POLICIES[1]]);
  const after = listing();
  nft('delete table ip peerage-policy; delete table ip6 peerage-policy');
  await life.firewall.stop();
  life = startLife(ns);
  await life.become([...PODS, POLICIES[1]]);
  expect(after).toEqual(listing());
});

describe('what others change is put right', () => {
  test.each<[string, () => void]>([
    ['an element', () => nft('flush', 'map', 'ip', 'peerage-policy', 'pods')],
    ['the rules of a chain', () => nft('flush', 'chain', 'ip', 'peerage-policy', chainLike('denied-'))],
    ['a hook', () => nft('flush', 'chain', 'ip6', 'peerage-policy', 'receiving')],
    ['a rule that was added', () => nft('insert', 'rule', 'ip', 'peerage-policy', chainLike('receives-'), 'accept')],
    ['what a hook does with the rest', () => nft('chain', 'ip', 'peerage-policy', 'receiving', '{ policy drop; }')],
    [
      "a stranger's hook",
      () => nft('add chain ip peerage-policy s { type filter hook forward priority 0; policy drop; }'),
    ],
    ['whether the table is awake', () => nft('add table ip peerage-policy { flags dormant; }')],
    ['the table', () => nft('delete', 'table', 'ip', 'peerage-policy')],
    [
      'an element that was added',
      () => nft('add', 'element', 'ip', 'peerage-policy', 'loops', '{ 1.2.3.4 . 1.2.3.4 }'),
    ],
  ])('%s', async (_, change) => {
    await life.become([...PODS, ...POLICIES]);
    const before = listing();
    change();
    await until('the change is noticed', () => kinds().includes('drift'));
    await until('it is as before', () => {
      const now = tableThere() ? listing() : [];
      return JSON.stringify(now) === JSON.stringify(before);
    });
  });

  const tableThere = (): boolean => nft('list', 'tables').includes('table ip peerage-policy');
  const chainLike = (prefix: string): string => {
    const [, name = ''] =
      new RegExp(`chain (${prefix}[0-9a-f]+)`).exec(nft('list', 'table', 'ip', 'peerage-policy')) ?? [];
    return name;
  };
});

test('other settings replace the rules and keep the pods', async () => {
  await life.become([...PODS, ...POLICIES]);
  life.firewall.configure({ ...SETTINGS, log: undefined, defaultDeny: true, cutBit: 7 });
  await until('the rules are others', () => !listing().some(line => line.includes('"log"')));
  await life.firewall.idle();
  const changed = listing();
  await life.firewall.stop();
  nft('delete table ip peerage-policy; delete table ip6 peerage-policy');
  life = startLife(ns, { ...SETTINGS, log: undefined, defaultDeny: true, cutBit: 7 });
  await life.become([...PODS, ...POLICIES]);
  expect(changed).toEqual(listing());
});

describe('before objects are known', () => {
  test('with default deny there is a table that knows no pods', async () => {
    const closing = { ...SETTINGS, defaultDeny: true };
    life.firewall.configure(closing);
    await life.firewall.hold();
    expect(nft('list', 'table', 'ip', 'peerage-policy')).toContain(
      'ip saddr 10.244.1.0/24 fib saddr type != local goto',
    );
    expect(nft('list', 'map', 'ip', 'peerage-policy', 'pods')).not.toContain('elements');
    await life.become([...PODS, ...POLICIES]);
    expect(kinds()).not.toContain('drift');
  });

  test('without it there is none, and a table of a former life stays', async () => {
    await life.firewall.hold();
    expect(nft('list', 'tables')).toBe('');
    await life.become([...PODS, ...POLICIES]);
    const before = listing();
    await life.firewall.stop();
    life = startLife(ns, { ...SETTINGS, defaultDeny: true });
    await life.firewall.hold();
    expect(listing()).toEqual(before);
  });
});

test('a policy that the kernel refuses closes its own pod, until it is mended', async () => {
  // A group that nobody has told of is a set that is not there.
  const group: Group = {
    kind: 'pods',
    namespaces: { kind: 'one', name: 'nowhere' },
    pods: { matchLabels: {}, matchExpressions: [] },
  };
  const policy = (peers: readonly Peer[] | undefined): Policy => ({
    key: 'NetworkPolicy/x/bad' as ObjectKey,
    tier: 'namespace',
    priority: 0,
    namespace: 'x',
    name: 'bad',
    subject: { kind: 'pods', namespaces: { kind: 'one', name: 'x' }, pods: { matchLabels: {}, matchExpressions: [] } },
    egress: undefined,
    ingress: [{ index: 0, name: '', action: 'accept', peers, ports: undefined, closed: undefined }],
  });
  const missing = policy([{ kind: 'group', key: groupKey(group), group }]);
  const local = (name: string, governing: readonly Policy[]): readonly [PodName, LocalPod] => [
    podName('x', name),
    {
      pod: {
        key: podName('x', name),
        namespace: 'x',
        name,
        labels: {},
        addresses: [`10.244.1.${name.charCodeAt(0)}` as IpText],
        namedPorts: [],
        node: 'n1',
        state: 'governed',
      },
      governing: { ingress: governing, egress: [] },
    },
  ];
  const none = { changed: new Map(), removed: new Set<never>() };
  const tell = async (pods: readonly (readonly [PodName, LocalPod])[]): Promise<void> => {
    const policies = { set: new Map(), removed: new Set<never>() };
    life.firewall.apply({ groups: none, portSets: none, policies, pods: { set: new Map(pods), removed: new Set() } });
    life.firewall.begin();
    await life.firewall.idle();
  };
  await tell([local('a', []), local('b', [missing]), local('c', [policy(undefined)])]);
  expect(life.events).toContainEqual({ kind: 'failed', failures: new Map([['x/b', expect.any(String)]]) });
  const programmed = life.events.flatMap(event => (event.kind === 'programmed' ? event.pods : []));
  expect(programmed).toEqual(['x/a', 'x/c']);
  const profiles = (): string => nft('list', 'map', 'ip', 'peerage-policy', 'pods');
  const closed = profiles().match(/10\.244\.1\.\d+ : \S+ \. 0xf+\b/g) ?? [];
  expect([closed, life.firewall.isSettled]).toEqual([[expect.stringContaining('10.244.1.98 ')], false]);
  await tell([local('b', [policy(undefined)])]);
  await until('it is open again', () => kinds().includes('recovered'));
  expect(life.events).toContainEqual({ kind: 'recovered', pods: ['x/b'] });
  expect(profiles()).not.toContain('0xffffffff');
  expect(life.firewall.isSettled).toBe(true);
});

test('random histories come to the same table as their last state from nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(cluster, { minLength: 2, maxLength: 4 }), async worlds => {
      const last = objectsOf(worlds.at(-1)!);
      for (const world of worlds) await life.become(objectsOf(world));
      const grown = listing();
      await life.firewall.stop();
      nft('delete table ip peerage-policy; delete table ip6 peerage-policy');
      life = startLife(ns);
      await life.become(last);
      expect(grown).toEqual(listing());
      expect(life.events.filter(({ kind }) => kind === 'failed' || kind === 'error')).toEqual([]);
    }),
    { numRuns: 12 },
  );
});
