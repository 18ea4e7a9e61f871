/** What `peerage show egress` shows, from objects to the lines of its table. */

import { expect, test } from '@jest/globals';
import { createEgressStage } from '../../../../src/app/egressAddresses/egressStage.js';
import { createEgressShow } from '../../../../src/app/egressAddresses/egressView.js';
import { EGRESS_COLUMNS } from '../../../../src/cli/showEgress.js';
import { EGRESS_ADDRESSES, EGRESS_NODE } from '../../../../src/policy/egress/egressClaims.js';
import { batchOf, prefixOf } from '../../policy/egress/egressObjects.js';

const node = (name: string, n: number, isHolder: boolean) => ({
  kind: 'Node',
  metadata: { name, labels: isHolder ? { [EGRESS_NODE]: '' } : {} },
  status: {
    addresses: [{ type: 'InternalIP', address: `10.0.0.${n}` }],
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});
const namespace = (name: string, addresses: string) => ({
  kind: 'Namespace',
  metadata: { name, annotations: { [EGRESS_ADDRESSES]: addresses } },
});
const POD = {
  kind: 'Pod',
  metadata: { namespace: 'shop', name: 'p' },
  spec: { nodeName: 'here' },
  status: { phase: 'Running', podIPs: [{ ip: '10.244.1.5' }] },
};

function linesOf(holders: readonly string[], ...others: Parameters<typeof batchOf>[0]): readonly string[] {
  const stage = createEgressStage('here');
  const show = createEgressShow('here');
  const { egressAddresses: take } = show.beside({ antiSpoofOptions: () => undefined });
  const ranges = [prefixOf('192.0.2.0/24'), prefixOf('2001:db8::/64')];
  take?.(stage({ kind: 'options', options: { ranges, inside: [] } }));
  const nodes = ['here', 'there'].map((name, i) => node(name, i + 1, holders.includes(name)));
  take?.(stage({ kind: 'batch', batch: batchOf([...nodes, ...others]) }));
  return show.view.addresses().map(row => EGRESS_COLUMNS.map(({ value }) => value(row)).join(' | '));
}

const LOST = 'its pods reach nothing outside the cluster';

test('each address with its holder and the pods of this node that carry it', () => {
  expect(linesOf(['here'], namespace('shop', '192.0.2.7, 2001:db8::7'), POD)).toEqual([
    'shop | 192.0.2.7 | here (here) | 1 | ok',
    'shop | 2001:db8::7 | - | 0 | no node that is ready has the label peerage.io/egress-node: ' + LOST,
  ]);
  expect(linesOf(['there'], namespace('shop', '192.0.2.7'), POD)).toEqual(['shop | 192.0.2.7 | there | 1 | ok']);
});

test('nothing before the cluster is known, and nothing of namespaces that ask for nothing', () => {
  expect(createEgressShow('here').view.addresses()).toEqual([]);
  expect(linesOf(['here'], POD)).toEqual([]);
});

test('what keeps an address from being carried is said in its place', () => {
  expect(linesOf([], namespace('shop', '192.0.2.7'))).toEqual([
    `shop | 192.0.2.7 | - | 0 | no node that is ready has the label peerage.io/egress-node: ${LOST}`,
  ]);
  expect(linesOf(['there'], namespace('a', '192.0.2.7'), namespace('b', '192.0.2.7'))).toEqual([
    'a | 192.0.2.7 | there | 0 | ok',
    'b | 192.0.2.7 | - | 0 | egress address 192.0.2.7 is that of namespace a already',
  ]);
  expect(linesOf(['there'], namespace('shop', '198.51.100.1'))).toEqual([
    expect.stringMatching(
      /^shop \| - \| - \| 0 \| annotation peerage\.io\/egress\.addresses: 198\.51\.100\.1 is in none of /,
    ),
  ]);
});

test('sinks go on getting their updates', () => {
  const got: unknown[] = [];
  const sinks = createEgressShow('here').beside({
    antiSpoofOptions: () => undefined,
    egressAddresses: update => got.push(update),
  });
  sinks.egressAddresses?.(createEgressStage('here')({ kind: 'options', options: { ranges: [], inside: [] } }));
  expect(got).toHaveLength(1);
});
