/** What the firewall beside IPVS has of a service port: which sets each frontend is in, and what they lead to. */

import { describe, expect, test } from '@jest/globals';
import { parsePrefix, type IpAddress, type IpPrefix } from '../../../../src/core/ip.js';
import { addressOfText, keyOctets, portOctets, setOf } from '../../../../src/kernel/nftables/elements.js';
import { closedFrontend, dependsOnHost, firewallElements } from '../../../../src/proxy/ipvs/firewallElements.js';
import { firewallLayout } from '../../../../src/proxy/ipvs/firewallLayout.js';
import type { Backend, BackendLists, Frontend } from '../../../../src/proxy/proxyTypes.js';
import { address, frontend, ipText, PORT } from './ipvsWorld.js';

function backend(at: string, isLocal: boolean, weight = 1): Backend {
  return { address: ipText(at), port: 8080, weight, isLocal, state: 'ready' };
}

const here = backend('10.244.1.2', true);
const elsewhere = backend('10.244.2.4', false);

function lists(cluster: readonly Backend[], local = cluster.filter(({ isLocal }) => isLocal)): BackendLists {
  return { servicePort: PORT, cluster, local, serving: cluster };
}

const LOCAL = {
  kind: 'loadBalancer',
  address: ipText('203.0.113.1'),
  policy: 'local',
  shortCircuit: true,
  masquerade: 'never',
} as const;

function host(...addresses: readonly string[]): readonly IpAddress[] {
  return addresses.map(address);
}

function prefix(given: string): IpPrefix {
  const parsed = parsePrefix(given);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** Names of sets, with how many elements of this service port are in each. */
function sets(
  frontends: readonly Frontend[],
  of: BackendLists | undefined,
  own = host('192.0.2.1'),
): Readonly<Record<string, number>> {
  const elements = firewallElements(frontends, of, own);
  const counts: Record<string, number> = {};
  for (const key of [...elements.own.keys(), ...elements.shared]) counts[setOf(key)] = (counts[setOf(key)] ?? 0) + 1;
  return counts;
}

describe('who is in which set', () => {
  test('a cluster IP that is served: its address, its masquerading, its local backends', () => {
    expect(sets([frontend()], lists([here, elsewhere]))).toEqual({
      addresses: 1,
      'masquerade-off-cluster': 1,
      hairpins: 1,
    });
  });

  test('without anybody it is refused, and with somebody elsewhere under policy Local it is dropped', () => {
    expect(sets([frontend()], undefined)).toEqual({ addresses: 1, refused: 1 });
    expect(sets([frontend({ policy: 'local' })], lists([elsewhere]))).toEqual({ addresses: 1, dropped: 1 });
  });

  test('backends of weight 0 serve nobody anew', () => {
    expect(sets([frontend()], lists([backend('10.244.2.4', false, 0)]))).toEqual({ addresses: 1, refused: 1 });
  });

  test('pods and the node are led past policy Local, to the cluster IP', () => {
    const { own } = firewallElements([frontend({ port: 81 }), frontend(LOCAL)], lists([elsewhere]), []);
    const shortcut = [...own].find(([key]) => setOf(key) === 'shortcuts');
    expect(shortcut?.[1]).toBe(`${addressOfText('10.96.0.1')}${portOctets(81)}`);
    expect([...own.keys()].map(setOf).sort()).toEqual(['dropped', 'masquerade-off-cluster', 'shortcuts']);
    const known = new Map([...own].map(([key, value]) => [key, value]));
    expect(closedFrontend(frontend(LOCAL), 4, known)?.verdict).toBe('drop');
    expect(closedFrontend(frontend({ port: 81 }), 4, known)).toBeUndefined();
  });

  test('nobody is led to a cluster IP that has no endpoint', () => {
    expect(sets([frontend(), frontend(LOCAL)], { ...lists([]), serving: [elsewhere] })).not.toHaveProperty('shortcuts');
  });

  test('a node port has no address of its own', () => {
    const node = frontend({ kind: 'nodePort', address: undefined, port: 30080, masquerade: 'always' });
    const { own, shared } = firewallElements([node], lists([elsewhere]), []);
    expect([...own.keys()].map(setOf)).toEqual(['masquerade']);
    expect(keyOctets([...own.keys()][0] ?? '')).toBe(`\0\0\0\0\x06\0\0\0${portOctets(30080)}`);
    expect(shared.size).toBe(0);
  });

  test('an address that is the machine’s own on another link is not guarded', () => {
    const external = frontend({ kind: 'externalIp', address: ipText('192.0.2.1'), masquerade: 'always' });
    expect(sets([external], lists([elsewhere]))).toEqual({ masquerade: 1 });
    expect(sets([external], lists([elsewhere]), [])).toEqual({ masquerade: 1, addresses: 1 });
    expect([dependsOnHost(external), dependsOnHost(frontend())]).toEqual([true, false]);
  });

  test('direct server return keeps the source', () => {
    const external = frontend({
      kind: 'externalIp',
      address: ipText('203.0.113.9'),
      masquerade: 'always',
      dsr: true,
    });
    expect(sets([external], lists([elsewhere]))).toEqual({ addresses: 1 });
  });

  test('source ranges hold the address itself where one of them holds the machine’s', () => {
    const ranged = frontend({ ...LOCAL, policy: 'cluster', sourceRanges: [prefix('192.0.2.0/24')] });
    expect(sets([ranged], lists([elsewhere]))).toMatchObject({ restricted: 1, ranges: 2 });
    expect(sets([ranged], lists([elsewhere]), [])).toMatchObject({ restricted: 1, ranges: 1 });
  });
});

test.each([4, 6] as const)('IPv%i: every set that a rule looks into is in the table', family => {
  const layout = firewallLayout(family, {
    podDetector: { kind: 'cidrs', cidrs: [prefix('10.244.0.0/16'), prefix('fd44::/16')] },
    nodePortAddresses: 'all',
    serviceCidrs: [prefix('10.96.0.0/16'), prefix('fd96::/64')],
    masqueradeAll: false,
    masqueradeBit: 14,
    countTraffic: true,
    ipvs: { guardAddresses: true },
  });
  const rules = layout.chains.flatMap(({ rules: own }) => own.flat());
  const used = rules.flatMap(expression => ('set' in expression ? [expression.set] : []));
  const chains = rules.flatMap(expression =>
    expression.kind === 'verdict' && 'chain' in expression.verdict ? [expression.verdict.chain] : [],
  );
  expect(new Set(used)).toEqual(new Set(layout.sets.map(({ name }) => name)));
  for (const chain of chains) expect(layout.chains.map(({ name }) => name)).toContain(chain);
});
